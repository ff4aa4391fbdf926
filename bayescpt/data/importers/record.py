"""What an importer makes of a file: records in the order written, each with its place; no unit, no contract yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayescpt.data.faults import Fault, TableError


@dataclass(frozen=True)
class Record:
    """One line of a log, or one row of a table.

    Args:
        place: where it stands in its file: "row 3", "entry 12 (step 100)".
        values: numbers or text by name; a name without a value is left out, NaN is a value.
        about: what holds for the whole run that wrote it: its id, its settings.
        row: its number in a table, counted from 1 with the header left out; 0 in a log.
    """

    place: str
    values: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    row: int = 0


@dataclass(frozen=True)
class Log:
    """What one file or folder holds.

    Args:
        records: in the order in which they were written.
        notes: what a person should know of it, such as a file that ends too early.
    """

    records: Sequence[Record]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Importer:
    """A format of logged losses.

    Args:
        name: what ``--from`` calls it.
        reads: files and folders that it takes, for a person.
        recognises: whether a path looks like the format; never raises.
        read: its records; raises TableError.
        is_log: a run may write a step again after a restart, and what one record lacks stands in others of its step.
            In a table each row stands for itself.
        own_names: columns that have the contract's names are taken as they are.
        step, tokens, run: names that hold the step, the tokens since the base and the run, where the format or those
            who write it have such a habit; the first that is there counts.
        without_step: what to say where no step is found.
    """

    name: str
    reads: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Log]
    is_log: bool = True
    own_names: bool = False
    step: tuple[str, ...] = ("step",)
    tokens: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    without_step: str = ""


def refusal(path: Path, code: str, message: str) -> TableError:
    """A file that cannot be read, as the error to raise."""
    return TableError([Fault(code, message)], source=str(path))


def missing_library(path: Path, library: str) -> TableError:
    """A library that a format needs is not installed."""
    message = (
        f"expected the library {library}, which reads this format, but it is not installed; "
        'pip install "bayescpt[import]"'
    )
    return refusal(path, "library_missing", message)

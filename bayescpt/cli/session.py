"""How a command speaks and ends: results on stdout, everything else on stderr, and an exit status to rely on."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import typer

from bayescpt.data.faults import Fault, TableError
from bayescpt.data.files import OutputError

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

FAILED, UNUSABLE, INTERRUPTED = 1, 2, 130
PIPE_WIDTH = 240
"""Columns of a table that no terminal shows: wide enough that nothing is folded."""


class InputError(ValueError):
    """The input of a command cannot be used: everything that is wrong with it, for a person and for a program."""

    def __init__(self, message: str, faults: Sequence[Fault]) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class Gather:
    """Runs every check of a command's input and raises once, with all that failed."""

    def __init__(self) -> None:
        self._errors: list[ValueError] = []

    def __call__(self, make: Callable[..., T], *arguments: Any) -> T:
        """``make(*arguments)``; a ValueError of it is kept for :meth:`done`."""
        try:
            return make(*arguments)
        except ValueError as error:
            self._errors.append(error)
            return cast(T, None)  # never read: done() raises before any value is used

    def fault(self, message: str) -> None:
        """Keep one that no check raises."""
        self._errors.append(ValueError(message))

    @property
    def failed(self) -> bool:
        """Whether anything has."""
        return bool(self._errors)

    def done(self) -> None:
        """Raise InputError if anything failed."""
        if self._errors:
            faults = [fault for error in self._errors for fault in faults_of(error)]
            raise InputError("\n".join(str(error) for error in self._errors), faults) from self._errors[0]


def faults_of(error: ValueError | OutputError) -> tuple[Fault, ...]:
    """The faults that an error carries; one made of its text where it carries none."""
    if isinstance(error, TableError | InputError):
        return error.faults
    return (Fault("unusable_input", str(error)),)


@dataclass(frozen=True)
class Session:
    """What a command may say."""

    json: bool

    def result(self, value: Any, draw: Callable[[Console], None]) -> None:
        """The answer: ``value`` as JSON, or drawn for a person."""
        if self.json:
            write_json(value)
        else:
            draw(_console())

    def note(self, text: str) -> None:
        """Something to know, on stderr."""
        print(text, file=sys.stderr)

    def warn(self, text: str) -> None:
        """Something to look at, on stderr."""
        print(f"warning: {text}", file=sys.stderr)


@contextmanager
def session(json: bool, debug: bool) -> Iterator[Session]:
    """Run a command's body and give its end an exit status: 0, 1 own failure, 2 unusable input, 130 interrupted."""
    try:
        yield Session(json)
    except (typer.Exit, BrokenPipeError):
        raise  # an end that was asked for; a reader that has gone is typer's to handle
    except KeyboardInterrupt:
        _fail(json, "interrupted", "interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except (ValueError, OutputError) as error:
        if debug:
            traceback.print_exc()
        _fail(json, "unusable_input", str(error), faults_of(error))
        raise typer.Exit(UNUSABLE) from None
    except Exception as error:
        if debug:
            traceback.print_exc()
        told = f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
        _fail(json, "failure", told if debug else f"{told} (--debug shows the traceback)")
        raise typer.Exit(FAILED) from None


def _fail(json: bool, kind: str, message: str, faults: Sequence[Fault] = ()) -> None:
    if json:
        write_json(error_object(kind, message, faults))
    print(message if kind == "interrupted" else f"error: {message}", file=sys.stderr)


def error_object(kind: str, message: str, faults: Sequence[Fault]) -> dict[str, Any]:
    """An error as ``--json`` shows it."""
    return {"error": kind, "message": message, "faults": [fault.as_dict() for fault in faults]}


def write_json(value: Any) -> None:
    """One JSON value on stdout. Raises RuntimeError where an answer is not a finite number, which JSON cannot hold."""
    try:
        text = json.dumps(value, indent=2, allow_nan=False)
    except ValueError as error:
        raise RuntimeError(
            f"an answer is not a finite number ({error}): the law overflows at this point; look at the draws of the fit"
        ) from error
    print(text, flush=True)


def _console() -> Console:
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, emoji=False, highlight=False, width=PIPE_WIDTH)

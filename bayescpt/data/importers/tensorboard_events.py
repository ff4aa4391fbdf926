"""Event files of TensorBoard, whichever library wrote them: scalars of the first format and of the second."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bayescpt.data.importers.record import Importer, Log, Record, missing_library, refusal

MARK = "tfevents"
LENGTH = struct.Struct("<Q")
AROUND = 16
"""Bytes of a record besides its content: its length and two checksums."""


def _event_files(folder: Path) -> tuple[Path, ...]:
    # names start with the time of writing, so that their order is that of the restarts
    return tuple(sorted(file for file in folder.glob(f"*{MARK}*") if file.is_file()))


def _recognises(path: Path) -> bool:
    # only the folder itself: many trainers keep event files somewhere below what they write besides
    return bool(_event_files(path)) if path.is_dir() else MARK in path.name


def _read(path: Path) -> Log:
    files = _event_files(path) if path.is_dir() else (path,)
    if not files:
        runs = sorted({str(file.parent.relative_to(path)) for file in path.rglob(f"*{MARK}*")})
        told = f"found some in {', '.join(runs)}; name each run as a source of its own" if runs else "found none"
        raise refusal(path, "file_missing", f"expected event files in the folder itself, {told}")
    try:
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
        from tensorboard.util import tensor_util
    except ImportError as error:
        raise missing_library(path, "tensorboard") from error
    records: list[Record] = []
    notes: list[str] = []
    for file in files:
        if not file.is_file():
            raise refusal(file, "file_missing", f"expected a file, but {file} does not exist; check the path")
        events = 0
        with _quiet():
            for event in LegacyEventFileLoader(str(file)).Load():
                events += 1
                records += _scalars(event, f"{file.name}, event {events}", tensor_util)
        written = _count(file)
        if events < written:
            notes.append(f"{file.name} is damaged: read {events} of its {written} events")
        elif events == 0:
            raise refusal(file, "not_this_format", "expected a file of events, but it holds none; copy it again")
    return Log(records, tuple(notes))


def _scalars(event: Any, place: str, tensor_util: Any) -> Iterator[Record]:
    for value in event.summary.value:
        held = _scalar(value, tensor_util)
        if held is not None:
            yield Record(f"{place}, {value.tag} (step {event.step})", {value.tag: held, "step": int(event.step)})


def _scalar(value: Any, tensor_util: Any) -> float | None:
    """The number that a value of a summary is, of the first format or of the second; None for anything else."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    # the plugin is named with the first value of a tag only
    if kind != "tensor" or value.metadata.plugin_data.plugin_name not in ("scalars", ""):
        return None
    array = tensor_util.make_ndarray(value.tensor)
    return float(array.reshape(())) if array.size == 1 and array.dtype.kind in "fiu" else None


def _count(file: Path) -> int:
    """Records that the lengths in a file lead to, one that is cut short not counted."""
    content = file.read_bytes()
    at = found = 0
    while at + LENGTH.size <= len(content):
        at += LENGTH.unpack_from(content, at)[0] + AROUND
        found += at <= len(content)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the loader says of a file that ends early, which is told as a note."""
    log = logging.getLogger("tensorboard")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


TENSORBOARD = Importer(
    "tensorboard",
    "an event file, or the folder of one run that holds its event files",
    _recognises,
    _read,
    step=("step",),
    tokens=("train/num_input_tokens_seen",),
)

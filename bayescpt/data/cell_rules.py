"""Rules that look at one column at a time: is it there, of the right type, finite, within its bounds."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np

from bayescpt.data.cells import Cells, Mask, Sheet
from bayescpt.data.faults import SHOWN, Fault, row_list
from bayescpt.schema import REQUIRED, SHARE, TARGETS

_TYPE_WORDS = {"text": "text", "number": "a number", "integer": "a whole number of at most 64 bits"}
_TYPE_HELP = {
    "text": "write ids as text",
    "number": "write plain numbers, without units or thousands separators",
    "integer": "write whole numbers",
}


def missing_columns(sheet: Sheet) -> Iterator[Fault]:
    found = ", ".join(repr(name) for name in sheet.names) or "no columns"
    for name in sheet.absent:
        message = f"expected a column {name!r}, found {found}; rename or add it (required: {', '.join(REQUIRED)})"
        yield Fault("missing_column", message, name)


def repeated_columns(sheet: Sheet) -> Iterator[Fault]:
    for name in sheet.repeated:
        count = sheet.names.count(name)
        message = f"expected one column {name!r}, found {count}; keep one, the rest of the checks skip them all"
        yield Fault("repeated_column", message, name)


def no_rows(sheet: Sheet) -> Iterator[Fault]:
    if sheet.rows == 0:
        yield Fault("no_rows", "expected at least one row, found none; write the measured losses into the table")


def wrong_types(sheet: Sheet) -> Iterator[Fault]:
    for name, cells in sheet.cells.items():
        kind = cells.column.kind
        wrong = cells.wrong & ~sheet.is_base if name in sheet.stream_columns else cells.wrong
        yield from _cell_fault("wrong_type", cells, wrong, f"be {_TYPE_WORDS[kind]}", _TYPE_HELP[kind])


def empty_ids(sheet: Sheet) -> Iterator[Fault]:
    for name in REQUIRED:
        cells = sheet.cells.get(name)
        if cells is not None and cells.column.kind == "text":
            yield from _cell_fault("empty_id", cells, cells.missing, "hold text", "fill in the name")


def padded_ids(sheet: Sheet) -> Iterator[Fault]:
    for name, cells in sheet.cells.items():
        if cells.column.kind == "text" and name != "target":
            help_ = "remove the blanks, which would make two names of one"
            yield from _cell_fault("padded_id", cells, cells.padded, "not start or end with a blank", help_)


def unprintable_ids(sheet: Sheet) -> Iterator[Fault]:
    for name, cells in sheet.cells.items():
        if cells.column.kind == "text" and name != "target":
            odd = {value for value in set(cells.values) if _unprintable(value)}
            bad = np.fromiter((value in odd for value in cells.values), dtype=bool, count=len(cells.values))
            help_ = "no file can hold, or nobody can see, such a character; remove it"
            yield from _cell_fault("unprintable_id", cells, bad, "hold no control characters", help_)


def _unprintable(text: str) -> bool:
    """Whether a name holds control characters (NUL, tabs, ends of lines) or halves of a pair that is none."""
    return any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)


def not_finite(sheet: Sheet) -> Iterator[Fault]:
    for name, cells in sheet.cells.items():
        if cells.column.kind == "number":
            bad = ~cells.finite & ~cells.wrong
            if name in sheet.stream_columns:
                bad &= ~sheet.is_base
            if not cells.column.required:
                bad &= ~cells.missing
            help_ = "a run that diverged has no loss to learn from; delete its rows or measure it again"
            help_ = help_ if name == "loss" else "fill in the measured value or delete the row"
            yield from _cell_fault("not_finite", cells, bad, "be a finite number", help_)


def out_of_bounds(sheet: Sheet) -> Iterator[Fault]:
    for name, cells in sheet.cells.items():
        if cells.column.kind == "text":
            continue
        outside = cells.finite & ~cells.inside
        if name in sheet.stream_columns:
            outside &= ~sheet.is_base
        column = cells.column
        unit = "" if column.unit == "-" else f" {column.unit}"
        low = "" if column.lower is None else f"{'>' if column.lower_open else '>='} {column.lower:g}"
        high = "" if column.upper is None else f"<= {column.upper:g}"
        bounds = " and ".join(part for part in (low, high) if part)
        help_ = f"{column.name} is the {column.meaning}" if column.required else "correct it or drop the column"
        yield from _cell_fault("out_of_bounds", cells, outside, f"be {bounds}{unit}", help_)


def unknown_targets(sheet: Sheet) -> Iterator[Fault]:
    cells = sheet.cells.get("target")
    if cells is not None:
        unknown = cells.finite & ~cells.inside
        expected = f"be {' or '.join(TARGETS)}"
        help_ = "say which validation set the loss was measured on"
        yield from _cell_fault("unknown_target", cells, unknown, expected, help_)


def unnamed_sources(sheet: Sheet) -> Iterator[Fault]:
    for name in sheet.names:
        source = name.removeprefix(SHARE)
        odd = not source.strip() or source != source.strip() or "/" in source or _unprintable(source)
        if name.startswith(SHARE) and odd:
            message = (
                f"expected a column {SHARE}<source> to name its source without blanks at its ends, '/' and control "
                f"characters, got {name!r}; rename the column"
            )
            yield Fault("unnamed_source", message, name)


def partly_missing(sheet: Sheet) -> Iterator[Fault]:
    for name, cells in sheet.cells.items():
        if cells.column.required:
            continue
        # a base model's own row has no learning rate or FLOPs of its own, but it does have a base
        asked = np.ones(sheet.rows, dtype=bool) if name == "base" else ~sheet.is_base
        gaps = cells.missing & asked
        if (asked & ~cells.missing).any():
            help_ = "fill in every row or drop the column: half a column would treat like runs as unlike"
            yield from _cell_fault("partly_missing", cells, gaps, "hold a value in every row", help_)


def _cell_fault(code: str, cells: Cells, bad: Mask, expected: str, help_: str) -> Iterator[Fault]:
    places = np.flatnonzero(bad)
    if not len(places):
        return
    name = cells.column.name
    rows = tuple(int(i) + 1 for i in places)
    shown = dict.fromkeys(_show(cells.raw.iloc[i]) for i in places[:SHOWN])
    message = f"{name} must {expected}, got {', '.join(shown)} in {row_list(rows)}; {help_}"
    yield Fault(code, message, name, rows)


def _show(cell: Any) -> str:
    if isinstance(cell, float | np.floating):
        return "nan or blank" if np.isnan(cell) else f"{cell:g}"
    if isinstance(cell, int | np.integer | bool | np.bool_):
        return str(cell)
    text = repr(cell)
    return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"

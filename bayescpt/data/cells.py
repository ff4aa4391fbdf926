"""A data frame as typed columns, each cell marked readable or not, so that no rule guards against types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Bool

from bayescpt.schema import COLUMNS, PHASE, SHARE, TARGETS, Column, share_column

Mask: TypeAlias = Bool[np.ndarray, " row"]

INT64 = np.iinfo(np.int64)


@dataclass(frozen=True, eq=False)
class Cells:
    """One column of the table, cell by cell.

    Args:
        column: what the contract says of it.
        values: [row] object array of text, float64 of numbers or int64 of integers; where a cell is missing
            or of the wrong type the value is a filler ("", NaN or 0).
        missing: [row] no value: None, NaN, NA or blank text.
        wrong: [row] a value of another type than the column's.
        raw: [row] the cells as they came, to show in messages.
    """

    column: Column
    values: np.ndarray
    missing: Mask
    wrong: Mask
    raw: pd.Series

    @cached_property
    def finite(self) -> Mask:
        """Present, of the right type, and neither NaN nor infinite."""
        present = ~(self.missing | self.wrong)
        return present & np.isfinite(self.values) if self.column.kind == "number" else present

    @cached_property
    def padded(self) -> Mask:
        """Text that starts or ends with a blank."""
        if self.column.kind != "text":
            return np.zeros(len(self.values), dtype=bool)
        return np.array([text != text.strip() for text in self.values], dtype=bool)

    @cached_property
    def inside(self) -> Mask:
        """Finite, within the bounds of the contract, not padded: what rules across rows may use."""
        inside = self.finite & ~self.padded
        if self.column.lower is not None:
            low = self.values > self.column.lower if self.column.lower_open else self.values >= self.column.lower
            inside &= low
        if self.column.upper is not None:
            inside &= self.values <= self.column.upper
        if self.column.name == "target":
            inside &= np.isin(self.values, TARGETS)
        return inside


@dataclass(frozen=True, eq=False)
class Sheet:
    """The columns of the contract that a frame has, typed, and what else it holds.

    Args:
        rows: number of data rows.
        cells: the contract's columns by name, shares of sources among them; one that is optional and blank throughout
            counts as absent.
        absent: required columns that the frame lacks.
        repeated: columns of the contract that occur more than once; none of their copies is in ``cells``.
        names: all column names of the frame, as text.
    """

    rows: int
    cells: dict[str, Cells]
    absent: tuple[str, ...]
    repeated: tuple[str, ...]
    names: tuple[str, ...]

    def usable(self, *names: str) -> Mask:
        """Rows where every one of these columns is there, readable and within its bounds."""
        mask = np.ones(self.rows, dtype=bool)
        for name in names:
            mask &= self.cells[name].inside if name in self.cells else False
        return mask

    @cached_property
    def is_base(self) -> Mask:
        """Rows of a base model's own losses: tokens = 0."""
        return self._tokens_where(lambda tokens: tokens == 0)

    @cached_property
    def is_training(self) -> Mask:
        """Rows measured after some training: tokens > 0."""
        return self._tokens_where(lambda tokens: tokens > 0)

    def _tokens_where(self, condition: Any) -> Mask:
        if "tokens" not in self.cells:
            return np.zeros(self.rows, dtype=bool)
        return self.usable("tokens") & condition(self.cells["tokens"].values)

    @cached_property
    def unused(self) -> tuple[str, ...]:
        """Columns that the contract does not know, in the order of the frame."""
        known = {column.name for column in COLUMNS}
        return tuple(dict.fromkeys(name for name in self.names if name not in known and not name.startswith(SHARE)))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Sources whose shares the frame tells, sorted."""
        return tuple(sorted(name.removeprefix(SHARE) for name in self.cells if name.startswith(SHARE)))

    @cached_property
    def stream_columns(self) -> tuple[str, ...]:
        """Columns that describe what was trained on; a base has seen no stream, so its cells are ignored."""
        shares = tuple(SHARE + source for source in self.sources)
        return ("ratio", *shares) if "ratio" in self.cells else shares

    @cached_property
    def later_phase(self) -> Mask:
        """Rows after a change of their run's mixture, whose mean share moves along the run."""
        if not set(PHASE) <= set(self.cells):
            return np.zeros(self.rows, dtype=bool)
        rows = self.usable(*PHASE) & self.is_training
        rows[rows] = self.cells["phase_start"].values[rows] > 0
        return rows

    @cached_property
    def base_ids(self) -> np.ndarray:
        """[row] id of each row's base as text: the ``base`` column or, without one, one base per size."""
        if "base" in self.cells:
            return self.cells["base"].values
        ids = np.full(self.rows, "", dtype=object)
        known = self.usable("size")
        if known.any():
            ids[known] = [default_base(size) for size in self.cells["size"].values[known]]
        return ids

    @cached_property
    def base_known(self) -> Mask:
        """Rows whose base is known, given or by default."""
        return self.usable("base") if "base" in self.cells else self.usable("size")


def default_base(size: float) -> str:
    """The id of a base that the table does not name: ``size-<N>``."""
    return f"size-{int(size)}" if float(size).is_integer() else f"size-{float(size)!r}"


def sheet_of(frame: pd.DataFrame) -> Sheet:
    """Type every column of the contract that a frame holds.

    Args:
        frame: any frame; its index is ignored.
    """
    names = tuple(str(name) for name in frame.columns)
    cells: dict[str, Cells] = {}
    absent, repeated = [], []
    shares = sorted({name for name in names if name.startswith(SHARE)})
    for column in (*COLUMNS, *(share_column(name.removeprefix(SHARE)) for name in shares)):
        places = [i for i, name in enumerate(names) if name == column.name]
        if not places:
            absent += [column.name] if column.required else []
        elif len(places) > 1:
            repeated.append(column.name)
        else:
            typed = _typed(column, frame.iloc[:, places[0]])
            if column.required or not typed.missing.all():
                cells[column.name] = typed
    return Sheet(len(frame), cells, tuple(absent), tuple(repeated), names)


def _typed(column: Column, raw: pd.Series) -> Cells:
    if column.kind == "number" and isinstance(raw.dtype, np.dtype) and raw.dtype.kind in "iuf":
        values = raw.to_numpy(dtype=np.float64)
        return Cells(column, values, np.isnan(values), np.zeros(len(raw), dtype=bool), raw)
    cells = raw.tolist()
    missing = np.fromiter((_is_missing(cell) for cell in cells), dtype=bool, count=len(cells))
    right = {"text": _is_text, "number": _is_number, "integer": _is_integer}[column.kind]
    wrong = np.fromiter((not right(cell) for cell in cells), dtype=bool, count=len(cells)) & ~missing
    values = _filled(column, cells, ~(missing | wrong))
    return Cells(column, values, missing, wrong, raw)


def _filled(column: Column, cells: Iterable[Any], good: Mask) -> np.ndarray:
    if column.kind == "text":
        values = np.empty(len(good), dtype=object)
        values[:] = [str(cell) if ok else "" for cell, ok in zip(cells, good, strict=True)]
        return values
    if column.kind == "number":
        return np.array([_float(c) if ok else np.nan for c, ok in zip(cells, good, strict=True)], dtype=np.float64)
    return np.array([int(c) if ok else 0 for c, ok in zip(cells, good, strict=True)], dtype=np.int64)


def _is_missing(cell: Any) -> bool:
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return True
    if isinstance(cell, str):
        return not cell.strip()
    return isinstance(cell, float | np.floating) and bool(np.isnan(cell))


def _is_text(cell: Any) -> bool:
    return isinstance(cell, str)


def _is_number(cell: Any) -> bool:
    # bool is an int to Python, but True is not a loss
    if isinstance(cell, bool | np.bool_):
        return False
    return isinstance(cell, int | float | np.integer | np.floating)


def _is_integer(cell: Any) -> bool:
    if not _is_number(cell):
        return False
    if isinstance(cell, float | np.floating) and not float(cell).is_integer():
        return False
    return int(INT64.min) <= int(cell) <= int(INT64.max)


def _float(cell: Any) -> float:
    try:
        return float(cell)
    except OverflowError:
        return float("inf")

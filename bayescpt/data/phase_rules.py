"""Rules for runs that change their mixture: when the last phase began, and that its share fits the mean of the run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayescpt.data.cells import Sheet
from bayescpt.data.faults import Fault, abbreviated, row_list
from bayescpt.data.row_rules import ROW_TOKENS, moving
from bayescpt.data.share_rules import SHARE_TOLERANCE
from bayescpt.schema import PHASE

START, SHARE = PHASE


def half_told(sheet: Sheet) -> Iterator[Fault]:
    given = [name for name in PHASE if name in sheet.cells]
    if not given:
        return
    told = [~sheet.cells[n].missing if n in sheet.cells else np.zeros(sheet.rows, bool) for n in PHASE]
    odd = (told[0] != told[1]) & sheet.is_training
    if odd.any():
        message = (
            f"expected both {START} and {SHARE} or neither, got one of them in {row_list(_numbers(odd))}; a run with "
            "one mixture throughout has 0 and its ratio"
        )
        yield Fault("phase_half_told", message, given[0], _numbers(odd))


def late_starts(sheet: Sheet) -> Iterator[Fault]:
    rows = _told(sheet)
    odd = rows.copy()
    if rows.any():
        odd[rows] = sheet.cells[START].values[rows] >= sheet.cells["tokens"].values[rows]
    if odd.any():
        message = (
            f"expected a {START} before the row's own tokens, got one at or after them in {row_list(_numbers(odd))}; a "
            "row at the very end of a phase belongs to that phase"
        )
        yield Fault("phase_late", message, START, _numbers(odd))


def impossible_shares(sheet: Sheet) -> Iterator[Fault]:
    rows = _told(sheet)
    if not rows.any() or "ratio" not in sheet.cells:
        return
    rows = rows & sheet.usable("ratio")
    start, late, tokens, mean = (sheet.cells[n].values[rows].astype(float) for n in (START, SHARE, "tokens", "ratio"))
    before = mean * tokens - late * (tokens - start)
    slack = SHARE_TOLERANCE * tokens + ROW_TOKENS
    odd = np.zeros(sheet.rows, bool)
    odd[rows] = (start < tokens) & ((before < -slack) | (before > start + slack))
    if odd.any():
        message = (
            f"expected the ratio to be the mean over the whole run, of which {SHARE} holds since {START}, but no share "
            f"before it leads there in {row_list(_numbers(odd))}; correct one of the three"
        )
        yield Fault("phase_conflict", message, SHARE, _numbers(odd))


def other_trunks(sheet: Sheet) -> Iterator[Fault]:
    """Rows of a run before its first change that rows after it contradict.

    Those after it imply what was read up to the change at t, r D - s2 (D - t). A phase without rows may lie between:
    a row before it, of e tokens and ratio s1, is wrong only where no share of the t - e tokens between leads there.
    """
    rows = _told(sheet)
    if not rows.any() or not {"run", "ratio"} <= set(sheet.cells):
        return
    rows = rows & sheet.usable("run", "ratio")
    names = ("run", START, SHARE, "tokens", "ratio")
    frame = pd.DataFrame({name: sheet.cells[name].values[rows] for name in names}).assign(row=np.flatnonzero(rows))
    later = frame[(frame[START] > 0) & (frame[START] < frame["tokens"])]
    first = later[later[START] == later.groupby("run")[START].transform("min")]
    one = first.loc[first.groupby("run")["tokens"].idxmin()].set_index("run")
    before = frame[(frame[START] == 0) & frame["run"].isin(one.index)]
    if before.empty:
        return
    change = before["run"].map(one[START])
    late = before["tokens"] > change + ROW_TOKENS
    if late.any():
        message = (
            f"expected the {START} of the last change before a row, got 0 in {row_list(_rows(before[late]))}, which "
            "other rows of their runs say to come after a change"
        )
        yield Fault("phase_trunk", message, START, _rows(before[late]))
    read = one["ratio"] * one["tokens"] - one[SHARE] * (one["tokens"] - one[START])
    slack = before["run"].map(SHARE_TOLERANCE * one["tokens"]) + ROW_TOKENS
    left = before["run"].map(read) - before["ratio"] * before["tokens"]
    odd = before[~late & ((left < -slack) | (left > change - before["tokens"] + slack))]
    if len(odd):
        parts = [
            f"run {row.run!r} has {row.ratio:g} in row {row.row + 1} at {row.tokens:g} tokens, and by the rows after "
            f"it {read[row.run] / one[START][row.run]:.3g} up to {one[START][row.run]:g}"
            for row in odd.drop_duplicates("run").itertuples()
        ]
        message = (
            f"expected rows before a {START} to have a share that leads to those after it, got "
            f"{abbreviated(parts, 'runs')}; correct {START}, {SHARE} or the ratio, which is the mean over the whole run"
        )
        yield Fault("phase_trunk", message, "ratio", _rows(odd))


def _rows(frame: pd.DataFrame) -> tuple[int, ...]:
    return tuple(sorted(int(i) + 1 for i in frame["row"]))


def moving_shares(sheet: Sheet) -> Iterator[Fault]:
    rows = _told(sheet) & sheet.later_phase
    if rows.any():
        since = np.ones(sheet.rows)
        since[rows] = np.maximum(sheet.cells["tokens"].values[rows] - sheet.cells[START].values[rows], 1.0)
        yield from moving(sheet, SHARE, rows, since, ("run", START), "a phase of a run")


def _told(sheet: Sheet) -> np.ndarray:
    """Training rows that tell both."""
    if not set(PHASE) <= set(sheet.cells):
        return np.zeros(sheet.rows, bool)
    return sheet.usable(*PHASE, "tokens") & sheet.is_training


def _numbers(odd: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) + 1 for i in np.flatnonzero(odd))

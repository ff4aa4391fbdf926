"""Shares of many sources: what is refused, and that they survive every way a table goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayescpt.data.checks import validate
from bayescpt.data.findings import Level
from bayescpt.data.overview import overview
from bayescpt.data.share_rules import SHARE_TOLERANCE
from bayescpt.data.table import Table

Sound = Callable[[], pd.DataFrame]
FIRST = 13
"""First training row of the sound table, as a person counts."""


def told(frame: pd.DataFrame) -> pd.DataFrame:
    """The sound table with the shares of three sources; one of them has the name of a domain."""
    training = frame["tokens"] > 0
    code = frame["ratio"].where(frame["domain"] == "code", 0.0)
    rest = 1 - code
    shares = {"web": 0.75 * rest, "code": code, "books": 0.25 * rest}
    return frame.assign(**{f"share_{name}": values.where(training) for name, values in shares.items()})


def put(frame: pd.DataFrame, row: int, column: str, value: Any) -> None:
    frame[column] = frame[column].astype(object)
    frame.iloc[row - 1, frame.columns.get_loc(column)] = value


def found(frame: pd.DataFrame) -> set[tuple[str, str | None, tuple[int, ...]]]:
    return {(fault.code, fault.column, fault.rows) for fault in validate(frame)}


def test_shares_are_read_by_source_in_the_order_of_their_names(sound: Sound) -> None:
    table = Table.from_frame(told(sound()))
    assert table.sources == ("books", "code", "web")
    assert table.shares is not None
    assert table.shares.shape == (len(table), 3)
    np.testing.assert_allclose(table.shares.sum(axis=1), 1)
    code = np.where(table.domain == 0, table.ratio, 0.0)
    np.testing.assert_allclose(table.shares, np.stack([(1 - code) / 4, code, 0.75 * (1 - code)], axis=1))
    assert table.unused == ()
    with pytest.raises(ValueError, match="read-only"):
        table.shares[0, 0] = 1.0


def test_a_table_without_shares_has_none(sound: Sound) -> None:
    table = Table.from_frame(sound())
    assert table.sources == ()
    assert table.shares is None
    assert not [name for name in table.frame() if name.startswith("share_")]


def test_shares_survive_frame_file_and_selection(sound: Sound, tmp_path: Path) -> None:
    table = Table.from_frame(told(sound()))
    table.frame().to_csv(tmp_path / "rows.csv", index=False)
    for again in (Table.from_frame(table.frame()), Table.read(tmp_path / "rows.csv")):
        assert (again.digest, again.sources) == (table.digest, table.sources)
        np.testing.assert_array_equal(again.shares, table.shares)
    mask = table.size < 1e8
    part = table.select(mask)
    assert part.sources == table.sources
    assert table.shares is not None
    np.testing.assert_array_equal(part.shares, table.shares[mask])
    assert Table.from_frame(part.frame()).digest == part.digest


def test_shares_are_content(sound: Sound) -> None:
    frame = told(sound())
    digests = {Table.from_frame(sound()).digest, Table.from_frame(frame).digest}
    swapped = frame.rename(columns={"share_web": "share_books", "share_books": "share_web"})
    digests.add(Table.from_frame(swapped).digest)
    assert len(digests) == 3


def test_shares_and_names_go_together(sound: Sound) -> None:
    from dataclasses import replace

    table = Table.from_frame(told(sound()))
    with pytest.raises(AssertionError, match="go together"):
        replace(table, sources=())
    with pytest.raises((AssertionError, TypeError), match="shares"):
        replace(table, sources=("books", "code"))


@pytest.mark.parametrize(
    ("value", "code"),
    [("0.2", "wrong_type"), (np.inf, "not_finite"), (1.5, "out_of_bounds"), (-0.1, "out_of_bounds")],
)
def test_a_bad_share_is_the_only_fault(sound: Sound, value: Any, code: str) -> None:
    frame = told(sound())
    put(frame, FIRST + 4, "share_web", value)
    assert found(frame) == {(code, "share_web", (FIRST + 4,))}


def test_shares_are_given_for_every_row_or_for_none(sound: Sound) -> None:
    frame = told(sound())
    put(frame, FIRST + 4, "share_web", None)
    assert found(frame) == {("partly_missing", "share_web", (FIRST + 4,))}
    blank = told(sound()).assign(share_web=None, share_code=None, share_books=None)
    assert Table.from_frame(blank).shares is None


def test_shares_add_up_to_one(sound: Sound) -> None:
    frame = told(sound())
    within = frame.assign(share_web=frame["share_web"] + 0.9 * SHARE_TOLERANCE)
    assert found(within) == set()
    short = frame.drop(columns="share_books")
    rows = tuple(i + 1 for i in np.flatnonzero(frame["share_books"] > SHARE_TOLERANCE))
    assert found(short) == {("shares_not_whole", None, rows)}
    (fault,) = validate(short)
    assert "got 0.775 in rows 13" in fault.message
    assert "share_code, share_web" in fault.message


def test_the_share_of_a_domain_is_its_ratio(sound: Sound) -> None:
    frame = told(sound())
    mine = (frame["domain"] == "code") & (frame["tokens"] > 0) & (frame["ratio"] == 0.1)
    frame.loc[mine, "ratio"] = 0.2
    rows = tuple(i + 1 for i in np.flatnonzero(mine))
    assert found(frame) == {("share_conflict", "share_code", rows)}


def test_a_mixture_that_moves_or_contradicts_itself_is_named(sound: Sound) -> None:
    frame = told(sound())
    for row in (FIRST, FIRST + 1, FIRST + 2, FIRST + 3):  # both targets at the first checkpoints of a run
        put(frame, row, "share_web", 0.2)
        put(frame, row, "share_books", 0.7)
    moved = {("ratio_moves", name, (FIRST + 2, FIRST + 3)) for name in ("share_books", "share_web")}
    early = {("ratio_moves", name, rows) for _, name, rows in found(frame)}
    assert {name for _, name, _ in early} == {name for _, name, _ in moved}
    frame = told(sound())
    put(frame, FIRST, "share_web", 0.6751)
    assert found(frame) == {("checkpoint_conflict", "share_web", (FIRST, FIRST + 1))}


def test_the_shares_of_a_base_row_are_ignored(sound: Sound) -> None:
    frame = told(sound())
    for row, value in ((1, 7.0), (2, "none"), (3, np.inf), (4, 0.3)):
        put(frame, row, "share_web", value)
    assert found(frame) == set()
    assert Table.from_frame(frame).digest == Table.from_frame(told(sound())).digest


@pytest.mark.parametrize("name", ["share_", "share_ ", "share_ web", "share_web/en"])
def test_a_source_needs_a_name(sound: Sound, name: str) -> None:
    frame = told(sound()).rename(columns={"share_web": name})
    (fault,) = [f for f in validate(frame) if f.code == "unnamed_source"]
    assert fault.column == name


def test_one_column_a_source(sound: Sound) -> None:
    frame = told(sound())
    twice = pd.concat([frame, frame[["share_web"]]], axis=1)
    assert ("repeated_column", "share_web", ()) in found(twice)


def test_the_overview_tells_sources_and_few_mixtures(sound: Sound) -> None:
    seen = overview(Table.from_frame(told(sound())))
    assert seen.given[-3:] == ("share_books", "share_code", "share_web")
    finding = {f.code: f for f in seen.findings}["few_mixtures"]
    assert finding.level is Level.REVIEW
    assert finding.message.startswith("4 mixtures of 3 sources")


def test_a_study_from_scratch_is_told_what_it_cannot_teach(sound: Sound) -> None:
    frame = sound()
    seen = overview(Table.from_frame(frame[(frame["target"] == "domain") & (frame["tokens"] > 0)]))
    codes = {f.code: f.level for f in seen.findings}
    assert codes["no_general_rows"] is Level.FAIL
    assert "late_checkpoints" not in codes
    assert "no_general_rows" not in {f.code for f in overview(Table.from_frame(frame)).findings}

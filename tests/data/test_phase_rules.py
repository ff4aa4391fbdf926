"""Runs that change their mixture: what a table may say of them, and what it may not."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from bayescpt import overview
from bayescpt.data import validate
from bayescpt.data.table import Table

Sound = Callable[[], pd.DataFrame]
RUN, BEFORE, AFTER, START = "001", 0.5, 0.9, 6e7


@pytest.fixture
def phased(sound: Sound) -> pd.DataFrame:
    """Run 001 has a share of 0.5 up to 6e7 tokens and one of 0.9 from there."""
    frame = sound()
    mine = (frame["run"] == RUN) & (frame["tokens"] > START)
    mean = (BEFORE * START + AFTER * (frame["tokens"] - START)) / frame["tokens"].where(mine)
    assert mine.sum() >= 2
    assert (frame.loc[frame["run"] == RUN, "ratio"] == BEFORE).all()
    frame = frame.assign(ratio=frame["ratio"].mask(mine, mean), domain_epochs=0.0)
    return frame.assign(phase_start=START * mine, phase_ratio=frame["ratio"].mask(mine, AFTER))


def codes(frame: pd.DataFrame) -> set[str]:
    return {fault.code for fault in validate(frame)}


def test_a_run_may_change_its_mixture_where_it_says_so(phased: pd.DataFrame) -> None:
    assert validate(phased) == ()
    assert codes(phased.drop(columns=["phase_start", "phase_ratio"])) == {"ratio_moves"}
    table = Table.from_frame(phased)
    assert table.phase_start is not None
    assert set(table.phase_start) == {0.0, START}
    assert Table.from_frame(table.frame()).digest == table.digest


def test_a_table_with_phases_says_which_law_knows_them(phased: pd.DataFrame, sound: Sound) -> None:
    found = {one.code: one for one in overview(Table.from_frame(phased)).findings}
    assert "1 of 19 runs change their mixture on the way" in found["phases"].message
    flat = sound()
    flat = flat.assign(phase_start=0.0, phase_ratio=flat["ratio"])
    assert "phases" not in {one.code for one in overview(Table.from_frame(flat)).findings}


def test_one_of_the_two_columns_says_nothing(phased: pd.DataFrame) -> None:
    assert "phase_half_told" in codes(phased.drop(columns="phase_start"))
    assert "phase_half_told" in codes(phased.drop(columns="phase_ratio"))
    half = phased.copy()
    half.loc[half.index[-1], "phase_ratio"] = None
    assert "phase_half_told" in codes(half)


def test_a_phase_begins_before_its_rows(phased: pd.DataFrame) -> None:
    late = phased["phase_start"] > 0
    found = validate(phased.assign(phase_start=phased["phase_start"].mask(late, 1e12)))
    assert "phase_late" in {fault.code for fault in found}
    assert next(f for f in found if f.code == "phase_late").rows == tuple(phased.index[late] + 1)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_mean_of_the_run_must_come_from_its_phases(phased: pd.DataFrame, share: float) -> None:
    # 6e7 tokens of any share, and the rest at 0 or 1, do not make the mean
    late = phased["phase_start"] > 0
    wrong = phased.assign(
        phase_ratio=phased["phase_ratio"].mask(late, share),
        ratio=phased["ratio"].mask(late, 0.95 if share == 0 else 0.2),
    )
    assert "phase_conflict" in codes(wrong)


def test_with_one_mixture_the_two_shares_are_one(sound: Sound) -> None:
    frame = sound()
    flat = frame.assign(phase_start=0.0, phase_ratio=frame["ratio"])
    assert validate(flat) == ()
    assert codes(flat.assign(phase_ratio=flat["ratio"].replace({0.1: 0.6}))) == {"phase_conflict"}


def test_a_phase_keeps_its_share(phased: pd.DataFrame) -> None:
    late = phased.index[phased["phase_start"] > 0]
    moved = phased.copy()
    moved.loc[late[:2], "phase_ratio"] = 0.7
    assert "ratio_moves" in codes(moved)


def test_rows_before_the_change_have_the_share_that_rows_after_it_imply(phased: pd.DataFrame) -> None:
    early = (phased["run"] == RUN) & (phased["phase_start"] == 0) & (phased["tokens"] > 0)
    assert early.any()
    columns = ["ratio", "phase_ratio"]
    assert validate(phased.assign(**{name: phased[name].mask(early, BEFORE + 0.01) for name in columns})) == ()
    (fault,) = validate(phased.assign(**{name: phased[name].mask(early, 0.7) for name in columns}))
    assert fault.code == "phase_trunk"
    assert fault.rows == tuple(phased.index[early] + 1)
    assert "run '001' has 0.7 in row" in fault.message
    assert "and 0.5 up to 6e+07 by the rows after" in fault.message


def test_a_row_after_the_change_says_so(phased: pd.DataFrame) -> None:
    """One that says 0 claims one mixture up to there."""
    late = phased.index[phased["phase_start"] > 0]
    wrong = phased.copy()
    wrong.loc[late[:2], "phase_start"] = 0.0
    wrong.loc[late[:2], "phase_ratio"] = wrong.loc[late[:2], "ratio"]
    assert "phase_trunk" in codes(wrong)

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


def changed(sound: Sound, start: float) -> pd.DataFrame:
    """Run 001 as in ``phased``, with its change at another place."""
    frame = sound()
    mine = (frame["run"] == RUN) & (frame["tokens"] > start)
    mean = (BEFORE * start + AFTER * (frame["tokens"] - start)) / frame["tokens"].where(mine)
    frame = frame.assign(ratio=frame["ratio"].mask(mine, mean), domain_epochs=0.0)
    return frame.assign(phase_start=start * mine, phase_ratio=frame["ratio"].mask(mine, AFTER))


def with_early(frame: pd.DataFrame, ratio: float) -> tuple[pd.DataFrame, pd.Series]:
    """Another share in the rows before the change, and which these are."""
    early = (frame["run"] == RUN) & (frame["phase_start"] == 0) & (frame["tokens"] > 0)
    assert early.any()
    return frame.assign(**{name: frame[name].mask(early, ratio) for name in ("ratio", "phase_ratio")}), early


@pytest.mark.parametrize("ratio", [0.05, 0.95])
def test_rows_before_the_change_fit_those_after_it(sound: Sound, ratio: float) -> None:
    # the first checkpoint is at 5e6 tokens, so that hardly anything lies between
    near = changed(sound, 5.2e6)
    assert validate(near) == ()
    assert validate(with_early(near, BEFORE + 0.01)[0]) == ()
    wrong, early = with_early(near, ratio)
    (fault,) = validate(wrong)
    assert fault.code == "phase_trunk"
    assert fault.rows == tuple(near.index[early] + 1)
    assert f"run '001' has {ratio:g} in row" in fault.message
    assert "and by the rows after it 0.5 up to 5.2e+06" in fault.message


def test_a_phase_without_rows_may_lie_between(phased: pd.DataFrame) -> None:
    # 5e6 tokens at 0.2, and at 0.527 from there to 6e7
    assert validate(with_early(phased, 0.2)[0]) == ()


def test_a_row_after_the_change_says_so(phased: pd.DataFrame, sound: Sound) -> None:
    """One that says 0 claims one mixture up to there."""
    late = phased.index[phased["phase_start"] > 0]
    wrong = phased.copy()
    wrong.loc[late[:2], "phase_start"] = 0.0
    wrong.loc[late[:2], "phase_ratio"] = wrong.loc[late[:2], "ratio"]
    faults = [fault for fault in validate(wrong) if fault.code == "phase_trunk"]
    assert [fault.rows for fault in faults] == [tuple(late[:2] + 1)]
    assert "expected the phase_start of the last change before a row, got 0 in rows" in faults[0].message
    # a packed row more than the change is counting
    near = changed(sound, 5e6 - 2048)
    early = (near["run"] == RUN) & (near["tokens"] == 5e6)
    for name, value in (("phase_start", 0.0), ("phase_ratio", BEFORE), ("ratio", BEFORE)):
        near[name] = near[name].mask(early, value)
    assert validate(near) == ()


@pytest.mark.parametrize("name", ["run", "domain", "size", "ratio", "tokens", "target", "loss"])
def test_a_table_with_phases_may_lack_any_column(phased: pd.DataFrame, name: str) -> None:
    assert "missing_column" in codes(phased.drop(columns=name))

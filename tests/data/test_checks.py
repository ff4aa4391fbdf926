from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayescpt.data.checks import RULES, validate
from bayescpt.data.faults import SHOWN
from bayescpt.schema import REQUIRED

Sound = Callable[[], pd.DataFrame]
Found = set[tuple[str, str | None, tuple[int, ...]]]

# rows of the sound table: 1-12 base losses, run "000" is rows 13-18 (code, ratio 0.1), run "001" rows 19-24
FIRST = 13


def put(frame: pd.DataFrame, row: int, column: str, value: Any) -> None:
    """Write one cell, by the row number that a person sees."""
    frame[column] = frame[column].astype(object)
    frame.iloc[row - 1, frame.columns.get_loc(column)] = value


def found(frame: pd.DataFrame) -> Found:
    return {(fault.code, fault.column, fault.rows) for fault in validate(frame)}


def test_a_sound_table_has_no_fault(sound: Sound) -> None:
    assert validate(sound()) == ()
    assert validate(sound()[list(REQUIRED)]) == ()
    assert validate(sound().set_index(np.arange(len(sound()))[::-1] * 3)) == ()


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("loss", "2.5", "wrong_type"),
        ("loss", True, "wrong_type"),
        ("run", 7, "wrong_type"),
        ("seed", 0.5, "wrong_type"),
        ("seed", 2**70, "wrong_type"),
        ("lr", "3e-4 ", "wrong_type"),
        ("run", "", "empty_id"),
        ("domain", None, "empty_id"),
        ("target", "  ", "empty_id"),
        ("domain", " code", "padded_id"),
        ("target", "General", "unknown_target"),
        ("loss", np.nan, "not_finite"),
        ("loss", np.inf, "not_finite"),
        ("size", None, "not_finite"),
        ("ratio", np.nan, "not_finite"),
        ("tokens", -np.inf, "not_finite"),
        ("flops", np.inf, "not_finite"),
        ("flops", 10**400, "not_finite"),
        ("loss", 0.0, "out_of_bounds"),
        ("loss", -1, "out_of_bounds"),
        ("size", 0, "out_of_bounds"),
        ("tokens", -1, "out_of_bounds"),
        ("ratio", 1.01, "out_of_bounds"),
        ("ratio", -0.01, "out_of_bounds"),
        ("loss_se", -0.1, "out_of_bounds"),
        ("domain_epochs", -1.0, "out_of_bounds"),
        ("loss_se", np.nan, "partly_missing"),
        ("base", "", "partly_missing"),
        ("seed", pd.NA, "partly_missing"),
    ],
)
def test_a_bad_cell_is_the_only_fault(sound: Sound, column: str, value: Any, code: str) -> None:
    frame = sound()
    put(frame, FIRST + 4, column, value)
    assert found(frame) == {(code, column, (FIRST + 4,))}


@pytest.mark.parametrize("column", REQUIRED)
def test_missing_column(sound: Sound, column: str) -> None:
    (fault,) = [f for f in validate(sound().drop(columns=column)) if f.code == "missing_column"]
    assert fault.column == column
    assert "'loss_se'" in fault.message


def test_no_columns_at_all() -> None:
    faults = validate(pd.DataFrame())
    assert [f.column for f in faults] == [*REQUIRED, None]
    assert faults[-1].code == "no_rows"


def test_repeated_column(sound: Sound) -> None:
    frame = pd.concat([sound(), sound()[["loss"]]], axis=1)
    assert found(frame) == {("repeated_column", "loss", ())}


def test_no_rows(sound: Sound) -> None:
    assert found(sound().iloc[:0]) == {("no_rows", None, ())}


def test_duplicate_key(sound: Sound) -> None:
    frame = sound()
    frame = pd.concat([frame, frame.iloc[[20 - 1]]], ignore_index=True)
    assert found(frame) == {("duplicate_key", None, (20, len(frame)))}


@pytest.mark.parametrize(("column", "value"), [("domain", "law"), ("seed", 5), ("base", "base-40000000")])
def test_run_changes(sound: Sound, column: str, value: Any) -> None:
    frame = sound()
    put(frame, FIRST, column, value)
    assert ("run_changes", column, (FIRST,)) in found(frame)


def test_run_and_base_change_size(sound: Sound) -> None:
    frame = sound()
    put(frame, FIRST, "size", 5)
    assert found(frame) == {("run_changes", "size", (FIRST,)), ("base_changes", "size", (FIRST,))}


def test_base_with_two_sizes(sound: Sound) -> None:
    frame = sound()
    frame.loc[frame["run"] == "000", "size"] = 11_000_000
    assert found(frame) == {("base_changes", "size", tuple(range(FIRST, FIRST + 6)))}


def test_moving_ratio(sound: Sound) -> None:
    frame = sound()
    for row in (FIRST + 2, FIRST + 3):  # a tenth of the run, where counting explains 0.02 / sqrt(0.1) = 0.063
        put(frame, row, "ratio", 0.2)
    assert found(frame) == {("ratio_moves", "ratio", (FIRST + 2, FIRST + 3))}
    for row in (FIRST + 2, FIRST + 3):
        put(frame, row, "ratio", 0.15)
    assert found(frame) == set()


def test_checkpoint_conflict(sound: Sound) -> None:
    frame = sound()
    put(frame, FIRST, "ratio", 0.11)
    put(frame, FIRST + 6, "lr", 2e-4)
    assert found(frame) == {
        ("checkpoint_conflict", "ratio", (FIRST, FIRST + 1)),
        ("checkpoint_conflict", "lr", (FIRST + 6, FIRST + 7)),
    }


def test_base_conflict(sound: Sound) -> None:
    frame = sound()
    again = frame.iloc[:1].assign(run="again")
    for shift, faults in (
        (0.0, set()),
        (5e-5, set()),
        (1e-3, {("base_conflict", "loss", (1, len(frame) + 1))}),
    ):
        assert found(pd.concat([frame, again.assign(loss=again["loss"] + shift)])) == faults


def test_base_conflict_of_one_size_asks_for_a_base_column(sound: Sound) -> None:
    frame = sound().drop(columns="base")
    frame = pd.concat([frame, frame.iloc[:1].assign(run="again", loss=1.0)])
    (fault,) = validate(frame)
    assert fault.rows == (1, len(frame))
    assert "need a base column" in fault.message


def test_the_ratio_of_a_base_row_is_ignored(sound: Sound) -> None:
    frame = sound()
    for row, value in ((1, np.nan), (2, 7.0), (3, "none")):
        put(frame, row, "ratio", value)
    assert found(frame) == set()


def test_base_rows_may_lack_what_only_runs_have(sound: Sound) -> None:
    frame = sound()
    assert frame["lr"].isna().sum() == 12
    put(frame, 1, "base", None)
    assert found(frame) == {("partly_missing", "base", (1,))}


def test_no_training_rows(sound: Sound) -> None:
    assert found(sound().iloc[:12]) == {("no_training_rows", "tokens", ())}


def test_target_never_measured(sound: Sound) -> None:
    frame = sound()
    frame = frame[(frame["target"] == "general") | (frame["tokens"] == 0)]
    assert found(frame) == {("target_unmeasured", "target", ())}


def test_a_study_from_scratch_has_no_general_rows(sound: Sound) -> None:
    frame = sound()
    assert found(frame[(frame["target"] == "domain") & (frame["tokens"] > 0)]) == set()


def test_target_never_measured_in_one_domain(sound: Sound) -> None:
    frame = sound()
    gone = (frame["domain"] == "law") & (frame["target"] == "general") & (frame["tokens"] > 0)
    frame = frame[~gone].reset_index(drop=True)
    law = frame.index[(frame["domain"] == "law") & (frame["tokens"] > 0)] + 1
    assert found(frame) == {("target_unmeasured", "target", tuple(law))}
    # the row that cannot be read may be the one that is missed
    put(frame, int(law[0]), "target", "generel")
    assert found(frame) == {("unknown_target", "target", (int(law[0]),))}


def test_a_domain_with_base_losses_only_is_allowed(sound: Sound) -> None:
    frame = sound()
    assert found(frame[(frame["domain"] == "code") | (frame["tokens"] == 0)]) == set()


def test_every_kind_of_fault_at_once(sound: Sound) -> None:
    frame = sound()
    put(frame, 13, "loss", np.nan)
    put(frame, 14, "loss", "2.1 nats")
    put(frame, 15, "target", "both")
    put(frame, 16, "ratio", 1.5)
    put(frame, 17, "run", "")
    put(frame, 19, "domain", "law")
    put(frame, 25, "flops", 1.0)
    put(frame, 31, "seed", None)
    put(frame, 37, "base", " base-10000000")
    put(frame, 43, "size", 1e6)
    frame = pd.concat([frame, frame.iloc[[48 - 1]], frame.iloc[[0]].assign(run="b", loss=9.0)])
    last = len(frame)
    expected = {
        ("not_finite", "loss", (13,)),
        ("wrong_type", "loss", (14,)),
        ("unknown_target", "target", (15,)),
        ("out_of_bounds", "ratio", (16,)),
        ("empty_id", "run", (17,)),
        ("run_changes", "domain", (19,)),
        ("checkpoint_conflict", "flops", (25, 26)),
        ("partly_missing", "seed", (31,)),
        ("padded_id", "base", (37,)),
        ("run_changes", "size", (43,)),
        ("base_changes", "size", (43,)),
        ("duplicate_key", None, (48, last - 1)),
        ("base_conflict", "loss", (1, last)),
    }
    assert found(frame) == expected


def test_long_lists_are_short_in_the_message_and_whole_in_the_fault(sound: Sound) -> None:
    frame = sound()
    frame["loss"] = -1.0
    (fault,) = [f for f in validate(frame) if f.code == "out_of_bounds"]
    assert fault.rows == tuple(range(1, len(frame) + 1))
    assert f"and {len(frame) - SHOWN} more ({len(frame)} rows)" in fault.message
    assert len(fault.message) < 250


BAD: dict[str, st.SearchStrategy[Any]] = {
    "run": st.sampled_from([None, "", " ", 3, 1.5, "\t000"]),
    "domain": st.sampled_from([None, "", 3, b"code", "medicine"]),
    "size": st.one_of(st.sampled_from([None, np.nan, np.inf, "1e6"]), st.floats(max_value=0), st.floats(1, 9e6)),
    "ratio": st.one_of(st.sampled_from([None, "half"]), st.floats(1.0, exclude_min=True), st.floats(max_value=-1e-9)),
    "tokens": st.one_of(st.sampled_from([None, np.nan, np.inf, "10"]), st.floats(max_value=-1e-9)),
    "target": st.text(max_size=8).filter(lambda text: text not in ("general", "domain")),
    "loss": st.one_of(st.sampled_from([None, np.nan, np.inf, "x", True]), st.floats(max_value=0.0)),
    "loss_se": st.one_of(st.sampled_from([None, np.nan, np.inf, "x"]), st.floats(max_value=-1e-9)),
    "base": st.sampled_from([None, "", 5, "another"]),
    "seed": st.one_of(st.sampled_from([None, "0", 0.5]), st.integers(2, 9)),
    "lr": st.one_of(st.sampled_from([None, "x", np.inf]), st.floats(max_value=-1e-9), st.floats(4e-4, 1)),
}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_broken_training_row_is_caught_and_named(sound: Sound, data: st.DataObject) -> None:
    frame = sound()
    column = data.draw(st.sampled_from(sorted(BAD)))
    row = data.draw(st.integers(FIRST, len(frame)))
    put(frame, row, column, data.draw(BAD[column]))
    faults = validate(frame)
    assert any(fault.column == column and row in fault.rows for fault in faults)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_content_makes_a_rule_crash(sound: Sound, data: st.DataObject) -> None:
    frame = sound().iloc[:20]
    cell = st.one_of(
        st.none(),
        st.text(max_size=4),
        st.floats(),
        st.integers(),
        st.booleans(),
        st.just([1]),
        st.binary(max_size=2),
    )
    for _ in range(data.draw(st.integers(1, 30))):
        column = data.draw(st.sampled_from(list(frame.columns)))
        put(frame, data.draw(st.integers(1, len(frame))), column, [data.draw(cell)][0])
    for fault in validate(frame):
        assert all(1 <= row <= len(frame) for row in fault.rows)
        assert list(fault.rows) == sorted(set(fault.rows))


def test_rules_are_listed_once() -> None:
    assert len(set(RULES)) == len(RULES)


@pytest.mark.parametrize("name", ["a\0b", "a\tb", "a\nb", "a\ud800b"])
def test_names_that_no_file_holds(name: str, sound: Sound) -> None:
    frame = sound()
    # as objects: text of pandas refuses half a pair itself
    frame["domain"] = pd.Series([name if one == "law" else one for one in frame["domain"]], frame.index, object)
    (fault,) = validate(frame)
    assert fault.code == "unprintable_id"
    assert fault.column == "domain"
    assert len(fault.rows) == (frame["domain"] == name).sum()

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayescpt.data.faults import TableError
from bayescpt.data.table import COVARIATES, Table
from bayescpt.schema import COLUMNS, REQUIRED

Sound = Callable[[], pd.DataFrame]


def assert_same(a: Table, b: Table) -> None:
    assert (a.domains, a.runs, a.bases, a.digest) == (b.domains, b.runs, b.bases, b.digest)
    assert a._arrays().keys() == b._arrays().keys()
    for name, array in a._arrays().items():
        np.testing.assert_array_equal(array, b._arrays()[name], err_msg=name)


def test_arrays_hold_the_training_rows(sound: Sound) -> None:
    frame = sound()
    frame = frame.assign(phase_start=0.0, phase_ratio=frame["ratio"])
    table = Table.from_frame(frame)
    assert len(table) == 19 * 6
    assert table.domains == ("code", "law")
    assert table.runs == tuple(f"{i:03d}" for i in range(19))
    assert table.bases == ("base-10000000", "base-160000000", "base-40000000")
    assert table.base_size.tolist() == [1e7, 1.6e8, 4e7]
    frame = frame.query("tokens > 0").set_index(["run", "tokens", "target"])
    for i in range(len(table)):
        target = ("general", "domain")[table.target[i]]
        row = frame.loc[(table.runs[table.run[i]], int(table.tokens[i]), target)]
        assert (table.size[i], table.ratio[i], table.loss[i]) == (row["size"], row["ratio"], row["loss"])
        assert table.domains[table.domain[i]] == row["domain"]
        assert table.bases[table.base[i]] == row["base"]
        assert table.share[i] == (row["ratio"] if target == "domain" else 1 - row["ratio"])
        assert table.base_loss[i] == 3.0 + (0.5 if target == "domain" else 0.0) - row["size"] / 1e9
        assert table.seed is not None
        assert table.seed[i] == row["seed"]
        for name in COVARIATES:
            assert getattr(table, name)[i] == row[name]


def test_base_losses_by_base_domain_target(sound: Sound) -> None:
    frame = sound()
    table = Table.from_frame(frame.drop(index=0))
    assert table.base_losses.shape == (3, 2, 2)
    assert np.argwhere(np.isnan(table.base_losses)).tolist() == [[0, 0, 0]]
    assert table.base_losses[0, 0, 1] == 3.49
    assert table.base_losses_se[0, 0, 1] == 0.01
    lost = (table.base == 0) & (table.domain == 0) & (table.target == 0)
    assert np.isnan(table.base_loss).tolist() == lost.tolist()


def test_without_base_rows_no_start_is_known(sound: Sound) -> None:
    table = Table.from_frame(sound().query("tokens > 0"))
    assert np.isnan(table.base_loss).all()


def test_repeated_base_evaluations_are_averaged(sound: Sound) -> None:
    frame = sound()
    again = frame.iloc[:1].assign(run="again", loss=frame["loss"][0] + 6e-5)
    table = Table.from_frame(pd.concat([frame, again]))
    assert table.base_losses[0, 0, 0] == pytest.approx(frame["loss"][0] + 3e-5, abs=1e-12)
    assert_same(table, Table.from_frame(pd.concat([again, frame])))


def test_one_base_per_size_by_default(sound: Sound) -> None:
    table = Table.from_frame(sound()[list(REQUIRED)])
    assert table.bases == ("size-10000000", "size-160000000", "size-40000000")
    assert np.isfinite(table.base_loss).all()
    assert [getattr(table, name) for name in (*COVARIATES, "seed")] == [None] * (len(COVARIATES) + 1)
    odd = sound()[list(REQUIRED)]
    odd["size"] = odd["size"] + 0.5
    assert Table.from_frame(odd).bases[0] == "size-10000000.5"


def test_other_columns_are_unused(sound: Sound) -> None:
    frame = sound().assign(wandb_id="x", note=1)
    assert Table.from_frame(frame).unused == ("wandb_id", "note")
    assert Table.from_frame(frame).digest == Table.from_frame(sound()).digest


def test_an_optional_column_left_blank_counts_as_absent(sound: Sound) -> None:
    table = Table.from_frame(sound().assign(lr=None, base=""))
    assert table.lr is None
    assert table.bases[0] == "size-10000000"


def test_arrays_cannot_be_written_and_the_source_can(sound: Sound) -> None:
    loss = np.array(Table.from_frame(sound()).loss)
    table = replace(Table.from_frame(sound()), loss=loss)
    for array in (table.loss, table.share, table.base_loss, table.base_losses):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    loss[0] = 1.0


def test_arrays_of_wrong_length_are_a_mistake_of_the_caller(sound: Sound) -> None:
    table = Table.from_frame(sound())
    # with run-time shape checks switched on, jaxtyping's TypeError comes first
    with pytest.raises((AssertionError, TypeError), match="loss_se"):
        replace(table, loss_se=table.loss[:-1])
    with pytest.raises(AssertionError, match="code"):
        replace(table, runs=table.runs[:-1])


def test_faults_carry_the_source(tmp_path: Path, sound: Sound) -> None:
    path = tmp_path / "rows.csv"
    sound().assign(loss=-1.0).to_csv(path, index=False)
    with pytest.raises(TableError, match=r"rows\.csv cannot be used") as caught:
        Table.read(path)
    assert [fault.code for fault in caught.value.faults] == ["out_of_bounds"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_and_columns_does_not_matter(sound: Sound, seed: int) -> None:
    frame = sound().sample(frac=1.0, random_state=seed)
    columns = np.random.default_rng(seed).permutation(frame.columns)
    assert_same(Table.from_frame(frame[columns]), Table.from_frame(sound()))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_other_content_has_another_digest(sound: Sound, data: st.DataObject) -> None:
    frame = sound()
    column = data.draw(st.sampled_from(["loss", "loss_se", "run", "lr_anneal", "size", "base"]))
    row = data.draw(st.integers(0, len(frame) - 1))
    if column == "lr_anneal":  # base rows have none
        row = max(row, 12)
    if column in ("loss", "loss_se", "lr_anneal"):
        rows = (frame["run"] == frame["run"][row]) & (frame["tokens"] == frame["tokens"][row])
        frame.loc[rows, column] = np.nextafter(frame.loc[rows, column], 10.0)
    else:
        old = frame.loc[max(row, 12), column]
        frame.loc[frame[column] == old, column] = f"{old}-new" if column != "size" else old + 1
    assert Table.from_frame(frame).digest != Table.from_frame(sound()).digest


def test_csv_gzip_and_parquet_give_the_same_table(tmp_path: Path, sound: Sound) -> None:
    rng = np.random.default_rng(3)
    frame = sound()
    frame["loss"] = frame["loss"] + np.where(frame["tokens"] > 0, rng.random(len(frame)), 0)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.csv.gz", "a.parquet"):
        assert_same(Table.read(tmp_path / name), Table.from_frame(frame))


text = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6)
loss = st.floats(1e-3, 20.0)


@settings(max_examples=40, deadline=None)
@given(names=st.lists(text, min_size=2, max_size=2, unique=True), losses=st.lists(loss, min_size=8, max_size=8))
def test_csv_and_parquet_agree_on_any_names_and_numbers(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], losses: list[float]
) -> None:
    rows = [
        {"run": run, "domain": run[::-1], "size": 10**6, "ratio": 0.3, "tokens": tokens, "target": target}
        for run in names
        for tokens in (1000, 2000)
        for target in ("general", "domain")
    ]
    frame = pd.DataFrame(rows).assign(loss=losses)
    folder = tmp_path_factory.mktemp("agree")
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_parquet(folder / "a.pq")
    assert_same(Table.read(folder / "a.csv"), Table.read(folder / "a.pq"))


def test_frame_goes_round(tmp_path: Path, sound: Sound) -> None:
    for frame in (sound(), sound()[list(REQUIRED)], sound().query("tokens > 0"), sound().drop(index=0)):
        table = Table.from_frame(frame)
        again = table.frame()
        assert list(again.columns) == [c.name for c in COLUMNS if c.name in again.columns]
        assert_same(Table.from_frame(again), table)
        again.to_csv(tmp_path / "again.csv", index=False)
        assert_same(Table.read(tmp_path / "again.csv"), table)


def test_frame_goes_round_when_a_run_has_the_name_of_a_base_row(sound: Sound) -> None:
    frame = sound()
    frame.loc[frame["run"] == "018", "run"] = '["base-10000000", "code"]'
    table = Table.from_frame(frame)
    assert_same(Table.from_frame(table.frame()), table)


def test_select_keeps_names_and_codes(sound: Sound) -> None:
    table = Table.from_frame(sound())
    part = table.select(table.size < 1e8)
    assert len(part) == 78
    assert (part.domains, part.runs, part.bases) == (table.domains, table.runs, table.bases)
    np.testing.assert_array_equal(part.loss, table.loss[table.size < 1e8])
    np.testing.assert_array_equal(part.base_loss, table.base_loss[table.size < 1e8])
    np.testing.assert_array_equal(part.base_losses, table.base_losses)
    assert part.seed is not None
    assert len(part.seed) == 78
    assert part.digest != table.digest
    assert Table.from_frame(part.frame()).digest == part.digest
    assert len(table.select(np.zeros(len(table), dtype=bool))) == 0


def test_select_wants_one_boolean_per_row(sound: Sound) -> None:
    table = Table.from_frame(sound())
    for mask in (np.ones(3, dtype=bool), np.arange(len(table))):
        with pytest.raises(ValueError, match="expected a mask of 114 booleans"):
            table.select(mask)


def test_digest_is_a_sha256(sound: Sound) -> None:
    digest = Table.from_frame(sound()).digest
    assert len(digest) == 2 * hashlib.sha256().digest_size
    zero = sound().assign(lr_anneal=-0.0)
    assert Table.from_frame(zero).digest == digest

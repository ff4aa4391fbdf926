from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bayescpt.schema import COLUMNS, Observation
from trainer.bases import BaseSpec
from trainer.files import atomic_path, content_hash, read_json, write_json
from trainer.records import Record, check_row, collect
from trainer.schedule import Constant, Cosine
from trainer.spec import Mix, RunSpec, Topics
from trainer.training import Training

TRAINING = Training(1024, 16, 4, 1e-3, Constant(64), first_evaluation=64)
BASE = BaseSpec(32, 280, "general", "key", 0, TRAINING)
DATA = {"general": "key", "code": "key2"}


def run_of(ratio: float, domain: str = "code", seed: int = 0, training: Training = TRAINING) -> RunSpec:
    return RunSpec(BASE, domain, DATA, (Mix(0, {"general": 1 - ratio, domain: ratio}),), seed, training)


RUN = run_of(0.5)
TOPICS = Topics(0.5, "maxabs", 64, {"general": 1.0, "code": 1.0})
ROW = Observation(RUN.run_id, "code", 1, 0.5, 64, "general", 3.0, 0.1, BASE.run_id, 0, 1.0, 1e-3, 0.1, 0.0, 0.2)


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})

    def die_halfway() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half of", "utf-8")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        die_halfway()
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["value.json"]
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    path.write_text("{", "utf-8")
    with pytest.raises(ValueError, match="expected JSON"):
        read_json(path)


def test_content_hash_ignores_the_order_of_keys_only() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash({"a": 1, "b": [1, 2]}) != content_hash({"a": 1, "b": [2, 1]})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"loss": float("nan")}, "loss = nan is not finite"),
        ({"loss": 0.0}, "loss = 0.0 is below"),
        ({"ratio": 1.5}, "ratio = 1.5 is above"),
        ({"lr_sum": float("inf"), "tokens": -1}, "tokens = -1 is below its bound 0; lr_sum = inf"),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_written(tmp_path: Path, change: dict[str, float], told: str) -> None:
    record = Record(tmp_path, RUN)
    record.start({}, resumed=False)
    with pytest.raises(ValueError, match=told):
        record.append([ROW, replace(ROW, target="domain", **change)], 1.0)  # type: ignore[arg-type]
    assert not (record.folder / "rows.parquet").exists()
    check_row(ROW)


def test_rows_survive_and_a_resumed_run_replaces_what_it_measures_again(tmp_path: Path) -> None:
    record = Record(tmp_path, RUN)
    assert record.status() is None
    record.start({"threads": 1}, resumed=False)
    record.append([ROW], 1.5)
    record.append([replace(ROW, tokens=128, loss=2.0)], 4.0)
    again = Record(tmp_path, RUN)
    again.start({"threads": 1}, resumed=True)
    again.append([replace(ROW, tokens=128, loss=2.5)], 0.5)
    assert collect(tmp_path, [RUN, BASE], "rows.parquet") == 2
    table = pd.read_parquet(tmp_path / "rows.parquet")
    assert list(table.columns) == [column.name for column in COLUMNS]
    assert table["loss"].tolist() == [3.0, 2.5]
    again.finish(1.0, {"general": [2.0, 3.0]})
    assert again.row_losses() == {"general": [2.0, 3.0]}
    assert again.status() == "finished"
    assert read_json(again.folder / "provenance.json")["threads"] == 1
    assert read_json(again.folder / "provenance.json")["seconds"] == 5.0
    assert read_json(again.folder / "spec.json")["base"]["width"] == 32


def test_diverged_runs_are_not_collected_and_start_anew(tmp_path: Path) -> None:
    record = Record(tmp_path, RUN)
    record.start({}, resumed=False)
    record.append([ROW], 1.0)
    record.fail("OSError: no space left")
    assert (record.status(), record.diverged()) == ("failed", False)
    assert collect(tmp_path, [RUN], "rows.parquet") == 1
    record.fail("DivergedError: loss", final=True)
    assert (record.status(), record.reason()) == ("failed", "DivergedError: loss")
    assert collect(tmp_path, [RUN], "rows.parquet") == 0
    record.start({}, resumed=False)
    assert collect(tmp_path, [RUN], "rows.parquet") == 0


def test_an_id_depends_on_every_setting_of_the_run_and_of_its_base() -> None:
    changed = [
        run_of(0.25),
        replace(RUN, seed=1),
        replace(RUN, data={**DATA, "code": "other"}),
        replace(RUN, mixes=(*RUN.mixes, Mix(512, {"general": 0.5, "code": 0.5}))),
        replace(RUN, optimizer="keep"),
        replace(RUN, orders={"general": "original"}),
        replace(RUN, limits={"code": 160}),
        replace(RUN, max_epochs={"code": 4}),
        replace(RUN, training=replace(TRAINING, schedule=Constant(128))),
        replace(RUN, training=replace(TRAINING, schedule=Cosine(64))),
        replace(RUN, trunk=RUN, at=512, optimizer="keep"),
        replace(RUN, training=replace(TRAINING, lr=2e-3)),
        replace(RUN, base=replace(BASE, seed=1)),
        replace(RUN, base=replace(BASE, general_data="other")),
    ]
    assert len({RUN.run_id, *(run.run_id for run in changed)}) == len(changed) + 1
    assert run_of(1).run_id == run_of(1.0).run_id
    assert RUN.run_id == run_of(0.5).run_id


def test_a_run_names_every_fault() -> None:
    with pytest.raises(ValueError) as refused:
        run_of(1.5, "general", -1, replace(TRAINING, length=8))
    for told in (
        "seed: expected",
        "is the general corpus",
        "mixes at 0: mixture",
        "length: 8, but its base has 16",
    ):
        assert told in str(refused.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"optimizer": "half"}, "optimizer: expected reset or keep"),
        ({"at": 64}, "no trunk to branch from"),
        ({"trunk": RUN, "at": 64}, "a branch goes on with the state of its trunk"),
        ({"trunk": RUN, "at": 100, "optimizer": "keep"}, "at: expected a multiple of a step of 64"),
        ({"trunk": RUN, "at": 2048, "optimizer": "keep"}, "up to 1024, got 2048"),
        ({"trunk": RUN, "at": 64, "optimizer": "keep", "seed": 3}, "the seed of its trunk"),
        ({"trunk": RUN, "at": 64, "optimizer": "keep", "limits": {"code": 160}}, "as its trunk does"),
        ({"trunk": replace(RUN, topics=TOPICS), "at": 64, "optimizer": "keep"}, "no branch can read on from there"),
        ({"mixes": (Mix(64, {"general": 1.0}),)}, "must start at 0 tokens"),
        ({"mixes": (Mix(0, {"general": 1.0}), Mix(70, {"general": 1.0}))}, "70 is not a multiple of a row"),
        ({"mixes": (Mix(0, {"general": 0.5, "law": 0.5}),)}, "no packed rows are named for law"),
        (
            {"orders": {"code": "original"}},
            "expected one of shuffled, ascending, descending, got 'original'",
        ),
        ({"limits": {"law": 100}}, "limits: law is in no mix"),
        ({"limits": {"code": 3}}, "limits.code: expected a whole number of tokens, at least a row of 16"),
        ({"limits": {"general": 160}, "orders": {"general": "original"}}, "cannot be read in its original order"),
        ({"max_epochs": {"code": 0}}, "max_epochs.code: expected a number above 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as refused:
        replace(RUN, **change)
    assert told in str(refused.value)


def test_the_ratio_of_several_mixes_is_that_of_their_tokens() -> None:
    changing = replace(RUN, mixes=(Mix(0, {"general": 1.0}), Mix(768, {"general": 0.2, "code": 0.8})))
    assert changing.ratio == pytest.approx(0.2)

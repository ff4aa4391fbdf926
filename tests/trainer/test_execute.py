"""Runs from their settings to their rows: branches, kept optimizers, replay in the original order, scarce domains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainer.checkpoint import find_state
from trainer.execute import execute
from trainer.prepare import TRAIN, open_rows, open_tokenizer, prepare
from trainer.records import FINISHED, Record
from trainer.snapshots import snapshot_path, want
from trainer.spec import RunSpec, Spec
from trainer.stream import stream_of, usable_rows
from trainer.study import Study, parse_study

BRANCH = {"tokens": 128, "schedule": {"kind": "wsd", "decay_tokens": 128}, "evaluations": 2}


def prepared(content: dict[str, Any], folder: Path, out: Path) -> Study:
    study = parse_study(content, folder)
    prepare(study.data, out, study.corpora, lambda _: None)
    return study


def trained(study: Study, out: Path, *specs: Spec) -> list[pd.DataFrame]:
    for spec in specs:
        execute(spec, study.data, out)
        assert Record(out, spec).status() == FINISHED
    return [pd.read_parquet(Record(out, spec).folder / "rows.parquet") for spec in specs]


def row_counts(study: Study, out: Path) -> dict[str, int]:
    tokenizer = open_tokenizer(study.data, out)
    return {name: open_rows(study.data, out, name, TRAIN, tokenizer).header.rows for name in study.corpora}


def test_a_branch_is_the_same_whether_its_trunk_kept_the_state_or_not(
    tmp_path: Path, study_content: dict[str, Any]
) -> None:
    study_content["grid"]["ratios"] = [0.5]
    study_content["branches"] = [{"at": [320, 640], **BRANCH}]
    out, other = tmp_path / "out", tmp_path / "other"
    study = prepared(study_content, tmp_path, out)
    trunk, early, late = study.runs
    want(out, study.specs)
    trained(study, out, *study.bases, trunk)
    assert snapshot_path(out, trunk, 320).exists()
    assert snapshot_path(out, trunk, 640).exists()
    first, last = trained(study, out, early, late)

    prepared(study_content, tmp_path, other)
    trained(study, other, *study.bases, trunk)
    assert not snapshot_path(other, trunk, 320).exists()
    [again] = trained(study, other, early)
    pd.testing.assert_frame_equal(first, again)

    assert first["tokens"].tolist() == [320, 320, 384, 384, 448, 448]
    assert last["tokens"].max() == 640 + 128
    of_trunk = pd.read_parquet(Record(out, trunk).folder / "rows.parquet")
    at_start = first[first["tokens"] == 320].set_index("target")
    assert at_start["lr_sum"].iloc[0] == pytest.approx(of_trunk["lr_sum"].max() / 2, rel=0.1)
    assert first["lr_anneal"].iloc[-1] > 0
    assert (of_trunk["lr_anneal"] == 0).all()
    end = first[first["tokens"] == 448]
    assert (end["ratio"] - 0.5).abs().max() < 2 / 28  # 28 rows, within one of either part
    assert first["base"].unique().tolist() == [study.bases[0].run_id]


def test_a_kept_optimizer_changes_the_run_and_is_trained_again_when_lost(
    tmp_path: Path, study_content: dict[str, Any]
) -> None:
    study_content["grid"]["ratios"] = [0.5]
    study_content["runs"] = [{"size": 32, "domain": "code", "ratio": 0.5, "optimizer": "keep"}]
    out = tmp_path / "out"
    study = prepared(study_content, tmp_path, out)
    keep, reset = study.runs
    trained(study, out, *study.bases)
    kept, fresh = trained(study, out, keep, reset)
    assert kept["lr_sum"].min() == 0  # its own learning rates, not those of the base
    start = kept["tokens"] == 0
    pd.testing.assert_series_equal(kept.loc[start, "loss"], fresh.loc[start, "loss"])
    assert (kept.loc[~start, "loss"] - fresh.loc[~start, "loss"]).abs().max() > 1e-4


def test_a_lost_trunk_is_trained_again_in_its_own_precision(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["grid"]["ratios"] = [0.5]
    late = dict(study_content)
    branch = {"at": [320], "tokens": 128, "schedule": {"kind": "constant"}, "precision": "bfloat16", "evaluations": 2}
    study_content["branches"] = [branch]
    found = []
    for first, name in ((study_content, "known"), (late, "late")):
        out = tmp_path / name
        before = prepared(first, tmp_path, out)
        want(out, before.specs)
        trained(before, out, before.bases[0], before.runs[0])
        study = prepared(study_content, tmp_path, out)
        assert find_state(snapshot_path(out, study.runs[0], 320)) is None or name == "known"
        found += trained(study, out, study.runs[1])
    pd.testing.assert_frame_equal(*found)


def test_replay_in_the_original_order_reads_what_the_base_read_first(
    tmp_path: Path, study_content: dict[str, Any]
) -> None:
    study_content["grid"]["ratios"] = [0.5]
    study_content["run"]["orders"] = {"general": "original"}
    study = prepared(study_content, tmp_path, tmp_path / "out")
    rows = row_counts(study, tmp_path / "out")
    base, run = stream_of(study.bases[0], rows), stream_of(study.runs[0], rows)
    replayed = [row for name, row in (run.at(i) for i in range(40)) if name == "general"]
    assert replayed == [base.at(i)[1] for i in range(20)]


def test_a_curriculum_reads_what_the_base_finds_easy_first(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["grid"]["ratios"] = [0.5]
    study_content["run"]["orders"] = {"code": "ascending"}
    out = tmp_path / "out"
    study = prepared(study_content, tmp_path, out)
    trained(study, out, study.bases[0], study.runs[0])
    path = study.data.shard_path(out, "code", TRAIN).with_name(f"perplexity-{study.bases[0].run_id}.npy")
    scores = np.load(path)
    stream = stream_of(study.runs[0], row_counts(study, out), {"code": scores})
    read = [row for name, row in (stream.at(i) for i in range(40)) if name == "code"]
    assert read == np.argsort(scores, kind="stable")[:20].tolist()
    assert np.ptp(scores) > 1

    study_content["run"]["orders"] = {"code": "descending"}
    hard = prepared(study_content, tmp_path, out)
    assert hard.runs[0].run_id != study.runs[0].run_id
    first = stream_of(hard.runs[0], row_counts(study, out), {"code": scores})
    assert next(row for name, row in (first.at(i) for i in range(2)) if name == "code") == int(np.argmax(scores))


def test_a_scarce_domain_is_repeated_and_its_epochs_are_in_the_rows(
    tmp_path: Path, study_content: dict[str, Any]
) -> None:
    study_content["grid"]["ratios"] = [0.5]
    study_content["run"]["limits"] = {"code": 64}
    out = tmp_path / "out"
    study = prepared(study_content, tmp_path, out)
    _, rows = trained(study, out, study.bases[0], study.runs[0])
    assert rows["domain_epochs"].max() == pytest.approx(20 / 4)
    run = study.runs[0]
    assert isinstance(run, RunSpec)
    with pytest.raises(ValueError, match="code: limited to 4 rows of 16 tokens, but there are only 3"):
        usable_rows(run, {"general": 100, "code": 3})

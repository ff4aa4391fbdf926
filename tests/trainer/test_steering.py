"""A run whose shares follow the perplexity of its corpora, also when it is stopped and taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.trainer.conftest import write_documents
from trainer.execute import execute
from trainer.prepare import prepare
from trainer.records import Record
from trainer.spec import RunSpec
from trainer.study import Study, parse_study
from trainer.topics import TopicController

TOPICS = {
    "alpha": 0.5,
    "normalise": "maxabs",
    "interval_tokens": 192,
    "weights": {"general": 1, "code": 1},
    "floor": 0.05,
}


class Stopped(BaseException):
    """Ends a run as kill -9 would."""


def prepared(content: dict[str, Any], folder: Path, out: Path) -> tuple[Study, RunSpec]:
    content["grid"]["ratios"] = [0.4]
    content["run"]["topics"] = TOPICS
    study = parse_study(content, folder)
    prepare(study.data, out, study.corpora, lambda _: None)
    execute(study.bases[0], study.data, out)
    return study, study.runs[0]


def result(out: Path, run: RunSpec) -> tuple[pd.DataFrame, TopicController]:
    folder = Record(out, run).folder
    log = TopicController.from_json(json.loads((folder / "topics.json").read_text("utf-8")))
    return pd.read_parquet(folder / "rows.parquet"), log


def test_shares_follow_perplexity_and_are_in_the_rows(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study, run = prepared(study_content, tmp_path, tmp_path / "out")
    execute(run, study.data, tmp_path / "out")
    rows, log = result(tmp_path / "out", run)
    assert [entry.tokens for entry in log.log] == [0, 192, 384, 576]
    assert log.log[0].after == log.options.start
    # the base knows its own corpus, so the domain falls faster, and the general corpus gets more
    assert log.log[1].after["general"] > log.log[0].after["general"]
    length = 16
    expected, counted = 0.0, 0
    for entry, end in zip(log.log, [192, 384, 576, 640], strict=True):
        expected += float(entry.after["code"]) * (end - entry.tokens) / length
        counted += 1
    assert rows["ratio"].iloc[-1] * 640 / length == pytest.approx(expected, abs=counted)
    assert rows["ratio"].iloc[-1] < 0.4


@pytest.mark.parametrize("stop", [128, 256, 448, 576])
def test_a_steered_run_that_is_stopped_reads_what_it_would_have_read(
    tmp_path: Path, study_content: dict[str, Any], stop: int
) -> None:
    study, run = prepared(study_content, tmp_path, tmp_path / "whole")
    execute(run, study.data, tmp_path / "whole")
    prepared(study_content, tmp_path, tmp_path / "parts")

    def tick(tokens: int) -> None:
        if tokens >= stop:
            raise Stopped

    with pytest.raises(Stopped):
        execute(run, study.data, tmp_path / "parts", tick)
    execute(run, study.data, tmp_path / "parts")
    (rows, log), (again, log_again) = (result(tmp_path / name, run) for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(rows, again)
    assert log.log == log_again.log


@pytest.mark.parametrize("stop", [0, 128, 384, 512])
def test_only_topics_of_the_first_stage_are_steered(tmp_path: Path, study_content: dict[str, Any], stop: int) -> None:
    write_documents(tmp_path / "law", ["shall", "court", "party", "act", "hereby"], 40, 2)
    study_content["corpora"]["law"] = {"text": "law"}
    del study_content["grid"]
    study_content["runs"] = [
        {
            "size": 32,
            "domain": "code",
            "mixes": [
                {"start": 0, "shares": {"general": 0.5, "code": 0.3, "law": 0.2}},
                {"start": 384, "shares": {"general": 0.25, "code": 0.5, "law": 0.25}},
            ],
            "topics": {**TOPICS, "alpha": 0.9, "interval_tokens": 128, "weights": {"code": 1, "law": 0.5}},
        }
    ]
    study = parse_study(study_content, tmp_path)
    out, (run,) = tmp_path / "out", study.runs
    prepare(study.data, out, study.corpora, lambda _: None)
    execute(study.bases[0], study.data, out)

    def tick(tokens: int) -> None:
        if tokens == stop:
            raise Stopped

    if stop:
        with pytest.raises(Stopped):
            execute(run, study.data, out, tick)
    rows = {tokens: group["ratio"].iloc[0] for tokens, group in _finished(run, study, out).groupby("tokens")}
    _, log = result(out, run)
    assert [entry.tokens for entry in log.log] == [0, 128, 256]
    assert log.log[2].after["code"] != log.options.start["code"]
    # half of the first stage stays general, whatever becomes of the topics; then the second stage's shares hold
    first = sum(float(entry.after["code"]) * 0.5 * 128 / 16 for entry in log.log)
    assert rows[640] * 40 == pytest.approx(first + 0.5 * 256 / 16, abs=2)


def _finished(run: RunSpec, study: Study, out: Path) -> pd.DataFrame:
    execute(run, study.data, out)
    return pd.read_parquet(Record(out, run).folder / "rows.parquet")


def test_a_steered_run_that_is_stopped_at_its_very_end_keeps_its_rows(
    tmp_path: Path, study_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, run = prepared(study_content, tmp_path, tmp_path / "out")

    def stop(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Record, "finish", stop)
        with pytest.raises(Stopped):
            execute(run, study.data, tmp_path / "out")
    before, _ = result(tmp_path / "out", run)
    execute(run, study.data, tmp_path / "out")
    pd.testing.assert_frame_equal(result(tmp_path / "out", run)[0], before)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"interval_tokens": 100}, "expected a multiple of a step of 64 tokens, got 100"),
        ({"normalise": "sqrt"}, "normalise: expected one of maxabs, relative, zscore, got 'sqrt'"),
        ({"weights": {"general": 1}}, "expected at least two topics, got ['general']"),
        ({"weights": {"general": 1, "law": 1}}, "topics: weights: law: not in the first mix"),
        ({"weights": {}}, "weights: expected topics with a share in the first mix, got []"),
        ({"floor": 1e-7}, "floor: 1e-07 of topics that together have 1 is finer than a share can be"),
        ({"beta": 2}, "unknown key 'beta'"),
    ],
)
def test_faults_of_steering(tmp_path: Path, study_content: dict[str, Any], change: dict[str, Any], told: str) -> None:
    study_content["run"]["topics"] = {**TOPICS, **change}
    study_content["grid"]["ratios"] = [0.4]
    with pytest.raises(ValueError) as refused:
        parse_study(study_content, tmp_path)
    assert told in str(refused.value)


def test_what_is_not_published_has_to_be_stated(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["run"]["topics"] = {"floor": 0.1}
    with pytest.raises(ValueError, match="missing alpha, normalise, interval_tokens, weights; none of them has"):
        parse_study(study_content, tmp_path)

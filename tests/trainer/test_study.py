from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.reading import read_yaml
from trainer.study import parse_study, read_study

Writer = Callable[[dict[str, Any]], Path]


def test_a_study_is_its_bases_and_the_whole_grid(
    tmp_path: Path, study_content: dict[str, Any], write_study: Writer
) -> None:
    study_content["runs"] = [{"size": 32, "domain": "code", "ratio": 0.3, "seed": 4, "tokens": 1280, "lr": 2e-3}]
    study = read_study(write_study(study_content))
    assert [base.width for base in study.bases] == [32]
    assert [(run.ratio, run.seed, run.training.tokens) for run in study.runs] == [
        (0.3, 4, 1280),
        (0, 0, 640),
        (0.3, 0, 640),
        (1, 0, 640),
    ]
    assert study.runs[0].training.lr == 2e-3
    assert len({spec.run_id for spec in study.specs}) == 5
    assert study.corpora == ["general", "code"]


def test_equal_settings_give_equal_ids_and_changed_text_gives_new_ones(
    tmp_path: Path, study_content: dict[str, Any]
) -> None:
    first = [spec.run_id for spec in parse_study(study_content, tmp_path).specs]
    assert first == [spec.run_id for spec in parse_study(study_content, tmp_path).specs]
    (tmp_path / "code" / "000.txt").write_text("changed", "utf-8")
    second = [spec.run_id for spec in parse_study(study_content, tmp_path).specs]
    # The tokenizer is trained on both corpora, so even the base is another one.
    assert not set(first) & set(second)
    study_content["tokenizer"]["corpora"] = ["general"]
    study_content["tokenizer"]["vocab"] = 270
    third = [spec.run_id for spec in parse_study(study_content, tmp_path).specs]
    (tmp_path / "code" / "000.txt").write_text("changed again", "utf-8")
    fourth = [spec.run_id for spec in parse_study(study_content, tmp_path).specs]
    assert third[0] == fourth[0]
    assert not set(third[1:]) & set(fourth[1:])


def test_every_fault_is_named_at_once(tmp_path: Path, study_content: dict[str, Any], write_study: Writer) -> None:
    study_content["corpora"]["poems"] = {"text": "nowhere"}
    study_content["corpora"]["songs"] = {"text": "general", "jsonl": "general", "volume": 3}
    study_content["tokenizer"]["vocab"] = 12
    study_content["epochs"] = 3
    study_content["base"]["learning_rate"] = 1.0
    study_content["bases"].append({"size": 33, "tokens": 640})
    study_content["run"]["schedule"] = "linear"
    study_content["runs"] = [{"size": 48, "domain": "code"}, "none"]
    study_content["grid"]["ratios"] = [0.3, 1.5]
    with pytest.raises(ValueError) as refused:
        read_study(write_study(study_content))
    for told in (
        "RUNS.yaml: study: ",
        "unknown key 'epochs'; known are corpora",
        "base: unknown key 'learning_rate'",
        "nowhere does not exist",
        "corpora.songs: unknown key 'volume'",
        "corpora.songs: expected exactly one of",
        "tokenizer.vocab: expected a whole number of at least 257, got 12",
        "bases[1]: base run: size: the width must be a multiple of 32, got 33; try 32",
        "runs[0]: missing ratio",
        "runs[1]: expected keys and values, got 'none'",
        "schedule: expected {kind: ..., warmup_tokens: ...} with kind one of constant, cosine, wsd",
    ):
        assert told in str(refused.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"grid": {"sizes": [32], "domains": ["code"], "ratios": [1.5]}},
            "expected a share in [0, 1], got 1.5",
        ),
        (
            {"grid": {"sizes": [64], "domains": ["code"], "ratios": [0.5]}},
            "no base of size 64; there are [32]",
        ),
        (
            {"grid": {"sizes": [32], "domains": ["law"], "ratios": [0.5]}},
            "no corpus 'law'; there are general, code",
        ),
        ({"grid": {"sizes": [32], "domains": ["general"], "ratios": [0.5]}}, "is the general corpus"),
        ({"grid": {"sizes": [32], "domains": ["code"], "ratios": [0.5, 0.5]}}, "stands twice"),
        (
            {"grid": {"sizes": 32, "domains": ["code"], "ratios": [0.5]}},
            "grid.sizes: expected a list, got 32",
        ),
        (
            {"grid": {"sizes": [[32]], "domains": ["code"], "ratios": [0.5]}},
            "no base of size [32]; there are [32]",
        ),
        ({"grid": {"sizes": [32], "domains": [["code"]], "ratios": [0.5]}}, "no corpus ['code']; there are"),
        ({"general": ["general"]}, "general: no corpus ['general']"),
        ({"corpora": {"general": {"text": "general", "max_bytes": "1MB"}}}, "of at least 1, got '1MB'"),
        ({"bases": []}, "bases: at least one is needed"),
        (
            {"bases": [{"size": 32, "tokens": 641}]},
            "expected a multiple of batch * length = 64, got 641; try 640",
        ),
        ({"general": "prose"}, "general: no corpus 'prose'"),
        ({"validation_share": 2}, "validation_share: expected a number between 0 and 1, got 2"),
    ],
)
def test_single_faults(tmp_path: Path, study_content: dict[str, Any], change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_study({**study_content, **change}, tmp_path)
    assert told in str(refused.value)


def test_yaml_as_people_write_it(tmp_path: Path, study_content: dict[str, Any], write_study: Writer) -> None:
    path = write_study(study_content)
    text = path.read_text("utf-8")
    path.write_text(text.replace("lr: 0.001", "lr: 1e-3"), "utf-8")
    assert read_study(path).runs[0].training.lr == 1e-3
    path.write_text(text + "length: 16\n", "utf-8")
    with pytest.raises(ValueError, match="length given twice"):
        read_study(path)
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n", "utf-8")
    assert read_yaml(path)["b"] == {"x": 3, "y": 2}
    path.write_text("a: [", "utf-8")
    with pytest.raises(ValueError, match="expected YAML"):
        read_study(path)
    with pytest.raises(ValueError, match="no such file"):
        read_study(tmp_path / "none.yaml")


ANNEAL = {"tokens": 128, "schedule": {"kind": "wsd", "decay_tokens": 128}}


def test_a_run_may_have_several_sources_phases_and_limits(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["corpora"]["notes"] = {"text": "general"}
    del study_content["grid"]
    study_content["runs"] = [
        {
            "size": 32,
            "domain": "code",
            "mixes": [
                {"start": 0, "shares": {"general": 0.9, "code": 0.1}},
                {"start": 320, "shares": {"general": 0.5, "code": 0.3, "notes": 0.2}},
            ],
            "optimizer": "keep",
            "orders": {"general": "original"},
            "limits": {"code": 160},
            "max_epochs": {"code": "1e1"},
            "schedule": {"kind": "infinite", "warmup_tokens": 64, "cooldown_tokens": 64, "anneal_tokens": 128},
        }
    ]
    study = parse_study(study_content, tmp_path)
    [run] = study.runs
    assert [mix.start for mix in run.mixes] == [0, 320]
    assert run.ratio == pytest.approx(0.2)
    assert run.corpora == ["general", "code", "notes"] == study.corpora
    assert (run.optimizer, run.limits, run.max_epochs) == ("keep", {"code": 160}, {"code": 10.0})
    assert run.training.schedule.kind == "infinite"


def test_branches_start_from_chosen_runs_at_every_point(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["branches"] = [{"from": {"ratios": [0.3, 1]}, "at": [320, 640], **ANNEAL}]
    study = parse_study(study_content, tmp_path)
    branches = [run for run in study.runs if run.trunk is not None]
    assert [(b.trunk.ratio, b.at) for b in branches if b.trunk] == [(0.3, 320), (0.3, 640), (1, 320), (1, 640)]
    for branch in branches:
        assert branch.trunk in study.runs
        assert branch.training.lr == 1e-3  # what the trunk had reached
        assert branch.training.batch == 4
        assert branch.mixes[0].shares == branch.trunk.mixes[0].shares
        assert branch.start_tokens == branch.at


def test_leaving_out_one_source_at_a_time(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["corpora"]["notes"] = {"text": "general"}
    shares = {"general": 0.5, "code": 0.3, "notes": 0.2}
    mixes = [{"start": 0, "shares": shares}]
    study_content["branches"] = [
        {"from": {"ratios": [0.3]}, "at": [320], "mixes": mixes, "leave_one_out": True, **ANNEAL}
    ]
    study = parse_study(study_content, tmp_path)
    found = [run.mixes[0].shares for run in study.runs if run.trunk is not None]
    assert found[0] == shares
    assert [set(shares) - set(left) for left in found[1:]] == [{"general"}, {"code"}, {"notes"}]
    assert found[2] == pytest.approx({"general": 5 / 7, "notes": 2 / 7})


@pytest.mark.parametrize(
    ("branch", "told"),
    [
        ({"from": {"ratios": [0.7]}, "at": [320], **ANNEAL}, "branches[0].from: no run of this study is chosen"),
        ({"at": [], **ANNEAL}, "branches[0].at: expected tokens"),
        ({"at": [100], **ANNEAL}, "at: expected a multiple of a step of 64"),
        ({"at": [320]}, "branches[0]: missing tokens, schedule"),
        ({"at": [320], "until": 3, **ANNEAL}, "unknown key 'until'"),
        ({"at": [320], "ratio": 0.5, "mixes": [], **ANNEAL}, "expected either ratio or mixes"),
        ({"at": [320], "mixes": [{"start": 0, "shares": {"law": 1}}], **ANNEAL}, "no corpus 'law'"),
        ({"at": [320], "leave_one_out": 1, **ANNEAL}, "leave_one_out: expected true or false, got 1"),
    ],
)
def test_faults_of_branches(tmp_path: Path, study_content: dict[str, Any], branch: dict[str, Any], told: str) -> None:
    study_content["branches"] = [branch]
    with pytest.raises(ValueError) as refused:
        parse_study(study_content, tmp_path)
    assert told in str(refused.value)


def test_paths_may_name_the_environment(
    tmp_path: Path, study_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    study_content["corpora"]["code"] = {"text": "${SOMEWHERE}/code", "validation": "$SOMEWHERE/general"}
    with pytest.raises(ValueError, match="names an environment variable that is not set"):
        parse_study(study_content, tmp_path)
    monkeypatch.setenv("SOMEWHERE", str(tmp_path))
    corpus = parse_study(study_content, tmp_path).data.corpora["code"]
    assert (corpus.source, corpus.validation) == (str(tmp_path / "code"), str(tmp_path / "general"))

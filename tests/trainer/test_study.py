from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
        "training: schedule: expected one of constant, cosine, got 'linear'",
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
    path.write_text("a: [", "utf-8")
    with pytest.raises(ValueError, match="expected YAML"):
        read_study(path)
    with pytest.raises(ValueError, match="no such file"):
        read_study(tmp_path / "none.yaml")

"""SPACE.yaml and RUNS.yaml: what is proposed is what the trainer reads, and every fault has a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from bayescpt.decide import ForgettingBudget, WeightedLoss
from bayescpt.design.branches import completed
from bayescpt.design.files import read_pending, read_space, runs_file, write_runs
from trainer.study import read_study

SPACE: dict[str, Any] = {
    "decision": {"domain": "code", "size": 98624, "tokens": "2e5", "max_forgetting": 0.05, "confidence": 0.8},
    "domains": ["code"],
    "sizes": {32: 12345},
    "ratios": [0.2, 0.4],
    "tokens": [640, 1280],
    "study": "study.yaml",
}
TRAINING = {"tokens": 640, "batch": 2, "lr": 1e-3, "schedule": {"kind": "constant"}, "first_evaluation": 128}
STUDY: dict[str, Any] = {
    "corpora": {"general": {"text": "general"}, "code": {"text": "code"}},
    "general": "general",
    "tokenizer": {"vocab": 260},
    "length": 64,
    "base": TRAINING,
    "bases": [{"size": 32}],
    "run": TRAINING,
    "grid": {"sizes": [32], "domains": ["code"], "ratios": [0.1, 0.9]},
}
CHOSEN = pd.DataFrame([{"domain": "code", "size": 12345.0, "ratio": 0.2, "tokens": 1280.0, "seed": 3, "start": 0.0}])


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    for name in ("general", "code"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("some words of text. " * 200)
    return write(tmp_path, SPACE)


def write(folder: Path, content: Any) -> Path:
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_trainer_reads_what_is_proposed(space: Path) -> None:
    file = read_space(space)
    assert file.question.objective == ForgettingBudget(0.05)
    assert (file.question.tokens, file.question.confidence, file.question.base_loss) == (2e5, 0.8, None)
    out = space.with_name("next.yaml")
    write_runs(out, runs_file(CHOSEN, file))
    (run,) = read_study(out).runs
    assert (run.base.key, run.domain, run.ratio, run.training.tokens, run.seed) == (32, "code", 0.2, 1280, 3)
    again = read_pending(out, file.names)
    pd.testing.assert_frame_equal(again, completed(CHOSEN.drop(columns="start")), check_dtype=False)


def test_sizes_may_go_without_names_and_studies(tmp_path: Path) -> None:
    content = {name: value for name, value in SPACE.items() if name != "study"} | {"sizes": [12345]}
    content["decision"] = {"domain": "code", "size": 1e6, "tokens": 1e5, "weights": [1, 2]}
    file = read_space(write(tmp_path, content))
    assert file.question.objective == WeightedLoss(1, 2)
    content["decision"] = {"domain": "code", "size": 1e6, "tokens": 1e5, "max_forgetting": "3%"}
    assert read_space(write(tmp_path, content)).question.objective == ForgettingBudget(0.03, relative=True)
    assert runs_file(CHOSEN, file) == {
        "runs": [{"size": 12345, "domain": "code", "ratio": 0.2, "tokens": 1280, "seed": 3}]
    }
    (further,) = runs_file(CHOSEN.assign(start=640.0), file)["runs"]
    assert further["start"] == 640


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decision": {"domain": "code"}}, "decision: missing size, tokens; decision: expected either max_forgetting"),
        ({"decision": SPACE["decision"] | {"weights": [1, 1]}}, "expected either max_forgetting or weights"),
        ({"decision": SPACE["decision"] | {"max_forgetting": "much"}}, "decision: "),
        ({"decision": SPACE["decision"] | {"confidence": 2, "size": -1}}, r"decision.size: .*decision.confidence: "),
        ({"decision": SPACE["decision"] | {"base_loss": 0}}, "decision.base_loss: expected a general loss .*got 0"),
        ({"decision": SPACE["decision"] | {"base_loss": None}}, "decision.base_loss: expected a general loss .*None"),
        ({"decision": 3}, "decision: expected keys and values, got 3"),
        ({"sizes": ["big"]}, "sizes: expected numbers of parameters, got 'big'"),
        ({"sizes": {32: 5, 64: 5}}, "sizes: 5 stands twice"),
        ({"ratios": 0.3}, "ratios: expected a list"),
        ({"ratios": [3]}, "ratios: expected shares"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"continue_runs": "maybe"}, "continue_runs: expected true or false"),
        ({"continue_runs": True}, "the trainer starts every run"),
        ({"sizes": {64: 5}}, "the study has no base 64"),
        ({"domains": ["prose"]}, "the study has no corpus 'prose'"),
        ({"decision": SPACE["decision"] | {"domain": None}}, "decision.domain: expected a name"),
        ({"decision": SPACE["decision"] | {"domain": "code "}}, "decision.domain: expected a name without space"),
        ({"decision": SPACE["decision"] | {"max_forgetting": True}}, "expected nats"),
        ({"tokens": [0.5]}, "tokens: expected numbers from 1"),
        ({"sizes": {32: 1e300}}, "sizes: expected numbers from 1"),
        ({"ratios": [[0.1, 0.2]]}, "ratios: expected shares"),
        ({"study": "nowhere.yaml"}, "study: .*cannot be read"),
    ],
)
def test_what_is_wrong_with_a_space_is_named(space: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_space(write(space.parent, SPACE | change))


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], ["a", 1], 1, None, [0, 0], [-1, 2], [1, True], [1, float("inf")]])
def test_weights_that_are_none_are_one_fault(space: Path, weights: Any) -> None:
    decision = {"domain": "code", "size": 98624, "tokens": 2e5, "weights": weights}
    with pytest.raises(ValueError) as caught:
        read_space(write(space.parent, SPACE | {"decision": decision}))
    told = str(caught.value).removeprefix(f"{space}: ")
    assert told.startswith("decision: weights: expected what a nat of general and of domain loss is worth, two numbers")
    assert told.endswith(f"and not both 0, got {weights!r}")
    assert ";" not in told


def test_what_is_missing_or_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="missing decision, domains, sizes, ratios, tokens"):
        read_space(write(tmp_path, {}))
    with pytest.raises(ValueError, match="expected keys and values"):
        read_space(write(tmp_path, [1]))
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="is no YAML"):
        read_space(tmp_path / "broken.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"grid": {}}, "expected runs"),
        (
            {"runs": [{"size": 32, "domain": "code", "ratio": float("nan"), "tokens": 5}]},
            r"runs\[0\]: ratios: expected shares",
        ),
        ({"runs": [{"size": [1], "domain": "code", "ratio": 0.1, "tokens": 5}]}, r"no size \[1\] in the space"),
        ({"runs": [3]}, r"runs\[0\]: expected size, domain"),
        ({"runs": [{"size": 64, "domain": "code", "ratio": 0.1, "tokens": 5}]}, "no size 64 in the space"),
    ],
)
def test_pending_runs_that_are_none_are_named(space: Path, content: dict[str, Any], message: str) -> None:
    path = space.with_name("pending.yaml")
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=message):
        read_pending(path, read_space(space).names)

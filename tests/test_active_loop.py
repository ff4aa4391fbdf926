"""The example that closes the loop: it ends, goes on after kill -9, and trains no run twice."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import yaml

from bayescpt.design.files import read_space
from bayescpt.schema import KEY
from trainer.launch.claim import claimed
from trainer.records import FINISHED
from trainer.sizes import Size
from trainer.study import read_study

FOLDER = Path(__file__).parents[1] / "examples" / "active_loop"
SCRIPT = FOLDER / "active_loop.py"
WORDS = {
    "general": ["the", "river", "ran", "along", "a", "quiet", "road", "and", "people", "walked", "there"],
    "code": ["def", "return", "self", "lambda", "yield", "assert", "import", "class", "while", "None"],
}
TRAINING = {"batch": 4, "schedule": {"kind": "constant", "warmup_tokens": 64}, "first_evaluation": 64}
STUDY = {
    "corpora": {name: {"text": name} for name in WORDS},
    "general": "general",
    "tokenizer": {"vocab": 280, "corpora": ["general", "code"]},
    "length": 16,
    "validation_share": 0.25,
    "base": {**TRAINING, "lr": 3e-3, "evaluations": 2, "validation_rows": 8},
    "bases": [{"size": 32, "tokens": 640}],
    "run": {**TRAINING, "lr": 1e-3, "tokens": 640, "evaluations": 4, "validation_rows": 8},
    "runs": [{"size": 32, "domain": "code", "ratio": 0.5}],
}
BUDGET = 4e8


def size_of(width: int) -> int:
    return Size(width).non_embedding


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("active_loop_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A miniature study over two corpora of random words, and what may be trained for a decision."""
    for seed, (name, words) in enumerate(WORDS.items()):
        (tmp_path / name).mkdir()
        draw = random.Random(seed)
        for i in range(40):
            (tmp_path / name / f"{i:03}.txt").write_text(" ".join(draw.choices(words, k=120)) + f" {i}.\n", "utf-8")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY), "utf-8")
    content = {
        "decision": {"domain": "code", "size": size_of(32), "tokens": 1280, "max_forgetting": 0.05},
        "domains": ["code"],
        "sizes": {32: size_of(32)},
        "ratios": [0.25, 0.5, 0.75],
        "tokens": [320, 640],
        "study": "study.yaml",
    }
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(content), "utf-8")
    return tmp_path / "space.yaml"


def test_the_example_is_sound() -> None:
    file = read_space(FOLDER / "space.yaml")
    assert file.study_path is not None
    study = read_study(file.study_path)
    assert [(base.width, float(size_of(base.width))) for base in study.bases] == [
        (name, size) for size, name in file.names.items()
    ]
    longest = max(file.space.tokens)
    assert file.question.tokens > longest, "the final run is not on offer"


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"runs": []}, "expected runs to start from"), ({"grid": {"sizes": [32]}}, "without grid or branches")],
)
def test_a_study_that_it_cannot_start_from_ends_with_2(
    script: ModuleType, space: Path, changed: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (space.parent / "study.yaml").write_text(yaml.safe_dump(STUDY | changed), "utf-8")
    assert script.main(["--space", str(space), "--out", str(space.parent / "out")]) == 2
    assert told in capsys.readouterr().err
    assert not (space.parent / "out").exists()


def test_paths_of_corpora_do_not_depend_on_where_the_runs_are_written(script: ModuleType, space: Path) -> None:
    content = script.absolute(STUDY, space.parent)
    assert {entry["text"] for entry in content["corpora"].values()} == {str(space.parent / name) for name in WORDS}
    assert script.absolute({"corpora": {"prose": {"builtin": "prose"}}}, space.parent)["corpora"] == {
        "prose": {"builtin": "prose"}
    }


def started(space: Path, out: Path, budget: float = BUDGET) -> subprocess.Popen[str]:
    given = ["--space", str(space), "--out", str(out), "--budget", str(budget), "--count", "2", "--least-gain", "0"]
    command = [sys.executable, str(SCRIPT), *given, "--workers", "1", "--draws", "50"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def trained(out: Path) -> dict[str, int]:
    """When the rows of every finished run were written."""
    found = {}
    for folder in (out / "trained" / "runs").glob("*/"):
        record = folder / "provenance.json"
        if record.exists() and json.loads(record.read_text("utf-8"))["status"] == FINISHED:
            found[folder.name] = (folder / "rows.parquet").stat().st_mtime_ns
    return found


@pytest.mark.slow
def test_it_goes_on_after_kill_9_and_trains_no_run_twice(space: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kept: dict[str, int] = {}
    for when in ("a run is being trained", "the first round is told", "a run of that round is being trained"):
        loop = started(space, out)
        runs = out / "trained" / "runs"
        while loop.poll() is None:
            if when == "the first round is told":
                due = (out / "round-00.json").exists()
            else:
                due = any(claimed(folder) for folder in runs.glob("code-*/"))
            if due:
                break
            time.sleep(0.02)
        assert loop.poll() is None, f"it ended before {when}"
        loop.send_signal(signal.SIGKILL)
        loop.communicate()
        kept |= trained(out)

    done = started(space, out)
    told, _ = done.communicate()
    assert done.returncode == 0, told
    assert "budget spent" in told
    finished = trained(out)
    assert kept.items() <= finished.items(), "a finished run was trained again"

    rows = pd.read_parquet(out / "trained" / "rows.parquet")
    assert not rows.duplicated(list(KEY)).any()
    rounds = [json.loads(path.read_text("utf-8")) for path in sorted(out.glob("round-*.json"))]
    assert [one["verdict"] for one in rounds] == ["run"] * (len(rounds) - 1) + ["spent"]
    chosen = [run for one in rounds for run in one["chosen"]]
    assert len({json.dumps(run, sort_keys=True) for run in chosen}) == len(chosen)
    study = read_study(out / "runs.yaml")
    assert len(study.runs) == 1 + len(chosen)
    assert set(finished) == {spec.run_id for spec in study.specs}, "every run that was chosen, and no other"
    assert set(rows["run"]) == {run.run_id for run in study.runs}
    assert rounds[-1]["flops"] == pytest.approx(rows.groupby("run")["flops"].max().sum())
    assert rounds[-1]["flops"] <= BUDGET
    assert (out / "intervals.png").stat().st_size > 0

    again = started(space, out)
    said, _ = again.communicate()
    assert again.returncode == 0
    assert trained(out) == finished
    assert said.count("round ") == told.count("round ") + 1  # the last is judged again: the budget may have changed

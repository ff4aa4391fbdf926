from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml

from bayescpt.data import Table
from bayescpt.fit import Check, Fit, SamplerSettings, prior_fit

SCRIPT = Path(__file__).parents[1] / "examples" / "quickstart" / "quickstart.py"
WORDS = {
    "general": ["the", "river", "ran", "along", "a", "quiet", "road", "and", "people", "walked", "there"],
    "code": ["def", "return", "self", "lambda", "yield", "assert", "import", "class", "while", "None"],
}
TRAINING = {
    "batch": 4,
    "schedule": {"kind": "constant", "warmup_tokens": 64},
    "first_evaluation": 64,
    "validation_rows": 8,
}
STUDY = {
    "corpora": {name: {"text": name} for name in WORDS},
    "general": "general",
    "tokenizer": {"vocab": 280, "corpora": ["general", "code"]},
    "length": 16,
    "validation_share": 0.25,
    "base": {**TRAINING, "lr": 3e-3, "evaluations": 2},
    "bases": [{"size": 32, "tokens": 640}],
    "run": {**TRAINING, "lr": 1e-3, "tokens": 640, "evaluations": 4},
    "grid": {"sizes": [32], "domains": ["code"], "ratios": [0, 0.25, 0.75]},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature study over two corpora of random words."""
    folder = tmp_path_factory.mktemp("study")
    for seed, (name, words) in enumerate(WORDS.items()):
        (folder / name).mkdir()
        draw = random.Random(seed)
        for i in range(40):
            (folder / name / f"{i:03}.txt").write_text(" ".join(draw.choices(words, k=120)) + f" {i}.\n", "utf-8")
    (folder / "runs.yaml").write_text(yaml.safe_dump(STUDY), "utf-8")
    return folder / "runs.yaml"


def arguments(study: Path, out: Path) -> list[str]:
    # Enough draws to have answers at all; the checks must fail, and the script must say so.
    few = ["--workers", "1", "--chains", "2", "--warmup", "15", "--draws", "15"]
    return ["--study", str(study), "--out", str(out), *few]


def run(study: Path, out: Path) -> subprocess.CompletedProcess[str]:
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), *arguments(study, out)]
    return subprocess.run(command, capture_output=True, text=True, env=one_thread, check=False)


def stamps(out: Path) -> dict[str, int]:
    """When everything that costs time was written."""
    made = [out / "fit.nc", *(path for path in (out / "runs").rglob("*") if path.is_file())]
    return {str(path): path.stat().st_mtime_ns for path in made}


def test_the_script_end_to_end_and_its_second_call(
    study: Path,
    tmp_path: Path,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    first = run(study, out)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "4 of 4 runs trained" in first.stdout
    assert "with the fit about" in first.stdout, "time left of the whole"
    assert "24 rows of 3 runs, 1 sizes, domains code" in first.stdout
    assert "DO NOT RELY ON IT" in first.stdout
    assert "NOT RELIABLE" in first.stdout
    for name in ("rows.parquet", "fit.nc", "answers.json", "figures/code.png"):
        assert (out / name).stat().st_size > 0
        assert str(out / name) in first.stdout.replace("\n", "").split("written:")[1]

    said = json.loads((out / "answers.json").read_text("utf-8"))
    fit = Fit.load(out / "fit.nc")
    assert said["reliable"] is False
    assert {check["name"] for check in said["checks"] if not check["passed"]} == {
        check.name for check in fit.checks if not check.passed
    }
    assert said["digest"] == Table.read(out / "rows.parquet").digest == fit.table.digest
    assert (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]) == (2, 15)
    (answer,) = said["answers"]
    assert (answer["domain"], answer["tokens"], answer["max_forgetting"]) == ("code", 640, 0.05)
    for question in ("ratio", "critical_ratio"):
        assert 0 <= answer[question]["q05"] <= answer[question]["q50"] <= answer[question]["q95"] <= 1
    assert "failed its checks" in answer["accepted"]

    before = stamps(out)
    monkeypatch.setenv("XLA_FLAGS", "")
    assert script.main(arguments(study, out)) == 1
    second = capsys.readouterr().out
    assert "4 runs, 4 already trained" in second
    assert "holds this fit already" in second
    assert "sampling" not in second
    assert stamps(out) == before
    assert json.loads((out / "answers.json").read_text("utf-8")) == said


def test_a_study_that_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "runs.yaml").write_text("corpora: {}\n", "utf-8")
    ended = run(tmp_path / "runs.yaml", tmp_path / "out")
    assert ended.returncode == 2
    assert "bases: at least one is needed" in ended.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quickstart_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("1 of 9 runs, about 20 s left", 20), ("about 3 min 20 s left", 200), ("about 1 h 02 min left", 3720)],
)
def test_the_time_left_of_the_trainer_is_understood(script: ModuleType, line: str, seconds: int) -> None:
    hours, minutes, rest = (int(part or 0) for part in script.TIME_LEFT.search(line).groups())
    assert 3600 * hours + 60 * minutes + rest == seconds


def test_the_trainer_says_its_time_left_in_that_form(script: ModuleType) -> None:
    from trainer.progress import duration

    for seconds in (5, 65, 3725):
        assert script.TIME_LEFT.search(f"about {duration(seconds)} left")


def rows_of(tokens: float) -> Table:
    point = {"run": "a", "domain": "code", "size": 1e5, "ratio": 0.5, "loss": 3.0}
    frame = [{**point, "target": t, "tokens": n} for t in ("general", "domain") for n in (0.0, tokens / 2, tokens)]
    return Table.from_frame(pd.DataFrame(frame))


@pytest.fixture
def saved(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Whether a fit in a file, of 1 chain of 20 draws with seed 0, is used again for what is asked now."""
    table = rows_of(1e5)
    made = prior_fit(table, script.LAW, seed=0, draws=20)
    made.save(tmp_path / "fit.nc")
    # Its function fit has the name of the package, so the package is taken by its path.
    monkeypatch.setattr(sys.modules["bayescpt.fit"], "fit", lambda *_, **__: made)

    def used_again(table: Table = table, seed: int = 0, draws: int = 20) -> bool:
        before = (tmp_path / "fit.nc").stat().st_mtime_ns
        script.sampled(tmp_path / "fit.nc", table, seed, SamplerSettings(chains=1, draws=draws), script.Display())
        return (tmp_path / "fit.nc").stat().st_mtime_ns == before

    return used_again


def test_a_fit_is_used_again_only_for_the_same_rows_seed_and_draws(
    saved: Callable[..., bool], capsys: pytest.CaptureFixture[str]
) -> None:
    assert saved()
    assert "holds this fit already" in capsys.readouterr().out
    for other in ({"table": rows_of(2e5)}, {"seed": 1}, {"draws": 21}):
        assert not saved(**other)
        assert "of other rows, another law, seed or number of draws" in capsys.readouterr().out


def test_a_fit_that_cannot_be_read_is_made_again(
    saved: Callable[..., bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fit.nc").write_bytes(b"half a fit")
    assert not saved()
    assert "cannot be read as a fit" in capsys.readouterr().out


def test_a_fit_that_passed_needs_no_acceptance(script: ModuleType) -> None:
    passed = prior_fit(rows_of(1e5), script.LAW, seed=0, draws=20)
    assert script.gated(passed, script.Display()) is passed


def test_a_fit_that_failed_names_the_checks(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    fit = prior_fit(rows_of(1e5), script.LAW, seed=0, draws=20)
    failed = replace(fit, checks=(Check("r_hat", False, "1.7 at G"), Check("divergences", True, "none")))
    accepted = script.gated(failed, script.Display())
    assert accepted.accepted is not None
    assert "r_hat" in accepted.accepted
    assert "divergences" not in accepted.accepted
    assert "FAILED: r_hat: 1.7 at G" in capsys.readouterr().out

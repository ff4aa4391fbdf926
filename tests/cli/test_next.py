"""``bayescpt next``: runs worth their cost as text, JSON and a file; a stop with its reason; nonsense of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bayescpt.data.table import Table
from bayescpt.fit import prior_fit

SPACE: dict[str, Any] = {
    "decision": {"domain": "code", "size": 600000, "tokens": 200000, "max_forgetting": 0.2, "confidence": 0.6},
    "domains": ["code", "law", "art"],
    "sizes": [100000, 600000],
    "ratios": [0.1, 0.5, 0.9],
    "tokens": [200000],
}


@pytest.fixture(scope="module")
def path(study_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("next") / "fit.nc"
    prior_fit(study_table, "memory", draws=100).save(found)
    return found


@pytest.fixture
def space(tmp_path: Path) -> Path:
    found = tmp_path / "space.yaml"
    found.write_text(yaml.safe_dump(SPACE))
    return found


def test_runs_are_proposed_written_and_counted_as_pending(
    path: Path, space: Path, answer: Callable[..., Any], run: Callable[..., Any]
) -> None:
    out = space.with_name("runs.yaml")
    asked = ("next", path, "--space", space, "--budget", 1e12)
    told = answer(*asked, "--count", 2, "--least-gain", 0, "-o", out)
    assert told["verdict"] == "run"
    assert told["cost"] <= 1e12
    written = yaml.safe_load(out.read_text())["runs"]
    assert [one["ratio"] for one in written] == [one["ratio"] for one in told["runs"]]
    before = out.read_bytes()
    later = answer(*asked, "--pending", out, "--least-gain", 0)
    settings = [(one["domain"], one["size"], one["ratio"]) for one in told["runs"]]
    assert (later["runs"][0]["domain"], later["runs"][0]["size"], later["runs"][0]["ratio"]) not in settings
    assert out.read_bytes() == before
    text = run(*asked, "--least-gain", 0, "--by", "information").stdout
    assert text.startswith("Run: 1 run as asked.")
    assert "lowers the regret by" in text


def test_it_stops_and_writes_nothing(path: Path, space: Path, run: Callable[..., Any]) -> None:
    out = space.with_name("runs.yaml")
    result = run("next", path, "--space", space, "--budget", 1e12, "--least-gain", 100, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Stop: no run on offer is expected to lower the regret")
    assert not out.exists()


def test_nonsense_is_named(path: Path, space: Path, answer: Callable[..., Any]) -> None:
    told = answer(
        *("next", path, "--space", space, "--budget", -1, "--by", "luck", "--count", 0, "-o", "runs.csv"), status=2
    )["message"]
    for part in ("--budget: expected", "--by: expected one of regret", "--count: expected", "-o runs.csv"):
        assert part in told
    told = answer("next", path, "--space", space, "--budget", 10, status=2)["message"]
    assert "pays for no candidate" in told
    told = answer("next", path, "--space", space.with_name("none.yaml"), "--budget", 1e12, status=2)["message"]
    assert "cannot be read" in told
    space.write_text(yaml.safe_dump(SPACE | {"ratios": [2]}))
    told = answer("next", path, "--space", space, "--budget", 1e12, "--pending", "none.yaml", status=2)["message"]
    assert "ratios: expected shares" in told


def test_hours_and_branches(run: Callable[..., Any], answer: Callable[..., Any], tmp_path: Path) -> None:
    study = Path(__file__).parents[2] / "examples"
    table = Table.read(study / "data" / "study-phases.parquet")
    fit = tmp_path / "phased.nc"
    prior_fit(table, "phased", seed=2, draws=60).save(fit)
    decision = {"domain": "code", "size": 922720, "tokens": 131072, "weights": [1, 1]}
    content = {
        "decision": decision | {"phase_ratios": [0.4, 0.85], "phase_parts": [0.2]},
        "domains": ["code"],
        "sizes": {96: 221664, 160: 922720},
        "ratios": [0.15],
        "tokens": [131072],
        "branches": {"at": [65536, 104448], "tokens": [26624], "ratios": [0.4]},
        "study": "study.yaml",
    }
    (tmp_path / "study.yaml").write_text((study / "study" / "phases.yaml").read_text())
    space = tmp_path / "space.yaml"
    space.write_text(yaml.safe_dump(content))
    asked = ("next", fit, "--space", space, "--least-gain", 0, "--cost", "gpu-hours", "--budget")
    told = answer(*asked, 100, "-o", tmp_path / "runs.yaml")
    assert told["cost_unit"] == "GPU-hours"
    assert 0 < told["cost"] < 0.1
    assert told["runs"][0]["trunk_ratio"] == pytest.approx(0.15, abs=0.01)
    written = yaml.safe_load((tmp_path / "runs.yaml").read_text())
    assert written["branches"][0]["from"]["ratios"] == [0.15]
    assert "left after" in run(*asked, 100).stdout
    assert "pays for no candidate" in answer(*asked, 1e-9, status=2)["message"]
    told = answer(*asked[:-2], "euros", "--budget", 1, status=2)["message"]
    assert "--cost: expected flops or gpu-hours, got 'euros'" in told
    flat = tmp_path / "memory.nc"
    prior_fit(table, "memory", draws=20).save(flat)
    told = answer("next", flat, "--space", space, "--budget", 1e15, status=2)["message"]
    assert "branches and phases: the law memory does not look at that; fit with --law phased" in told
    for change, message in (
        ({"branches": {"at": [1], "tokens": [], "ratios": [2], "kept": "yes", "lr": 1}}, "branches: unknown key 'lr'"),
        (
            {"branches": {"at": [1], "tokens": [], "ratios": [2], "kept": "yes"}},
            "branches.kept: expected true or false",
        ),
        ({"decision": decision | {"phase_ratios": [0.4]}}, "phase_ratios and phase_parts go together"),
    ):
        space.write_text(yaml.safe_dump(content | change))
        assert message in answer("next", fit, "--space", space, "--budget", 1e15, status=2)["message"]
    del content["study"]
    space.write_text(yaml.safe_dump(content))
    assert "branches: name the study" in answer("next", fit, "--space", space, "--budget", 1, status=2)["message"]

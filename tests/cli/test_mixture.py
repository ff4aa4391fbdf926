"""Mixtures on the command line: written by compare, asked like a fit."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from bayescpt.ask import critical_ratio, ratio_under_budget, summarise, summary
from bayescpt.data.table import Table
from bayescpt.fit import Check, Fit, Mixture, load, prior_fit
from bayescpt.fit.compare import Held
from bayescpt.fit.held_out import Judged

PLACE = ("--domain", "code", "--size", "600k", "--tokens", "200k")
POINTS = pd.DataFrame(
    [("code", 1e5, 0.5, 2e5, "general"), ("art", 8e5, 0.25, 2e6, "domain")],
    columns=["domain", "size", "ratio", "tokens", "target"],
)
FAILED = (Check("r_hat", False, "1.2 at beta"), Check("divergences", True, "none"))
Answer = Callable[..., Any]


@pytest.fixture(scope="module")
def members(study_table: Table) -> dict[str, Fit]:
    return {law: prior_fit(study_table, law, draws=40, seed=2) for law in ("memory", "dcpt_l5")}


@pytest.fixture(scope="module")
def mixture(members: dict[str, Fit]) -> Mixture:
    return Mixture(members, {"memory": 0.75, "dcpt_l5": 0.25}, seed=1, made="stacked for a test")


@pytest.fixture
def path(mixture: Mixture, tmp_path: Path) -> Path:
    mixture.save(tmp_path / "mix.nc")
    return tmp_path / "mix.nc"


def test_answers_of_a_mixture_are_the_librarys(path: Path, mixture: Mixture, answer: Answer) -> None:
    told = answer("ratio", path, *PLACE, "--max-forgetting", 0.1)
    assert told == summary(ratio_under_budget(mixture, "code", 6e5, 2e5, 0.1))
    assert told["weights"] == {"memory": 0.75, "dcpt_l5": 0.25}
    assert told["weights_by"] == "stacked for a test"
    told = answer("cmr", path, *PLACE)
    assert told == summary(critical_ratio(mixture, "code", 6e5, 2e5))
    assert "the law 'dcpt_l5' cannot rise" in told["note"]


def test_predictions_of_a_mixture_are_the_librarys(
    path: Path, mixture: Mixture, answer: Answer, run: Callable[..., Result], tmp_path: Path
) -> None:
    points = tmp_path / "points.csv"
    POINTS.to_csv(points, index=False)
    told = answer("predict", path, "--at", points)
    for record in told:
        assert record.pop("weights") == mixture.weights
        assert record.pop("weights_by") == "stacked for a test"
    expected = summarise(mixture, POINTS).to_dict("records")
    assert [{key: record[key] for key in expected[0]} for record in told] == expected
    written = run("predict", path, "--at", points, "-o", tmp_path / "out.csv")
    assert "averaged over memory 0.75, dcpt_l5 0.25 (stacked for a test)" in written.stderr
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out.csv"), summarise(mixture, POINTS), check_dtype=False)


def test_a_mixture_in_words(path: Path, run: Callable[..., Result]) -> None:
    text = run("ratio", path, *PLACE, "--max-forgetting", "0.1").stdout
    assert "  averaged over memory 0.75, dcpt_l5 0.25 (stacked for a test)" in text
    assert "90% interval" in text


def test_a_member_that_failed_needs_a_reason(mixture: Mixture, tmp_path: Path, answer: Answer) -> None:
    members = mixture.members | {"dcpt_l5": replace(mixture.members["dcpt_l5"], checks=FAILED)}
    replace(mixture, members=members).save(tmp_path / "mix.nc")
    told = answer("cmr", tmp_path / "mix.nc", *PLACE, status=2)
    assert [fault["code"] for fault in told["faults"]] == ["unreliable_fit"]
    assert "dcpt_l5: r_hat: 1.2 at beta" in told["message"]
    assert answer("cmr", tmp_path / "mix.nc", *PLACE, "--accept", "a look")["accepted"] == "a look"


@pytest.mark.parametrize("checks", [(), FAILED])
def test_compare_writes_the_stacked_mixture(
    checks: tuple[Check, ...],
    members: dict[str, Fit],
    study_table: Table,
    tmp_path: Path,
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the fits in place of which others stand: three quarters of the runs are foreseen by one law."""
    first = np.where(np.arange(12) % 4 < 3, 0.0, -30.0)

    def judge(table: Table, model: Any, by: str, method: str, seed: int, settings: Any, say: Any) -> Judged:
        assert (by, method, seed, settings.draws) == ("size", "laplace", 7, 50)
        return Judged(Held(first if model.law.name == "memory" else -30.0 - first, 2), 0, None)

    def refit(table: Table, model: Any, *rest: object) -> Fit:
        return replace(members[model.law.name], checks=checks)

    module = importlib.import_module("bayescpt.fit.averaging")
    monkeypatch.setattr(module, "hold_out", judge)
    monkeypatch.setattr(module, "posterior", refit)
    rows, out = tmp_path / "rows.csv", tmp_path / "mix.nc"
    study_table.frame().to_csv(rows, index=False)
    options = ("--laws", "memory,dcpt_l5", "--by", "size", "--method", "laplace", "--draws", 50, "--seed", 7)
    result = run("compare", rows, *options, "-o", out, "--json")
    assert result.exit_code == (1 if checks else 0), result.output
    told = json.loads(result.stdout)
    assert [record["model"] for record in told] == ["memory/partial/student", "dcpt_l5/partial/student"]
    assert told[0]["weight"] == pytest.approx(0.75)
    assert f"{out}: 40 draws of memory/partial/student 0.750, dcpt_l5/partial/student 0.250" in result.stderr
    assert ("--accept REASON" in result.stderr) == bool(checks)
    found = load(out)
    assert isinstance(found, Mixture)
    assert found.made == "stacking of log predictive densities, held out by size"
    assert found.weights["memory/partial/student"] == pytest.approx(0.75)
    assert found.passed == (not checks)
    assert found.seed == 7
    assert found.comparison is not None
    assert found.comparison.to_dict("records") == told


def test_compare_refuses_a_place_that_cannot_be_written(study_table: Table, tmp_path: Path, answer: Answer) -> None:
    rows = tmp_path / "rows.csv"
    study_table.frame().to_csv(rows, index=False)
    told = answer("compare", rows, "--laws", "dcpt", "-o", tmp_path / "no" / "mix.nc", status=2)
    assert "no folder" in told["message"]
    assert "overwrite the input" in answer("compare", rows, "--laws", "dcpt", "-o", rows, status=2)["message"]

"""``bayescpt plan`` and ``ratio --weights``: the decision in words and as JSON, and every way to ask for nonsense."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bayescpt.cli.plan_words import decision
from bayescpt.data.table import Table
from bayescpt.decide import WeightedLoss, plan, ratios, with_phases
from bayescpt.fit import prior_fit
from tests.tables import with_every_column

PLACE = ("--domain", "code", "--size", "600k", "--tokens", "200k")


@pytest.fixture(scope="module")
def path(study_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("plan") / "fit.nc"
    prior_fit(study_table, "memory", draws=60).save(found)
    return found


def test_a_plan_has_its_odds_regret_and_rivals(path: Path, answer: Callable[..., Any], tmp_path: Path) -> None:
    table = tmp_path / "actions.csv"
    told = answer("plan", path, *PLACE, "--max-forgetting", 0.3, "--confidence", 0.5, "-o", table)
    assert told["status"] in ("chosen", "flat")
    assert told["action"]["p_allowed"] >= 0.5
    actions = pd.read_csv(table)
    assert len(actions) == 129
    allowed = actions[actions["p_allowed"] >= 0.5]
    assert told["action"]["utility"] == pytest.approx(allowed["utility"].max())
    assert told["trust"] == []


def test_a_plan_speaks_for_a_person(path: Path, run: Callable[..., Any]) -> None:
    result = run("plan", path, *PLACE, "--weights", "2,1")
    assert result.exit_code == 0, result.output
    first, *rest = result.stdout.splitlines()
    assert first.startswith(("Train code at ratio", "Ratios"))
    assert any("regret" in line for line in rest)
    hopeless = run("plan", path, *PLACE, "--max-forgetting", "0", "--confidence", "0.999", "--base-loss", "0.5")
    assert hopeless.exit_code == 0, hopeless.output
    assert hopeless.stdout.startswith("No run on offer keeps the general loss within its budget")


def test_size_and_tokens_are_chosen_under_flops(path: Path, answer: Callable[..., Any]) -> None:
    told = answer("plan", path, "--domain", "code", "--flops", 6e11, "--sizes", "100k,600k", "--weights", "1,1")
    assert told["action"]["size"] in (1e5, 6e5)
    assert told["action"]["size"] * told["action"]["tokens"] == pytest.approx(1e11)
    assert "tokens" in told["extrapolation"]
    assert any("beyond the table" in line for line in told["trust"])


def test_scarce_domain_tokens_make_the_run_as_long_as_they_last(path: Path, answer: Callable[..., Any]) -> None:
    told = answer("plan", path, "--domain", "code", "--size", "600k", "--domain-tokens", "50k")
    assert told["action"]["tokens"] * told["action"]["ratio"] == pytest.approx(5e4)


def test_weights_have_a_best_ratio(path: Path, run: Callable[..., Any], answer: Callable[..., Any]) -> None:
    told = answer("ratio", path, *PLACE, "--weights", "1,1")
    assert told["weights_of_losses"] == {"general": 1.0, "domain": 1.0}
    assert 0 <= told["q05"] <= told["q95"] <= 1
    assert "1 x general + 1 x domain loss" in run("ratio", path, *PLACE, "--weights", "1,1").stdout


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (PLACE, ("say what is wanted",)),
        ((*PLACE, "--flops", "1e12", "--weights", "1,1"), ("--flops chooses size and tokens",)),
        (("--domain", "code", "--weights", "1,1"), ("state the --size",)),
        (("--domain", "code", "--size", "1M", "--weights", "1,1"), ("state the --tokens of the run",)),
        (
            (*PLACE, "--sizes", "1M,1M", "--weights", "1"),
            ("each count once", "--sizes are chosen", "--weights: expected"),
        ),
        ((*PLACE, "--max-forgetting", "0.1", "--weights", "1,1"), ("got both",)),
        ((*PLACE, "--weights", "1,1", "--lr", "1e-3"), ("the law memory does not look at that", "--law trajectory")),
        ((*PLACE, "--weights", "1,1", "--lr", "0,x", "--anneal", "1"), ("--lr: expected", "--anneal: expected")),
        ((*PLACE, "--weights", "1,1", "--anneal", "0.2"), ("--anneal needs the --lr",)),
        ((*PLACE, "--weights", "1,1", "--domain-tokens", "1k"), ("--law repeated",)),
        ((*PLACE, "--weights", "1,1", "--phase-ratios", "0.5"), ("--phase-ratios and --phase-parts go together",)),
        (
            (*PLACE, "--weights", "1,1", "--phase-ratios", "1.5", "--phase-parts", "0,1"),
            ("--phase-ratios: expected", "--phase-parts: expected"),
        ),
        (
            (*PLACE, "--weights", "1,1", "--phase-ratios", "0.5", "--phase-parts", "0.2"),
            ("the law memory does not look at that", "--law phased"),
        ),
        ((*PLACE, "--weights", "1,1", "--mixtures"), ("no share_<source> columns",)),
        ((*PLACE, "--weights", "1,1", "--share-limit", "code=1:0"), ("--share-limit is for", "SOURCE=LOW:HIGH")),
        ((*PLACE, "--weights", "1,1", "--retain", "a=b.nc:0.1"), ("--retain goes with", "b.nc")),
        ((*PLACE, "--max-forgetting", "0.1", "--retain", "books"), ("NAME=FIT.nc:BUDGET",)),
        ((*PLACE, "--weights", "0,0", "--confidence", "1"), ("--weights: expected", "--confidence: expected")),
        (
            ("--domain", "code", "--flops", "10", "--weights", "1,1"),
            ("do not pay for a run as long as the table's first checkpoint",),
        ),
    ],
)
def test_nonsense_is_named(
    path: Path, answer: Callable[..., Any], arguments: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    told = answer("plan", path, *arguments, status=2)["message"]
    for message in messages:
        assert message in told


def test_other_sets_are_not_to_be_forgotten_either(
    path: Path, study_table: Table, answer: Callable[..., Any], tmp_path: Path
) -> None:
    other = tmp_path / "books.nc"
    prior_fit(replace(study_table, loss=1.01 * study_table.loss), "memory", draws=40, seed=8).save(other)
    asked = ("plan", path, *PLACE, "--max-forgetting", 0.3, "--confidence", 0.5)
    alone, both = answer(*asked), answer(*asked, "--retain", f"books={other}:1%")
    assert "no more than 1% of it above it on books" in both["objective"]
    assert both["action"]["ratio"] <= alone["action"]["ratio"]
    told = answer(*asked, "--retain", f"books={other}:1%", "--retain", f"books={other}:2%", status=2)["message"]
    assert "two retained sets are called 'books'" in told


def test_a_last_phase_is_chosen_too(
    answer: Callable[..., Any], run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = with_every_column()
    fit = tmp_path / "phased.nc"
    drawn = prior_fit(table, "phased", draws=40, seed=4)
    drawn.save(fit)
    asked = ("plan", fit, "--domain", "code", "--size", "600k", "--tokens", "160k", "--weights", "1,1")
    late = ("--phase-ratios", "1", "--phase-parts", "0.25", "--out", tmp_path / "actions.csv")
    told = answer(*asked, *late)
    actions = pd.read_csv(tmp_path / "actions.csv")
    assert set(actions["phase_part"]) == {0.0, 0.25}
    best = actions.loc[actions["utility"].idxmax()]
    assert told["action"]["phase_part"] == best["phase_part"]
    assert told["action"]["ratio"] == pytest.approx(best["ratio"])
    monkeypatch.setattr(
        sys.modules["bayescpt.decide.phases"], "cautions_of_phase", lambda *told: ["of a phase, indeed"]
    )
    assert "of a phase, indeed" in run(*asked, *late).stderr
    actions = with_phases(ratios(6e5, 1.6e5, [0.2]), table, [1.0], [0.25]).query("phase_part > 0")
    told = decision(plan(drawn, "code", actions, WeightedLoss(1, 1)).summary())
    assert "at ratio 0.200, the last 0.25 of it at 1 (mean 0.400)" in told
    beyond = answer(*asked, "--phase-ratios", "0.1", "--phase-parts", "0.25", status=2)["message"]
    assert "last phases of the table had shares from 1 to 1: no row tells what 0.1 would do" in beyond

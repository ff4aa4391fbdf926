"""Plans in closed form: under the ramp the general loss ends a_g r above the base's, the domain loss a_d r below."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayescpt.decide import DomainLoss, ForgettingBudget, WeightedLoss, plan, ratios
from bayescpt.fit import Fit, Mixture

PLACE = ("code", 1e7, 1e9)
GRID = ratios(*PLACE[1:])


def slopes(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """a of the general and of the domain loss, by draw."""
    theta = fit.draws("code").theta["a"]
    return np.asarray(theta[0]), np.asarray(theta[1])


def test_the_largest_ratio_that_holds_with_confidence(ramp: Fit) -> None:
    general, domain = slopes(ramp)
    budget = 0.3 * np.median(general)
    found = plan(ramp, "code", GRID, ForgettingBudget(budget), confidence=0.8)
    held = (general[None] * GRID["ratio"].to_numpy()[:, None] <= budget).mean(axis=1)
    wanted = GRID["ratio"][held >= 0.8].max()
    assert found.action["ratio"] == wanted
    assert found.action["p_allowed"] == pytest.approx(held[held >= 0.8].min())
    np.testing.assert_allclose(found.action["utility"], -ramp_domain(ramp, wanted).mean())
    assert found.action["rise"] == pytest.approx((general * wanted).mean())
    # in hindsight every draw takes the largest ratio that it allows
    best = np.floor(np.minimum(budget / general, 1) * 128 + 1e-9) / 128
    np.testing.assert_allclose(found.regret, np.maximum(domain * (best - wanted), 0), atol=1e-9)


def ramp_domain(fit: Fit, ratio: float) -> np.ndarray:
    base = fit.base_loss("code", PLACE[1], "domain")
    return base - slopes(fit)[1] * ratio


def test_linear_losses_send_weights_to_an_end(ramp: Fit) -> None:
    general, domain = slopes(ramp)
    for weights in ((1.0, 0.01), (0.01, 1.0)):
        found = plan(ramp, "code", GRID, WeightedLoss(*weights))
        slope = (weights[0] * general - weights[1] * domain).mean()
        assert found.action["ratio"] == (0.0 if slope > 0 else 1.0)
        assert found.p_allowed_run == 1.0


def test_where_nothing_holds_the_safest_is_named(ramp: Fit) -> None:
    found = plan(ramp, "code", ratios(*PLACE[1:], ratio=[0.5, 0.9]), ForgettingBudget(1e-6))
    assert found.status == "none"
    assert found.action["ratio"] == 0.5
    assert found.runner_up is None
    # no draw allows anything, so that hindsight would take what comes closest too
    np.testing.assert_allclose(found.regret, 0.0)


def test_a_flat_posterior_names_no_point(ramp: Fit, altered: Callable[..., Fit]) -> None:
    flat = altered(ramp, coordinates=-12.0)
    found = plan(flat, "code", GRID, DomainLoss())
    assert found.status == "flat"
    assert found.tied_ratios == (0.0, 1.0)
    steep = plan(altered(ramp, coordinates=3.0, noise_sd=1e-4, run_sd=1e-4), "code", GRID, DomainLoss())
    assert steep.status == "chosen"
    assert steep.tied_ratios == (1.0, 1.0)


def test_the_runner_up_is_no_neighbour(ramp: Fit) -> None:
    found = plan(ramp, "code", GRID, DomainLoss())
    assert found.runner_up is not None
    rival = found.actions.iloc[found.runner_up]
    assert rival["ratio"] == pytest.approx(1 - 7 / 128)  # the first at least 0.05 away
    assert rival["utility"] <= found.action["utility"]


def test_choosing_and_judging_by_the_same_draws_flatters(ramp: Fit, altered: Callable[..., Fit]) -> None:
    budget = 0.3 * np.median(slopes(ramp)[0])
    assert abs(plan(ramp, "code", GRID, ForgettingBudget(budget)).optimism) < 0.1
    # draws that all agree flatter nothing
    assert plan(altered(ramp, coordinates=0.0), "code", GRID, DomainLoss()).optimism == pytest.approx(0.0)


def test_a_measured_run_keeps_the_budget_less_surely_than_the_expectation(
    ramp: Fit, altered: Callable[..., Fit]
) -> None:
    budget = 0.3 * np.median(slopes(ramp)[0])
    quiet = plan(altered(ramp, noise_sd=1e-6, run_sd=1e-6), "code", GRID, ForgettingBudget(budget))
    loud = plan(altered(ramp, noise_sd=0.5, run_sd=0.5), "code", GRID, ForgettingBudget(budget))
    assert quiet.p_allowed_run == pytest.approx(quiet.action["p_allowed"], abs=0.02)
    assert 0.5 < loud.p_allowed_run < quiet.p_allowed_run


def test_a_mixture_is_asked_member_by_member(ramp: Fit, level: Fit) -> None:
    both = Mixture({"ramp": ramp, "level": level}, {"ramp": 0.5, "level": 0.5})
    found = plan(both, "code", GRID, DomainLoss())
    assert len(found.regret) == both.size
    alone = plan(Mixture({"ramp": ramp}, {"ramp": 1.0}), "code", GRID, DomainLoss())
    assert alone.action["utility"] == pytest.approx(plan(ramp, "code", GRID, DomainLoss()).action["utility"])


def test_the_summary_is_plain(ramp: Fit) -> None:
    import json

    told = json.loads(json.dumps(plan(ramp, "code", GRID, ForgettingBudget(0.1)).summary(), allow_nan=False))
    assert {"status", "action", "regret", "runner_up", "equally_good", "p_allowed_run"} <= set(told)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, float("nan")])
def test_impossible_confidence_is_refused(ramp: Fit, confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence between 0 and 1"):
        plan(ramp, "code", GRID, DomainLoss(), confidence)


def test_ties_are_one_range_and_sizes_are_told(ramp: Fit, altered: Callable[..., Fit]) -> None:
    flat = altered(ramp, coordinates=-12.0)
    both = pd.concat([GRID, ratios(4e7, 1e9)])
    found = plan(flat, "code", both, DomainLoss())
    assert found.tied_ratios == (0.0, 1.0)
    holes = replace(
        found, actions=found.actions.assign(tied=found.actions["ratio"].isin([0.0, 0.5, 0.5078125])), best=64
    )
    assert holes.tied_ratios == (0.5, 0.5078125)
    rival = found.actions.iloc[found.runner_up]  # type: ignore[index]
    assert abs(rival["ratio"] - found.action["ratio"]) >= 0.05 or rival["size"] != found.action["size"]


def test_a_base_loss_is_of_one_size(ramp: Fit) -> None:
    with pytest.raises(ValueError, match="that of one size"):
        plan(ramp, "code", pd.concat([GRID, ratios(4e7, 1e9)]), ForgettingBudget(0.1), base_loss={"general": 2.0})


def test_many_actions_are_weighed_by_fewer_draws(ramp: Fit, level: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["bayescpt.decide.plan"]
    whole = plan(ramp, "code", GRID, WeightedLoss(1, 2))
    assert len(whole.regret) == ramp.size
    monkeypatch.setattr(module, "MOST_VALUES", len(GRID) * ramp.size // 2)
    monkeypatch.setattr(module, "LEAST_DRAWS", 3)
    fewer = plan(ramp, "code", GRID, WeightedLoss(1, 2))
    assert len(fewer.regret) == ramp.size // 2
    assert fewer.action["utility"] == pytest.approx(whole.action["utility"], abs=0.3)
    monkeypatch.setattr(module, "MOST_VALUES", len(GRID))
    few = len(plan(ramp, "code", GRID, WeightedLoss(1, 2)).regret)
    assert 3 <= few < ramp.size // 2
    both = Mixture({"ramp": ramp, "level": level}, {"ramp": 0.5, "level": 0.5})
    assert len(plan(both, "code", GRID, WeightedLoss(1, 2)).regret) < both.size

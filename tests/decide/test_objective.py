"""Contract of every objective: shapes, units, monotone in what it is said to want."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from bayescpt.decide import (
    OBJECTIVES,
    DomainLoss,
    ForgettingBudget,
    Objective,
    Retained,
    RetainedBudgets,
    WeightedLoss,
)


def _retained() -> Objective:
    """As budgets of one more set, whose outcomes stand beside the general ones."""
    return RetainedBudgets(ForgettingBudget(0.05), [Retained("books", None, 0.02)])  # type: ignore[arg-type]


MAKE: dict[str, Callable[[], Objective]] = {
    "budget": lambda: ForgettingBudget(0.05),
    "retained": _retained,
    "weights": lambda: WeightedLoss(1.0, 3.0),
    "domain": DomainLoss,
}


@pytest.fixture(scope="module")
def outcome() -> xr.Dataset:
    rng = np.random.default_rng(0)
    names = (
        "general",
        "domain",
        "base",
        "general_run",
        "domain_run",
        "general:books",
        "base:books",
        "general_run:books",
    )
    return xr.Dataset({name: (("action", "sample"), rng.uniform(1, 2, (5, 40))) for name in names})


def test_every_objective_on_offer_is_tried() -> None:
    assert {kind.name for kind in OBJECTIVES} == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_contract(name: str, outcome: xr.Dataset) -> None:
    objective = MAKE[name]()
    needed = outcome if objective.needs_base else outcome.drop_vars("base")
    utility, margin = objective.utility(needed), objective.margin(needed)
    assert utility.shape == (5, 40)
    assert margin is None or margin.shape == (5, 40)
    assert (objective.spread(needed) > 0).all()
    assert objective.says()
    # a nat less of domain loss is never worth less, and at most a nat
    better = objective.utility(needed.assign(domain=needed["domain"] - 0.1)) - utility
    assert (better > 0).all()
    assert (better <= 0.1 + 1e-12).all()
    # more general loss never makes a run more welcome
    worse = needed.assign(general=needed["general"] + 0.1)
    assert (objective.utility(worse) <= utility).all()
    if margin is not None:
        assert (objective.margin(worse) <= margin).all()  # type: ignore[operator]
        assert (objective.margin(worse) < margin).any()  # type: ignore[operator]
        for each, spread in objective.of_run(needed):
            assert (each >= margin).all()
            assert (spread > 0).all()


def test_budgets_are_absolute_or_a_share_of_the_base(outcome: xr.Dataset) -> None:
    base, general = outcome["base"].values, outcome["general"].values
    np.testing.assert_allclose(ForgettingBudget(0.05).margin(outcome), base + 0.05 - general)
    np.testing.assert_allclose(ForgettingBudget(0.05, relative=True).margin(outcome), 1.05 * base - general)


def test_the_scale_of_weights_does_not_matter(outcome: xr.Dataset) -> None:
    one, ten = WeightedLoss(1, 3), WeightedLoss(10, 30)
    np.testing.assert_allclose(one.utility(outcome), ten.utility(outcome))
    np.testing.assert_allclose(one.spread(outcome), ten.spread(outcome))


@pytest.mark.parametrize("make", [lambda: ForgettingBudget(-0.1), lambda: ForgettingBudget(np.nan)])
def test_impossible_budgets_are_refused(make: Callable[[], Objective]) -> None:
    with pytest.raises(ValueError, match="max_forgetting must be"):
        make()


@pytest.mark.parametrize("pair", [(-1, 1), (0, 0), (np.inf, 1)])
def test_impossible_weights_are_refused(pair: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected weights"):
        WeightedLoss(*pair)

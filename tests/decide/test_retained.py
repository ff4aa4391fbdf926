"""Caps on several sets: kept all at once, each by the draws of its own fit."""

from __future__ import annotations

import numpy as np
import pytest

from bayescpt.decide import DomainLoss, ForgettingBudget, Retained, RetainedBudgets, plan, ratios
from bayescpt.decide.retained import faults_of
from bayescpt.design import decision_values
from bayescpt.fit import Fit, prior_fit

PLACE = ("code", 1e7, 1e9)
GRID = ratios(*PLACE[1:])
FREE = ForgettingBudget(10.0)


def rise(fit: Fit) -> np.ndarray:
    """Rise of the general loss at a ratio of 1 under the ramp, by draw."""
    return np.asarray(fit.draws("code").theta["a"][0])


def test_with_caps_that_never_bind_it_is_the_domain_loss(ramp: Fit) -> None:
    wanted = RetainedBudgets(FREE, [Retained("books", ramp, 10.0)])
    found, free = plan(ramp, "code", GRID, wanted), plan(ramp, "code", GRID, DomainLoss())
    assert found.best == free.best
    assert found.action["p_allowed"] == 1.0
    assert found.p_allowed_run == pytest.approx(1.0)


def test_all_caps_hold_at_once_with_the_confidence_asked(ramp: Fit) -> None:
    other = prior_fit(ramp.table, ramp.model.law, seed=9, draws=ramp.size)
    budget = 0.3 * float(np.median(rise(ramp)))
    wanted = RetainedBudgets(ForgettingBudget(budget), [Retained("books", other, budget)])
    alone = plan(ramp, "code", GRID, ForgettingBudget(budget), confidence=0.8).action["ratio"]
    both = plan(ramp, "code", GRID, wanted, confidence=0.8)
    assert both.action["ratio"] <= alone
    assert both.action["p_allowed"] >= 0.8
    # a set whose loss rises as that of the general one, with draws of its own: both hold less often than either
    p_one = (rise(ramp)[None] * GRID["ratio"].to_numpy()[:, None] <= budget).mean(axis=1)
    assert (both.actions["p_allowed"].to_numpy() <= p_one + 1e-12).all()
    assert both.p_allowed_run <= plan(ramp, "code", both.actions, ForgettingBudget(budget)).actions["p_allowed"].max()


def test_draws_of_two_fits_of_one_seed_are_not_the_same_draw(ramp: Fit) -> None:
    budget = 0.3 * float(np.median(rise(ramp)))
    wanted = RetainedBudgets(ForgettingBudget(budget), [Retained("itself", ramp, budget)])
    found = plan(ramp, "code", GRID, wanted).actions["p_allowed"].to_numpy()
    p_one = (rise(ramp)[None] * GRID["ratio"].to_numpy()[:, None] <= budget).mean(axis=1)
    between = (p_one > 0.2) & (p_one < 0.8)
    assert between.any()
    assert (found[between] < p_one[between]).all()


def test_faults_are_all_named(ramp: Fit, memory: Fit) -> None:
    with pytest.raises(ValueError, match=r"called 'books'.*books: the budget must be a finite number of at least 0"):
        RetainedBudgets(FREE, [Retained("books", ramp, -1.0), Retained("books", ramp, 0.1)])
    with pytest.raises(ValueError, match="at least one retained set"):
        RetainedBudgets(FREE, [])
    cut = prior_fit(memory.table.select(memory.table.size < 2e7), "memory", draws=5)
    [fault] = faults_of([Retained("books", cut, 0.1)], "code", memory)
    assert "other sizes" in fault
    itself, missing = faults_of([Retained("books", ramp, 0.1)], "music", ramp)
    assert "to the same rows as the one that is planned with" in itself
    assert "no rows of domain 'music'" in missing
    with pytest.raises(ValueError, match="base loss is that of one validation set"):
        plan(ramp, "code", GRID, RetainedBudgets(FREE, [Retained("books", ramp, 0.1)]), base_loss={"general": 2.0})


def test_the_next_runs_can_serve_it(ramp: Fit) -> None:
    wanted = RetainedBudgets(FREE, [Retained("books", ramp, 10.0)])
    values = decision_values(ramp, "code", GRID, wanted, 0.8)
    assert values.shape == (len(GRID), ramp.size)
    np.testing.assert_allclose(values, -plan_domain(ramp))


def plan_domain(fit: Fit) -> np.ndarray:
    """The domain loss of every ratio under the ramp, by draw."""
    slope = np.asarray(fit.draws("code").theta["a"][1])
    return fit.base_loss("code", PLACE[1], "domain") - slope * GRID["ratio"].to_numpy()[:, None]

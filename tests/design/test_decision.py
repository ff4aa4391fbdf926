"""The values of actions lead to the plan."""

from __future__ import annotations

import numpy as np
import pytest

from bayescpt.decide import ForgettingBudget, WeightedLoss, plan, ratios
from bayescpt.design import deciding_ratio, decision_values
from bayescpt.design.decision import Question, values_of
from bayescpt.fit import Fit

ACTIONS = ratios(1e7, 1e9)
RATIO = ACTIONS["ratio"].to_numpy()


def chosen(values: np.ndarray) -> float:
    return float(RATIO[values.mean(axis=1).argmax()])


@pytest.mark.parametrize("confidence", [0.6, 0.8, 0.9])
def test_the_best_value_is_that_of_the_plan(ramp: Fit, confidence: float) -> None:
    general = np.asarray(ramp.draws("code").theta["a"][0])
    budget = ForgettingBudget(0.3 * float(np.median(general)))
    values = decision_values(ramp, "code", ACTIONS, budget, confidence)
    planned = plan(ramp, "code", ACTIONS, budget, confidence).action["ratio"]
    # the constraint of the plan counts draws, the values weigh them by how steep the domain loss is
    assert chosen(values) == pytest.approx(planned, abs=0.1)
    best = np.floor(np.minimum(budget.max_forgetting / general, 1) * 128 + 1e-9) / 128
    np.testing.assert_allclose(deciding_ratio(values, RATIO), best)


def test_equal_slopes_take_the_quantile() -> None:
    """Utility r in every draw, thresholds uniform: the plan is the threshold's lower quantile 1 - c."""
    threshold = np.linspace(0, 1, 2001)
    utility = np.repeat(RATIO[:, None], len(threshold), axis=1)
    for confidence in (0.5, 0.8, 0.95):
        values = values_of(utility, threshold - utility, confidence)
        assert chosen(values) == pytest.approx(1 - confidence, abs=0.01)


def test_without_a_constraint_values_are_utilities(ramp: Fit) -> None:
    weights = WeightedLoss(1, 2)
    values = decision_values(ramp, "code", ACTIONS, weights, 0.9)
    assert chosen(values) == plan(ramp, "code", ACTIONS, weights).action["ratio"]


def test_where_nothing_holds_the_closest_stands_in() -> None:
    utility = np.array([[0.0], [1.0], [2.0]])
    values = values_of(utility, np.array([[-1.0], [-2.0], [-3.0]]), 0.9)
    np.testing.assert_allclose(values[:, 0], [0.0, -9.0, -18.0])


def test_another_base_moves_the_budget(memory: Fit) -> None:
    asked = {base: Question("code", 1e7, 1e9, ForgettingBudget(0.1), 0.8, base_loss=base) for base in (None, 2.9, 3.2)}
    actions = asked[None].actions(memory.table)
    measured, lower, higher = (one.values(memory, actions) for one in asked.values())
    assert not np.allclose(lower, higher)
    assert not np.allclose(measured, lower)
    again = decision_values(memory, "code", actions, ForgettingBudget(0.1), 0.8, {"general": 3.2})
    np.testing.assert_array_equal(asked[3.2].values(memory, actions), again)

"""Areas of learning-rate paths against a sum over steps, and plans that choose a rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.data.table import Table
from bayescpt.decide import WeightedLoss, plan, ratios, with_rates
from bayescpt.decide.rates import ANNEAL_DECAY, areas
from bayescpt.fit import prior_fit
from tests.decide.conftest import RATE, STEPS


@given(st.integers(50, 5000), st.sampled_from([0.0, 0.1, 0.2, 0.5]), st.floats(1e-5, 1e-1))
def test_areas_are_sums_over_steps(steps: int, anneal: float, lr: float) -> None:
    steps = 10 * steps  # so that the part that anneals is a whole number of steps
    falling = round(anneal * steps)
    path = np.concatenate([np.full(steps - falling, lr), lr * (1 - np.arange(1, falling + 1) / max(falling, 1))])
    momentum = s2 = 0.0
    drops = np.append(0.0, -np.diff(path))
    for drop in drops[-falling:] if falling else []:
        momentum = ANNEAL_DECAY * momentum + drop
        s2 += momentum
    fall, found = areas(lr, np.array([float(steps)]), anneal)
    # a step of the fall counts with the rate at its end: half a step less than the trapezium
    assert lr * steps - fall[0] == pytest.approx(path.sum(), rel=2e-2)
    assert found[0] == pytest.approx(s2, rel=1e-6, abs=1e-12)


def varied(rated: Table) -> Table:
    """A table in which one run had twice the rate and another annealed."""
    twice, fell = rated.run == rated.run[0], rated.run == rated.run[-1]
    factor = np.where(twice, 2.0, 1.0)
    assert rated.lr is not None
    assert rated.lr_sum is not None
    return replace(rated, lr=rated.lr * factor, lr_sum=rated.lr_sum * factor, lr_anneal=np.where(fell, 0.1, 0.0))


def test_every_action_at_every_rate_and_anneal(rated: Table) -> None:
    rated = varied(rated)
    size, tokens = float(rated.size.min()), float(rated.tokens.max())
    actions = with_rates(ratios(size, tokens, [0.2, 0.6]), rated, [1e-3, 2e-3], [0.0, 0.5])
    assert len(actions) == 8
    assert set(actions["lr"]) == {1e-3, 2e-3}
    whole = actions[(actions["lr"] == 1e-3) & (actions["anneal"] == 0)]
    # at the table's own rate, its own sum
    np.testing.assert_allclose(whole["lr_sum"], RATE * STEPS)
    assert (whole["lr_anneal"] == 0).all()
    twice = actions[(actions["lr"] == 2e-3) & (actions["anneal"] == 0)]
    np.testing.assert_allclose(twice["lr_sum"].to_numpy(), 2 * whole["lr_sum"].to_numpy())
    half = actions[(actions["lr"] == 1e-3) & (actions["anneal"] == 0.5)]
    np.testing.assert_allclose(half["lr_sum"].to_numpy(), 0.75 * whole["lr_sum"].to_numpy())
    assert (half["lr_anneal"] > 0).all()


def test_steps_are_those_of_the_nearest_size_whatever_rate_it_had(rated: Table) -> None:
    """Larger models have smaller rates: their steps are as many."""
    factor = np.where(rated.size == rated.size.max(), 0.2, 1.0)
    assert rated.lr is not None
    assert rated.lr_sum is not None
    other = replace(rated, lr=rated.lr * factor, lr_sum=rated.lr_sum * factor)
    tokens = float(rated.tokens.max())
    for size in (float(rated.size.min()), float(rated.size.max())):
        [action] = with_rates(ratios(size, tokens, [0.5]), other, [RATE]).to_dict("records")
        assert action["lr_sum"] == pytest.approx(RATE * STEPS)


def test_what_no_row_tells_is_refused(rated: Table) -> None:
    place = ratios(float(rated.size[0]), float(rated.tokens.max()), [0.5])
    with pytest.raises(
        ValueError, match=r"had one learning rate, 0\.001: no row tells what 0\.1 would.*no run .* anneals"
    ):
        with_rates(place, rated, [RATE, 0.1], [0.0, 0.2])
    with pytest.raises(ValueError, match=r"learning rates from 0\.001 to 0\.002: no row tells what 0\.004"):
        with_rates(place, varied(rated), [0.004])


def test_impossible_rates_are_named(rated: Table, table: Table) -> None:
    place = ratios(float(rated.size[0]), float(rated.tokens.max()), [0.5])
    with pytest.raises(ValueError, match=r"positive learning rates, got -1.*\[0, 1\) to anneal, got 1"):
        with_rates(place, rated, [-1.0], [1.0])
    with pytest.raises(ValueError, match="at least one learning rate"):
        with_rates(place, rated, [])
    with pytest.raises(ValueError, match="needs the columns lr and lr_sum"):
        with_rates(place, table, [1e-3])


def test_a_plan_chooses_the_learning_rate(rated: Table) -> None:
    rated = varied(rated)
    fit = prior_fit(rated, "trajectory", seed=6, draws=60)
    size, tokens = float(rated.size[0]), float(rated.tokens.max())
    actions = with_rates(ratios(size, tokens, [0.2, 0.6]), rated, [2e-3, 1e-3], [0.0, 0.2])
    found = plan(fit, "code", actions, WeightedLoss(1, 1))
    assert len(found.actions) == 8
    assert found.best == int(found.actions["utility"].argmax())
    # the rate matters to what is expected, and with one run of the table stated as it was nothing changes
    assert found.actions["utility"].nunique() == 8
    usual = plan(fit, "code", ratios(size, tokens, [0.2, 0.6]), WeightedLoss(1, 1)).actions["utility"]
    same = found.actions[(found.actions["lr"] == 1e-3) & (found.actions["anneal"] == 0)]["utility"]
    np.testing.assert_allclose(same, usual)

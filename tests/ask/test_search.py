from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.ask.search import CLOSE, GRID, SPARE, largest_ratio

STEP = GRID[1] - GRID[0]
BISECTION = 23
"""Probes that halve a step of the grid to twice ``CLOSE``."""


class Counted:
    """A slack that counts how often it is asked, the grid apart."""

    def __init__(self, slack) -> None:  # type: ignore[no-untyped-def]
        self.slack, self.probes = slack, -1

    def __call__(self, ratio: np.ndarray) -> np.ndarray:
        self.probes += 1
        return np.asarray(self.slack(ratio))


SHAPES = {
    "line": lambda away: away,
    "steep": lambda away: np.sinh(400 * away),
    "flat at the crossing": lambda away: away**3,
    "step": lambda away: np.where(away >= 0, 1.0, -1.0),
    "no number beyond": lambda away: np.where(away >= 0, 1.0, np.nan),
    "infinite beyond": lambda away: np.where(away >= 0, 0.3, -np.inf),
    "infinite before": lambda away: np.where(away >= 0, np.inf, -0.3),
    "a corner": lambda away: np.minimum(1e-6 + np.abs(away), 400 * away),
    "huge": lambda away: 1e300 * away,
    "tiny": lambda away: 1e-300 * away,
}


@pytest.mark.parametrize("shape", SHAPES)
@given(thresholds=st.lists(st.floats(-0.5, 1.5).map(lambda value: round(value, 6)), min_size=1, max_size=20))
def test_a_threshold_is_found_in_every_draw_and_hardly_slower_than_by_halving(
    shape: str, thresholds: list[float]
) -> None:
    limit = np.array(thresholds)
    slack = Counted(lambda ratio: SHAPES[shape](limit - ratio))
    value, none, every = largest_ratio(slack)
    np.testing.assert_allclose(value, np.clip(limit, 0, 1), atol=2 * CLOSE)
    np.testing.assert_array_equal(none, limit < 0)
    np.testing.assert_array_equal(every, limit >= 1)
    # what is returned qualifies: a budget is never broken by rounding towards the far side
    inside = ~none
    assert (SHAPES[shape](limit - value)[inside] >= 0).all()
    assert slack.probes <= BISECTION + SPARE


def test_smooth_curves_take_a_third_of_the_probes_of_bisection() -> None:
    rng = np.random.default_rng(3)
    scale, power, limit = rng.uniform(0.1, 2, 2000), rng.uniform(0.2, 3, 2000), rng.uniform(0.0, 1.5, 2000)
    slack = Counted(lambda ratio: limit - scale * (1.02 - ratio) ** -power)
    value, none, every = largest_ratio(slack)
    found = ~none & ~every
    assert found.sum() > 500
    np.testing.assert_allclose(value[found], 1.02 - (limit / scale)[found] ** (-1 / power[found]), atol=2 * CLOSE)
    assert slack.probes <= 8


@given(st.floats(0, 1 - 2 * STEP), st.floats(2 * STEP, 1))
def test_of_several_intervals_the_last_one_counts(start: float, width: float) -> None:
    end = min(start + width, 1.0)

    def slack(ratio: np.ndarray) -> np.ndarray:
        inside = np.minimum(ratio - start, end - ratio) + np.zeros(1)
        return np.where(ratio == 0.0, 1.0, inside)

    value, none, every = largest_ratio(slack)
    np.testing.assert_allclose(value, [end], atol=2 * CLOSE)
    assert not none.any()
    assert every.all() == (end == 1 and start <= STEP)


def test_only_the_far_end_qualifies() -> None:
    value, none, every = largest_ratio(lambda ratio: ratio + np.zeros(3) - 0.999)
    np.testing.assert_array_equal(value, [1, 1, 1])
    assert not none.any()
    assert not every.any()


def test_what_only_says_yes_or_no_is_refused() -> None:
    with pytest.raises(TypeError, match="expected values that are at least 0"):
        largest_ratio(lambda ratio: ratio + np.zeros(3) <= 0.5)


def test_an_interval_between_grid_points_is_not_seen() -> None:
    value, none, _ = largest_ratio(lambda ratio: STEP / 4 - np.abs(ratio + np.zeros(1) - 2.5 * STEP))
    assert none.all()
    assert value == 0

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.ask.search import GRID, largest_ratio

STEP = GRID[1] - GRID[0]


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20))
def test_a_threshold_is_found_in_every_draw(thresholds: list[float]) -> None:
    limit = np.array(thresholds)
    value, none, every = largest_ratio(lambda ratio: ratio <= limit)
    np.testing.assert_allclose(value, np.clip(limit, 0, 1), atol=1e-9)
    np.testing.assert_array_equal(none, limit < 0)
    np.testing.assert_array_equal(every, limit >= 1)


@given(st.floats(0, 1 - 2 * STEP), st.floats(2 * STEP, 1))
def test_of_several_intervals_the_last_one_counts(start: float, width: float) -> None:
    end = min(start + width, 1.0)
    value, none, every = largest_ratio(lambda ratio: ((ratio >= start) & (ratio <= end)) | (ratio + np.zeros(1) == 0.0))
    np.testing.assert_allclose(value, [end], atol=1e-9)
    assert not none.any()
    assert every.all() == (end == 1 and start <= STEP)


def test_only_the_far_end_qualifies() -> None:
    value, none, every = largest_ratio(lambda ratio: ratio + np.zeros(3) >= 0.999)
    np.testing.assert_array_equal(value, [1, 1, 1])
    assert not none.any()
    assert not every.any()


def test_an_interval_between_grid_points_is_not_seen() -> None:
    value, none, _ = largest_ratio(lambda ratio: np.abs(ratio + np.zeros(1) - 2.5 * STEP) < STEP / 4)
    assert none.all()
    assert value == 0

"""The last turn of many slopes at once."""

from __future__ import annotations

import numpy as np
import pytest

from bayescpt.laws.turning import turning_of


def test_the_last_turn_of_every_curve() -> None:
    """Rising up to 2, 30 and 500; falling all the way; rising all the way; rising, falling, rising, falling."""
    last = np.array([2.0, 30.0, 500.0, 0.0, np.inf, 200.0])

    def slope(tokens: np.ndarray) -> np.ndarray:
        tokens = np.broadcast_to(tokens, np.broadcast_shapes(tokens.shape, last.shape))
        value = np.where(tokens < last, 1.0, -1.0)
        value[..., 5] = np.where((tokens[..., 5] > 5) & (tokens[..., 5] < 50), -1.0, value[..., 5])
        return value

    found = turning_of(slope, 1e-2, 1e3)
    np.testing.assert_allclose(found.tokens, last, rtol=1e-11)
    np.testing.assert_array_equal(found.none, np.isinf(last))
    np.testing.assert_array_equal(found.start, last == 0)


def test_a_slope_of_zero_does_not_rise() -> None:
    found = turning_of(lambda tokens: np.zeros(np.broadcast_shapes(tokens.shape, (3,))), 1.0, 10.0)
    assert (found.tokens == 0).all()
    assert found.start.all()
    assert not found.none.any()


@pytest.mark.parametrize(
    ("first", "horizon"), [(0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, np.inf), (np.nan, 1.0), (-1.0, 1.0)]
)
def test_impossible_ranges(first: float, horizon: float) -> None:
    with pytest.raises(ValueError, match="0 < first < horizon"):
        turning_of(lambda tokens: tokens, first, horizon)

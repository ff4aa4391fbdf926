"""How alike the law's misfit is over sizes, and what counts as beyond the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.model.misfit import ALIKE, LEAST_SPAN, REACH, alike, inherited, outside

sizes = st.lists(st.floats(5, 30), min_size=1, max_size=6)


@given(sizes, st.integers(1, 3))
def test_it_is_a_correlation_and_domains_are_independent(log_size: list[float], domains: int) -> None:
    kind = np.arange(len(log_size)) % domains
    correlation = alike(np.array(log_size), kind)
    assert np.linalg.eigvalsh(correlation).min() >= 1 - ALIKE - 1e-9
    assert (np.diag(correlation) == 1).all()
    assert (correlation[kind[:, None] != kind] == 0).all()


@given(sizes, st.floats(5, 30))
def test_a_new_base_is_conditioned_on_the_known_ones(log_size: list[float], new: float) -> None:
    weights, scale = inherited(np.array(log_size), new)
    whole = np.append(log_size, new)
    inverse = np.linalg.inv(alike(whole, np.zeros(len(whole), np.int64)))
    # the last row of the precision holds the conditional moments
    np.testing.assert_allclose(scale, 1 / math.sqrt(inverse[-1, -1]), rtol=1e-9)
    np.testing.assert_allclose(weights, -inverse[-1, :-1] / inverse[-1, -1], atol=1e-9)


def test_nearer_bases_say_more_and_none_says_nothing() -> None:
    near, far = (inherited(np.array([math.log(1e6)]), math.log(size)) for size in (2e6, 1e9))
    assert near[0][0] > far[0][0] > 0
    assert near[1] < far[1] < 1
    assert near[0][0] == pytest.approx(ALIKE * 2 ** (-1 / REACH))
    weights, scale = inherited(np.zeros(0), 3.0)
    assert len(weights) == 0
    assert scale == 1.0


def test_outside_is_counted_in_widths_of_the_range() -> None:
    assert outside(5.0, 2.0, 8.0) == 0.0
    assert outside(11.0, 2.0, 8.0) == pytest.approx(0.5)
    assert outside(-1.0, 2.0, 8.0) == pytest.approx(0.5)
    # one size is no scale of its own
    assert outside(2.0 + LEAST_SPAN, 2.0, 2.0) == pytest.approx(1.0)

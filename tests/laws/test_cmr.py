"""The published CMR law: domain of its functions, and the turning time against its own curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayescpt.laws import LAWS
from bayescpt.laws.cmr import critical_ratio_law, turning_time, two_term_change

exponents = st.floats(0.1, 2.0)


@settings(max_examples=60)
@given(a2=st.floats(0.01, 1.0), a3=st.floats(0.01, 1.0), s2=exponents, gap=st.floats(0.1, 1.5))
def test_the_change_peaks_at_the_turning_time(a2: float, a3: float, s2: float, gap: float) -> None:
    s3 = s2 + gap
    peak = turning_time(a2, s2, -a3, s3)
    assert turning_time(-a3, s3, a2, s2) == pytest.approx(peak)
    curve = two_term_change(peak * np.array([0.25, 0.5, 1.0, 2.0, 4.0]), a2, s2, -a3, s3, 0.0)
    assert isinstance(curve, np.ndarray)
    assert curve[0] < curve[1] < curve[2] > curve[3] > curve[4]
    step = 1e-4
    before, after = (two_term_change(peak * factor, a2, s2, -a3, s3, 0.0) for factor in (1 - step, 1 + step))
    one_term = a2 * s2 * (peak / 0.2) ** s2  # its own slope per e-fold, which the other's cancels
    assert abs(after - before) / (2 * step) < 1e-3 * one_term


def test_the_change_is_two_powers_of_the_papers_time() -> None:
    assert two_term_change(0.8, 0.3, 0.5, -0.1, 1.0, 0.05) == pytest.approx(0.3 * 2 - 0.1 * 4 + 0.05)


@pytest.mark.parametrize(
    ("a2", "s2", "a3", "s3"),
    [(1.0, 0.5, 1.0, 0.9), (-1.0, 0.5, -1.0, 0.9), (-1.0, 0.5, 1.0, 0.9), (1.0, 0.5, -1.0, 0.5), (0.0, 0.5, -1.0, 0.9)],
)
def test_a_change_that_never_peaks_is_refused(a2: float, s2: float, a3: float, s3: float) -> None:
    with pytest.raises(ValueError, match="never turns from rising to falling"):
        turning_time(a2, s2, a3, s3)


@pytest.mark.parametrize("tokens", [0.0, -1.0, float("nan"), np.array([1.0, 0.0])])
def test_tokens_must_be_positive(tokens: float | np.ndarray) -> None:
    with pytest.raises(ValueError, match="positive"):
        critical_ratio_law(tokens, 1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="positive"):
        two_term_change(tokens, 1.0, 1.0, 1.0, 2.0, 0.0)


def test_it_is_no_law_of_a_loss() -> None:
    assert "cmr" not in LAWS

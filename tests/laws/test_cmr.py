"""The published CMR law: domain of its functions, and the turning time against its own curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayescpt.laws import LAWS
from bayescpt.laws.cmr import critical_ratio_law, turning_time, two_term_change

exponents = st.floats(0.1, 2.0)


@settings(max_examples=60, deadline=None)
@given(a2=st.floats(0.01, 1.0), a3=st.floats(0.01, 1.0), s2=exponents, gap=st.floats(0.1, 1.5), b2=st.floats(-1, 1))
def test_the_change_peaks_at_the_turning_time(a2: float, a3: float, s2: float, gap: float, b2: float) -> None:
    s3 = s2 + gap
    peak = turning_time(a2, s2, -a3, s3)
    around = peak * np.array([0.5, 0.9, 1.0, 1.1, 2.0])
    for curve in (two_term_change(around, a2, s2, -a3, s3, b2), two_term_change(around, -a3, s3, a2, s2, b2)):
        assert isinstance(curve, np.ndarray)
        assert curve.argmax() == 2
        assert curve[0] < curve[1]
        assert curve[4] < curve[3]
    assert turning_time(-a3, s3, a2, s2) == pytest.approx(peak)
    step = 1e-4
    slope = two_term_change(peak * (1 + step), a2, s2, -a3, s3, b2) - two_term_change(
        peak * (1 - step), a2, s2, -a3, s3, b2
    )
    scale = a2 * s2 * (peak / 0.2) ** s2  # of one term's own slope per e-fold
    assert abs(slope) / (2 * step) < 1e-3 * scale


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

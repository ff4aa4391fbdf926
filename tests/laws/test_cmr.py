"""The published laws of Gu et al.: their fits and domains, and turning times against their own curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayescpt.laws import LAWS
from bayescpt.laws.cmr import (
    OnePower,
    RatioLaw,
    TwoPowers,
    critical_ratio_law,
    critical_time,
    feasible,
    fit_ratio_law,
    turning_time,
    two_term_change,
)

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


@settings(max_examples=60)
@given(a=st.floats(-2, 2), s=st.floats(-2, 20), b=st.floats(0.5, 5))
def test_a_ratio_law_is_found_again(a: float, s: float, b: float) -> None:
    ratio = np.array([0.125, 0.25, 1 / 3, 0.5, 0.75, 1.0])
    truth = RatioLaw(a, s, b)
    found = fit_ratio_law(ratio, truth.loss(ratio))
    scale = np.ptp(truth.loss(ratio)) + 1e-9
    np.testing.assert_allclose(found.loss(ratio), truth.loss(ratio), atol=1e-5 * scale)


def test_a_loss_in_the_logarithm_of_the_ratio_is_the_limit_of_small_exponents() -> None:
    ratio = np.array([0.1, 0.3, 0.6, 1.0])
    found = fit_ratio_law(ratio, 2 - 0.1 * np.log(ratio))
    assert abs(found.s) < 1e-4
    np.testing.assert_allclose(found.loss(np.array([0.2, 0.8])), 2 - 0.1 * np.log([0.2, 0.8]), atol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "loss", "match"),
    [
        ([0.5, 1.0], [1.0, 2.0], "three ratios at least"),
        ([0.5, 0.5, 1.0], [1.0, 1.1, 2.0], "three ratios at least"),
        ([0.0, 0.5, 1.0], [1.0, 1.1, 2.0], r"ratios in \(0, 1\]"),
        ([0.2, 0.5, 1.1], [1.0, 1.1, 2.0], r"ratios in \(0, 1\]"),
        ([0.2, 0.5, 1.0], [1.0, math.nan, 2.0], "finite losses"),
    ],
)
def test_what_no_ratio_law_can_be_fitted_to(ratio: list[float], loss: list[float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        fit_ratio_law(np.array(ratio), np.array(loss))


GENERAL = TwoPowers(a2=np.array([0.02, 0.05, 0.01]), s2=0.3, a3=np.array([-0.01, -0.02, -0.02]), s3=0.45)
DOMAIN = OnePower(a1=-0.3, s1=0.1)


def test_in_the_limit_the_critical_time_is_the_closed_form() -> None:
    found = critical_time(GENERAL, horizon=1e4)
    closed = [turning_time(a2, 0.3, a3, 0.45) for a2, a3 in zip(GENERAL.a2, GENERAL.a3, strict=True)]
    assert closed[2] < 0.2  # before the paper's first unit of time: it falls from the start
    np.testing.assert_allclose(found.tokens[:2], closed[:2], rtol=1e-10)
    np.testing.assert_array_equal(found.start, [False, False, True])
    np.testing.assert_allclose(critical_time(GENERAL, DOMAIN, 1e9, horizon=1e4).tokens[:2], closed[:2], rtol=1e-5)


@pytest.mark.parametrize("multiplier", [10.0, 100.0, 7000.0])
def test_the_critical_time_solves_the_papers_implicit_equation(multiplier: float) -> None:
    found = critical_time(GENERAL, DOMAIN, multiplier, first=1e-6, horizon=1e4)
    inside = ~found.start & ~found.none
    assert inside.any()
    a2, a3, T = GENERAL.a2[inside], GENERAL.a3[inside], found.tokens[inside] / 0.2
    s2, s3, a1, s1 = 0.3, 0.45, DOMAIN.a1, DOMAIN.s1
    slope = a1 * s1 * T ** (s1 - 1) + multiplier * (a2 * s2 * T ** (s2 - 1) + a3 * s3 * T ** (s3 - 1))
    np.testing.assert_allclose(slope / (multiplier * a2 * s2 * T ** (s2 - 1)), 0, atol=1e-9)


def test_the_domain_loss_brings_the_turn_forward() -> None:
    times = [critical_time(GENERAL, DOMAIN, m, first=1e-6, horizon=1e4).tokens[1] for m in (3.0, 30.0, 300.0, math.inf)]
    assert times == sorted(times)
    assert times[0] < 0.9 * times[-1]


def test_runs_that_never_turn_and_runs_beyond_the_horizon() -> None:
    both_rise = TwoPowers(np.array([0.1]), 0.5, np.array([0.1]), 0.9)
    assert critical_time(both_rise).none.all()
    turn = turning_time(0.05, 0.3, -0.02, 0.45)
    one = TwoPowers(0.05, 0.3, -0.02, 0.45)
    assert critical_time(one, horizon=0.9 * turn).none.all()
    assert critical_time(one, horizon=1.1 * turn).tokens == pytest.approx(turn)


@pytest.mark.parametrize(
    ("multiplier", "domain", "match"), [(0.0, DOMAIN, "must be positive"), (math.nan, DOMAIN, "must be positive"),
                                        (100.0, None, "pass its law as domain")]
)  # fmt: skip
def test_impossible_multipliers(multiplier: float, domain: OnePower | None, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        critical_time(GENERAL, domain, multiplier)


def test_a_ratio_is_feasible_if_it_turns_in_time_at_a_cost_within_the_tolerance() -> None:
    time, change = np.array([0.0, 5.0, 20.0, 21.0, np.inf, 5.0]), np.array([-0.1, 0.05, 0.01, 0.0, 0.0, 0.051])
    np.testing.assert_array_equal(feasible(time, change, budget=20.0), [True, True, True, False, False, False])
    ratio = np.array([0.125, 0.25, 1 / 3, 0.5, 0.75, 1.0])
    assert ratio[feasible(time, change, budget=20.0)].max() == 1 / 3

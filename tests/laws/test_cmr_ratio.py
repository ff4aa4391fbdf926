"""The bounded form of the critical ratio: within (0, 1), with intervals that hold on simulated studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from bayescpt.laws.cmr_ratio import SCATTER_SD, SCATTERS, fit_bounded

SIZES = np.array([0.46, 0.94, 1.6, 3.1])
TIMES = np.array([5.0, 10.0, 20.0, 50.0])
STUDIES = 300
"""Of intervals with 90 % the share that holds has a standard error of 1.7 %: outside 84 to 96 % for 1 seed in 1000."""


def study(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """Pairs of one draw of the prior, and the true ratio at 20B tokens of the smallest size and of 13B parameters."""
    level, slope, power = rng.normal([0, 0, 1], [1.5, 0.5, 0.5])
    between, within = np.clip(np.abs(rng.normal(0, SCATTER_SD, 2)), SCATTERS[0], SCATTERS[-1])
    sizes = np.append(SIZES, 13.0)
    of_size = level + slope * np.log(sizes) + between * rng.standard_normal(5)
    odds = of_size[:4, None] + power * np.log(TIMES / 20) + within * rng.standard_normal((4, 4))
    size, tokens = (a.ravel() for a in np.broadcast_arrays(SIZES[:, None], TIMES))
    return size, tokens, expit(odds).ravel(), float(expit(of_size[0])), float(expit(of_size[4]))


def test_intervals_hold_for_sizes_that_were_run_and_for_others() -> None:
    rng = np.random.default_rng(0)
    inside = []
    for number in range(STUDIES):
        size, tokens, ratio, run, unseen = study(rng)
        found = fit_bounded(size, tokens, ratio, draws=600, seed=number)
        row = []
        for asked, truth in ((SIZES[0], run), (13.0, unseen)):
            low, high = np.quantile(found.ratio(asked, 20.0), [0.05, 0.95])
            row.append(low <= truth <= high)
        inside.append(row)
    held = np.mean(inside, axis=0)
    assert ((held > 0.84) & (held < 0.96)).all(), held


def test_it_never_leaves_the_unit_interval_and_grows_with_tokens() -> None:
    size, tokens, ratio, *_ = study(np.random.default_rng(1))
    found = fit_bounded(size, tokens, ratio)
    curve = np.stack([found.ratio(1.6, t) for t in (1e-3, 1.0, 20.0, 500.0, 1e6)])
    assert ((curve >= 0) & (curve <= 1)).all()
    rising = found.tokens_exponent > 0
    assert rising.mean() > 0.9
    assert (np.diff(curve[:, rising], axis=0) >= 0).all()


def test_a_size_never_run_is_less_sure_and_a_measured_ratio_scatters_more() -> None:
    size, tokens, ratio, *_ = study(np.random.default_rng(2))
    found = fit_bounded(size, tokens, ratio)
    run, beside, far = (np.std(np.log(r / (1 - r))) for r in (found.ratio(n, 20.0) for n in (1.6, 1.7, 30.0)))
    assert run < beside < far
    assert np.std(found.ratio(1.6, 20.0, measured=True)) > np.std(found.ratio(1.6, 20.0))


def test_pairs_on_one_curve_are_found_again() -> None:
    size, tokens = (a.ravel() for a in np.broadcast_arrays(SIZES[:, None], TIMES))
    ratio = expit(-0.5 + 0.4 * np.log(size) + 0.9 * np.log(tokens / 20))
    found = fit_bounded(size, tokens, ratio)
    assert np.median(found.tokens_exponent) == pytest.approx(0.9, abs=0.01)
    assert np.median(found.size_exponent) == pytest.approx(0.4, abs=0.02)
    assert np.median(found.ratio(13.0, 20.0)) == pytest.approx(expit(-0.5 + 0.4 * np.log(13)), abs=0.01)


@pytest.mark.parametrize(
    ("size", "tokens", "ratio"),
    [([1.0, 1.0], [5.0, 10.0], [0.2, 1.0]), ([1.0, 1.0], [5.0, 10.0], [0.0, 0.2]), ([1.0], [5.0], [0.2]),
     ([1.0, -1.0], [5.0, 10.0], [0.2, 0.3]), ([1.0, 1.0], [5.0, np.inf], [0.2, 0.3])],
)  # fmt: skip
def test_impossible_pairs(size: list[float], tokens: list[float], ratio: list[float]) -> None:
    with pytest.raises(ValueError, match="expected two pairs or more"):
        fit_bounded(np.array(size), np.array(tokens), np.array(ratio))


@pytest.mark.parametrize(("size", "tokens"), [(0.0, 20.0), (1.0, -1.0), (np.nan, 20.0), (1.0, np.inf)])
def test_impossible_questions(size: float, tokens: float) -> None:
    found = fit_bounded(np.array([1.0, 1.0]), np.array([5.0, 20.0]), np.array([0.2, 0.4]), draws=10)
    with pytest.raises(ValueError, match="positive numbers of billions"):
        found.ratio(size, tokens)

"""Numbers of Gu et al. (2407.17467): losses by ratio (Table 2), critical mixture ratios and their law (Table 5)."""

from __future__ import annotations

import numpy as np
import pytest

from bayescpt.laws.cmr import critical_ratio_law, fit_ratio_law
from bayescpt.laws.cmr_ratio import fit_bounded

TOKENS = 20.0
"""Billions: T = 100 in the paper's unit."""
FINANCE = {
    "460M": (0.46, 0.22524761, 0.26944345, -0.48139982, 29.8),
    "940M": (0.94, 0.7520627, 0.13720245, -1.06581937, 34.9),
    "1.6B": (1.6, -2.36384831, -0.15125569, 1.59223649, 41.4),
    "3.1B": (3.1, -2.5368197, -0.42071423, 0.84375368, 47.8),
}
"""Billions of parameters, a4, s4, b3 and the published critical ratio at 20B tokens in percent, by model."""
RATIOS = (1.0, 0.75, 0.5, 1 / 3)
DOMAIN_LOSSES = {
    "460M": ((1.4628, 1.4844, 1.5122, 1.5387), 1.5561, 0.03),
    "940M": ((1.3723, 1.3910, 1.4155, 1.4385), 1.4538, 0.05),
    "1.6B": ((1.3242, 1.3416, 1.3643, 1.3854), 1.3994, 0.03),
    "3.1B": ((1.2585, 1.2750, 1.2965, 1.3170), 1.3305, 0.02),
}
"""Domain losses at 20B tokens by ratio, that at a quarter, and by how many percent the paper's prediction of it is off.

The column '33 %' is a third (33.3 % in Table 3): with 0.33 the predictions are off by 0.06 to 0.07 %.
"""


@pytest.mark.parametrize(("_size", "a4", "s4", "b3", "percent"), FINANCE.values(), ids=FINANCE.keys())
def test_critical_ratio_at_20b_tokens(_size: float, a4: float, s4: float, b3: float, percent: float) -> None:
    assert 100 * critical_ratio_law(TOKENS, a4, s4, b3) == pytest.approx(percent, abs=0.1)


def test_larger_models_bear_more_domain_data() -> None:
    ratios = [critical_ratio_law(TOKENS, a4, s4, b3) for _, a4, s4, b3, _ in FINANCE.values()]
    assert ratios == sorted(ratios)


@pytest.mark.parametrize(("losses", "quarter", "percent"), DOMAIN_LOSSES.values(), ids=DOMAIN_LOSSES.keys())
def test_the_loss_at_a_quarter_is_predicted_as_well_as_in_the_paper(
    losses: tuple[float, ...], quarter: float, percent: float
) -> None:
    law = fit_ratio_law(np.array(RATIOS), np.array(losses))
    assert 100 * abs(law.loss(0.25) / quarter - 1) < percent
    assert law.a < 0
    assert 0.15 < law.s < 0.21  # one sign and nearly one value for all sizes


def published_pairs() -> np.ndarray:
    """Size, critical tokens and ratio of the runs that the published curves stand for: (pair, 3).

    The paper's ratios whose critical time lies within the tokens of Fig. 5 where the curves were fitted, T = 25 to 250.
    """
    pairs = []
    for size, a4, s4, b3, _ in FINANCE.values():
        for ratio in (1 / 8, 1 / 4, 1 / 3, 1 / 2, 3 / 4):
            power = (ratio - b3) / a4
            tokens = 0.2 * power ** (1 / s4) if power > 0 else np.inf
            if 5.0 <= tokens <= 50.0:
                assert critical_ratio_law(tokens, a4, s4, b3) == pytest.approx(ratio)
                pairs.append((size, tokens, ratio))
    return np.array(pairs)


@pytest.mark.parametrize("left_out", FINANCE)
def test_the_critical_ratio_of_a_size_left_out(left_out: str) -> None:
    """Published 29.8, 34.9, 41.4, 47.8 %; predicted from the other sizes 27.2, 36.1, 41.3, 47.1 % (medians)."""
    size, *_, percent = FINANCE[left_out]
    pairs = published_pairs()
    assert len(pairs) == 14
    fitted = fit_bounded(*pairs[pairs[:, 0] != size].T)
    low, middle, high = 100 * np.quantile(fitted.ratio(size, TOKENS), [0.05, 0.5, 0.95])
    assert low < percent < high
    assert abs(middle - percent) < 3.0
    assert 10 < high - low < 30  # three sizes leave a fourth unsure


def test_one_token_exponent_serves_all_sizes() -> None:
    fitted = fit_bounded(*published_pairs().T)
    for size, *_, percent in FINANCE.values():
        low, middle, high = 100 * np.quantile(fitted.ratio(size, TOKENS, measured=True), [0.05, 0.5, 0.95])
        assert low < percent < high
        assert abs(middle - percent) < 2.0
    low, high = np.quantile(fitted.tokens_exponent, [0.05, 0.95])
    assert 0.8 < low < high < 1.1
    for tokens in (0.2, 500.0, 1e5):  # where the published law leaves [0, 1]
        assert ((fitted.ratio(3.1, tokens) > 0) & (fitted.ratio(3.1, tokens) < 1)).all()

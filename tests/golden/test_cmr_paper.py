"""The critical mixture ratios of Gu et al. (2407.17467) from the constants in their Table 5."""

from __future__ import annotations

import pytest

from bayescpt.laws.cmr import critical_ratio_law

TOKENS = 20.0
"""Billions: T = 100 in the paper's unit."""
FINANCE = {
    "460M": (0.22524761, 0.26944345, -0.48139982, 29.8),
    "940M": (0.7520627, 0.13720245, -1.06581937, 34.9),
    "1.6B": (-2.36384831, -0.15125569, 1.59223649, 41.4),
    "3.1B": (-2.5368197, -0.42071423, 0.84375368, 47.8),
}
"""a4, s4, b3 and the published critical ratio at 20B tokens in percent, by model size."""


@pytest.mark.parametrize(("a4", "s4", "b3", "percent"), FINANCE.values(), ids=FINANCE.keys())
def test_critical_ratio_at_20b_tokens(a4: float, s4: float, b3: float, percent: float) -> None:
    assert 100 * critical_ratio_law(TOKENS, a4, s4, b3) == pytest.approx(percent, abs=0.1)


def test_larger_models_bear_more_domain_data() -> None:
    ratios = [critical_ratio_law(TOKENS, a4, s4, b3) for a4, s4, b3, _ in FINANCE.values()]
    assert ratios == sorted(ratios)

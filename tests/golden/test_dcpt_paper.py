"""Usage 1 of the D-CPT paper (2406.01375, Table 5): chemistry, 1.8B parameters, 10B tokens, 3 % forgetting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from bayescpt.ask.search import largest_ratio

RATIO = np.array([0.90, 0.91, 0.92, 0.924, 0.93, 0.94, 1.0])
GENERAL_LOSS = np.array([2.9052, 2.9193, 2.9376, 2.9445, 2.9644, 2.9848, 3.4667])
"""Real losses of the paper at these shares of domain data, nats per token."""
BASE_LOSS = 2.8602
TOLERANCE = 0.03
PUBLISHED = 0.924


def loss(parameters: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """E + C / (s + eps)^gamma: the D-CPT law at fixed size and tokens, without its weak data term; s = 1 - r."""
    E, log_C, log_eps, log_gamma = parameters
    return E + np.exp(log_C) * (1 - ratio + np.exp(log_eps)) ** -np.exp(log_gamma)


def test_the_largest_ratio_under_three_percent_forgetting() -> None:
    start = np.array([2.5, np.log(0.1), np.log(0.1), np.log(0.5)])
    fit = least_squares(lambda p: loss(p, RATIO) - GENERAL_LOSS, start, xtol=1e-14, ftol=1e-14, max_nfev=5000)
    assert fit.success
    assert np.abs(fit.fun).max() < 0.01  # the form describes the seven rows

    limit = (1 + TOLERANCE) * BASE_LOSS
    value, none, every = largest_ratio(lambda r: limit - np.atleast_1d(loss(fit.x, r)))
    assert value == pytest.approx(PUBLISHED, abs=1e-3)
    assert not none.any()
    assert not every.any()
    assert loss(fit.x, value) == pytest.approx(limit, abs=1e-6)

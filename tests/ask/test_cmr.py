from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import lambertw

from bayescpt.ask import critical_ratio, ratio_under_budget
from bayescpt.ask.search import GRID
from bayescpt.fit import Fit

N, D = 4e7, 1e9
UNBOUNDED = 1e3
"""A tolerance, in nats, that binds nowhere."""


def hump_parameters(fit: Fit) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    theta = {name: np.asarray(values) for name, values in fit.draws("code").theta.items()}
    return theta["a"][0], theta["k"][0], theta["a"][1], theta["k"][1]


def hump_slope(height: np.ndarray, x: np.ndarray) -> np.ndarray:
    return height * x * (1 - x) * np.exp(1 - x)


@pytest.mark.parametrize("tokens", [0.3 * D, D, 3 * D])
def test_without_a_binding_tolerance_it_is_the_turning_point(hump: Fit, tokens: float) -> None:
    _, turn, _, _ = hump_parameters(hump)
    answer = critical_ratio(hump, "code", N, tokens, tolerance=UNBOUNDED)
    np.testing.assert_allclose(answer["value"], np.minimum(tokens / 1e9 / turn, 1), atol=1e-7)
    np.testing.assert_array_equal(answer["every"], tokens / 1e9 >= turn)


def test_with_a_tolerance_the_loss_must_have_come_down_too(hump: Fit) -> None:
    height, turn, _, _ = hump_parameters(hump)
    # beyond the turn x e^(1-x) = eps/a has the root x = -W_{-1}(-eps / (a e)); before it the slope is positive
    x = -lambertw(-0.05 / (height * math.e), -1).real
    answer = critical_ratio(hump, "code", N, D, tolerance=0.05)
    assert (height > 0.05).all()
    np.testing.assert_allclose(answer["value"], np.minimum(1 / (turn * x), 1), atol=1e-7)


def test_early_in_a_run_the_tolerance_alone_would_allow_what_has_yet_to_rise(hump: Fit) -> None:
    early = 1e6
    assert (ratio_under_budget(hump, "code", N, early, 0.1)["value"] == 1).all()
    assert (critical_ratio(hump, "code", N, early, tolerance=0.1)["value"] < 0.05).all()


@pytest.mark.parametrize("multiplier", [0.05, 1.0, 20.0])
def test_a_finite_multiplier_weighs_the_domain_loss_in(hump: Fit, multiplier: float) -> None:
    height_g, turn_g, height_d, turn_d = hump_parameters(hump)
    ratio = GRID[:, None]
    slope = hump_slope(height_g, 1 / (turn_g * ratio + 1e-9))
    slope += hump_slope(height_d, 1 / (turn_d * (1 - ratio) + 1e-9)) / multiplier
    good = slope <= 0
    least = np.where(good.any(0), GRID[len(GRID) - 1 - good[::-1].argmax(0)], 0)
    answer = critical_ratio(hump, "code", N, D, tolerance=UNBOUNDED, multiplier=multiplier)
    np.testing.assert_array_equal(answer["none"], ~good.any(0))
    assert (answer["value"] >= least).all()
    assert (answer["value"] <= least + 1 / 128).all()


def test_a_large_multiplier_is_nearly_an_infinite_one(hump: Fit) -> None:
    large = critical_ratio(hump, "code", N, D, multiplier=1e9)
    np.testing.assert_allclose(large["value"], critical_ratio(hump, "code", N, D)["value"], atol=1e-4)


def test_a_law_that_cannot_rise_says_so(ramp: Fit, memory: Fit) -> None:
    answer = critical_ratio(ramp, "code", N, D)
    assert "'ramp' cannot rise" in answer.attrs["note"]
    np.testing.assert_array_equal(answer["value"], ratio_under_budget(ramp, "code", N, D, 0.05)["value"])
    assert "note" not in critical_ratio(memory, "code", N, D).attrs


def test_settings_travel_with_the_answer(memory: Fit) -> None:
    attrs = critical_ratio(memory, "law", N, D, tolerance=0.1).attrs
    assert {k: attrs[k] for k in ("domain", "size", "tokens", "tolerance")} == {
        "domain": "law",
        "size": N,
        "tokens": D,
        "tolerance": 0.1,
    }


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"tolerance": -1e-3}, "tolerance must be at least 0 nats, got -0.001"),
        ({"tolerance": math.nan}, "tolerance must be at least 0 nats, got nan"),
        ({"multiplier": 0.0}, "multiplier lambda must be positive"),
        ({"size": -1}, "size must be a positive"),
    ],
)
def test_impossible_settings(hump: Fit, changes: dict[str, float], match: str) -> None:
    settings = {"domain": "code", "size": N, "tokens": D} | changes
    with pytest.raises(ValueError, match=match):
        critical_ratio(hump, **settings)  # type: ignore[arg-type]

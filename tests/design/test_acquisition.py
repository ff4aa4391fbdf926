"""Acquisitions against the closed forms of normal quantities and measurements, and properties that all of them have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from bayescpt.design import ACQUISITIONS, Acquisition, InformationGain, RegretReduction, VarianceReduction
from bayescpt.design.acquisition import explained_share, given, whitened

DRAWS = 20_000
RHO = 0.7
MAKE: dict[str, Callable[[np.ndarray], Acquisition]] = {
    "regret": RegretReduction,
    "information": lambda values: InformationGain(values[-1]),
    "variance": VarianceReduction,
}


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture(scope="module")
def quantity(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(DRAWS)


@pytest.fixture(scope="module")
def seen(rng: np.random.Generator, quantity: np.ndarray) -> np.ndarray:
    """Two numbers from every candidate: a noisy look at the quantity, twice of equal use; and mere noise."""
    noise = rng.standard_normal((2, 2, DRAWS))
    look = RHO * quantity + np.sqrt(1 - RHO**2) * noise[0, 0]
    return np.stack([np.stack([look, noise[0, 1]]), noise[1]])


def test_every_acquisition_on_offer_is_tried() -> None:
    assert {kind.name for kind in ACQUISITIONS} == set(MAKE)


def test_information_is_that_of_a_correlation(quantity: np.ndarray, seen: np.ndarray) -> None:
    found = InformationGain(quantity)
    gain = found.gain(found.quantities(), seen)
    assert gain[0] == pytest.approx(-0.5 * np.log(1 - RHO**2), rel=0.05)
    assert gain[1] == pytest.approx(0.0, abs=1e-3)
    # by ranks: a monotone function of the number decides as well
    bent = InformationGain(np.exp(3 * quantity))
    np.testing.assert_allclose(bent.gain(bent.quantities(), seen), gain)


def test_variance_is_that_of_a_regression(quantity: np.ndarray, seen: np.ndarray) -> None:
    found = VarianceReduction(np.stack([3 * quantity, quantity]))
    gain = found.gain(found.quantities(), seen)
    assert gain[0] == pytest.approx(10 * RHO**2, rel=0.05)
    assert gain[1] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("ahead", [0.0, -0.5, 1.0])
def test_regret_is_the_knowledge_gradient_of_two_actions(quantity: np.ndarray, seen: np.ndarray, ahead: float) -> None:
    """V = (0, m + z): E max(0, m + rho z) - max(0, m) = rho phi(m/rho) + m Phi(m/rho) - max(0, m)."""
    found = RegretReduction(np.stack([np.zeros(DRAWS), ahead + quantity]))
    gain = found.gain(found.quantities(), seen)
    wanted = RHO * norm.pdf(ahead / RHO) + ahead * norm.cdf(ahead / RHO) - max(ahead, 0)
    # 400 possible measurements: standard error below 0.02
    assert gain[0] == pytest.approx(wanted, abs=0.06)
    assert gain[1] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("name", MAKE)
def test_what_is_pending_is_not_learnt_twice(name: str, quantity: np.ndarray, seen: np.ndarray) -> None:
    found = MAKE[name](np.stack([np.zeros(DRAWS), quantity]))
    alone = found.gain(found.quantities(), seen)
    assert (alone >= 0).all()
    pending = seen[0]
    again = found.gain(given(found.quantities(), pending), given(seen, pending))
    assert again[0] < 0.02 * alone[0]
    # in any order
    np.testing.assert_allclose(found.gain(found.quantities(), seen[::-1]), alone[::-1])


def test_a_measurement_explains_its_part_and_leaves_the_rest(quantity: np.ndarray, seen: np.ndarray) -> None:
    share = explained_share(quantity[None], seen)
    assert share[0, 0] == pytest.approx(RHO**2, rel=0.05)
    left = given(quantity, seen[0])
    assert left.var() == pytest.approx(1 - RHO**2, rel=0.05)
    assert left.mean() == pytest.approx(quantity.mean())
    assert given(quantity, np.empty((0, DRAWS))) is quantity


def test_chance_explains_nothing_though_draws_are_few(rng: np.random.Generator) -> None:
    """Of 300 looks of two numbers at nothing, with 100 draws: the raw R^2 would be 0.02 on average."""
    share = explained_share(rng.standard_normal((1, 100)), rng.standard_normal((300, 2, 100)))
    assert share.mean() < 0.012


def test_measurements_that_are_known_do_not_divide_by_nothing(quantity: np.ndarray) -> None:
    flat = np.stack([np.ones(DRAWS), quantity])[None]
    assert np.isfinite(whitened(flat)).all()
    assert np.isfinite(whitened(np.zeros((1, 2, 50)))).all()


def test_more_pending_than_draws_can_tell_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="too many for 50 draws"):
        given(rng.standard_normal((3, 50)), rng.standard_normal((30, 50)))
    with pytest.raises(ValueError, match="too many for 2 draws"):
        explained_share(rng.standard_normal((1, 2)), rng.standard_normal((1, 2, 2)))


def test_irrelevant_pending_runs_explain_nothing(rng: np.random.Generator) -> None:
    values = rng.standard_normal((1, 1000))
    left = given(values, rng.standard_normal((150, 1000)))
    assert left.var() > 0.93  # 0.85 before what chance explains is taken off


def test_no_run_brings_more_than_knowing_all(quantity: np.ndarray) -> None:
    """Heavy tails: a regression on the value itself would promise more."""
    values = np.stack([np.zeros(DRAWS), -np.exp(3 * np.abs(quantity)) + 1.01])
    found = RegretReduction(values)
    gain = found.gain(found.quantities(), np.stack([values[1:], quantity[None]]))
    relative = found.quantities()
    assert gain.max() <= relative.max(axis=0).mean() - relative.mean(axis=1).max() + 1e-9

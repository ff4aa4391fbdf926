"""Directions of known posteriors, named by what carries them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.fit.ridges import Direction, together, unidentified, varimax

NAMES = ("E", "A", "C", "B", "beta")


def posterior_of(prior: np.ndarray, *seen: tuple[list[float], float]) -> np.ndarray:
    """Covariance after observing linear combinations of the parameters with these errors."""
    precision = np.linalg.inv(prior)
    for weights, error in seen:
        precision = precision + np.outer(weights, weights) / error**2
    return np.linalg.inv(precision)


def told(found: list[Direction]) -> list[tuple[str, bool]]:
    return [(one.name, one.learned) for one in found]


def test_a_sum_that_is_known_leaves_its_parts_against_each_other() -> None:
    """E + A + C is seen, B and beta too: what is left is a plane, and its directions have two or three carriers."""
    prior = np.eye(5)
    posterior = posterior_of(prior, ([1, 1, 1, 0, 0], 0.01), ([0, 0, 0, 1, 0], 0.1), ([0, 0, 0, 0, 1], 0.1))
    found = unidentified(NAMES, posterior, prior)
    assert len(found) == 2
    for one in found:
        assert one.contraction == pytest.approx(1, abs=1e-3)
        assert set(one.carriers) <= {"E", "A", "C"}
        assert abs(one.loading[:3].sum()) < 1e-3
        assert " against " in one.name
        assert not one.learned


def test_one_against_two() -> None:
    """E is seen only with A and C, of which the difference is seen: E can rise where both fall."""
    prior = np.eye(5)
    others = [(list(np.eye(5)[i]), 0.05) for i in (3, 4)]
    posterior = posterior_of(prior, ([1, 1, 1, 0, 0], 0.01), ([0, 1, -1, 0, 0], 0.01), *others)
    (one,) = unidentified(NAMES, posterior, prior)
    assert one.name == "E against A and C"
    np.testing.assert_allclose(one.loading[:3] * np.sign(one.loading[0]), np.array([2, -1, -1]) / 6**0.5, atol=1e-3)
    assert one.carriers["E"] > 0 > one.carriers["A"]


def test_a_ridge_is_measured_in_prior_standard_deviations() -> None:
    """B and beta trade off by units that differ a thousandfold: each moves by as much of its own prior."""
    prior = np.diag([1, 1, 1, 1e-6, 1.0])
    seen = [(list(np.eye(5)[i]), 0.01) for i in range(3)]
    (one,) = unidentified(NAMES, posterior_of(prior, ([0, 0, 0, 1e3, 1], 0.01), *seen), prior)
    assert one.name == "B against beta"
    np.testing.assert_allclose(np.abs(one.loading[3:]), 0.5**0.5, atol=1e-3)


def test_what_was_never_seen_is_named_one_by_one() -> None:
    prior = np.diag([1.0, 4.0, 0.25, 1.0, 9.0])
    seen = [(list(np.eye(5)[i]), 0.05) for i in (1, 3)]
    found = unidentified(NAMES, posterior_of(prior, *seen), prior)
    assert sorted(told(found)) == [("C", False), ("E", False), ("beta", False)]
    assert all(one.contraction == pytest.approx(1) for one in found)
    # the same for any rotation of their plane that an eigensolver may choose: of all five too
    assert sorted(name for name, _ in told(unidentified(NAMES, prior, prior))) == sorted(NAMES)


def test_parameters_that_are_known_only_together() -> None:
    """Of both half the prior's variance is left, so that nothing is unlearned, but one follows from the other."""
    prior = np.eye(5)
    posterior = 0.01 * np.eye(5)
    posterior[3:, 3:] = 0.3 * np.array([[1, -0.95], [-0.95, 1]])
    (one,) = unidentified(NAMES, posterior, prior)
    assert told([one]) == [("B against beta", True)]
    assert one.contraction == pytest.approx(0.3 * 1.95)
    posterior[3:, 3:] = 0.3 * np.array([[1, 0.95], [0.95, 1]])
    assert told(unidentified(NAMES, posterior, prior)) == [("B with beta", True)]
    posterior[3:, 3:] = 0.3 * np.array([[1, 0.85], [0.85, 1]])
    assert unidentified(NAMES, posterior, prior) == []


def test_a_ridge_that_is_named_as_unlearned_is_not_named_twice() -> None:
    prior = np.eye(5)
    seen = [(list(np.eye(5)[i]), 0.05) for i in range(3)]
    posterior = posterior_of(prior, ([0, 0, 0, 1, 1], 0.01), *seen)
    assert np.corrcoef(posterior)[3, 4] < -0.9
    assert told(unidentified(NAMES, posterior, prior)) == [("B against beta", False)]


def test_chains_of_correlations_are_one_group_and_constants_are_in_none() -> None:
    rng = np.random.default_rng(0)
    first = rng.standard_normal(4000)
    draws = np.stack([first, -first + 0.2 * rng.standard_normal(4000), first, rng.standard_normal(4000), 0 * first])
    (one,) = together(NAMES, np.cov(draws), np.ones(5))
    assert set(one.carriers) == {"E", "A", "C"}
    assert np.sign(one.loading[0] * one.loading[1]) == -1


@given(st.integers(0, 1000), st.integers(1, 5))
def test_varimax_keeps_the_subspace(seed: int, columns: int) -> None:
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, columns)))[0]
    turned = varimax(basis)
    np.testing.assert_allclose(turned.T @ turned, np.eye(columns), atol=1e-9)
    np.testing.assert_allclose(turned @ turned.T, basis @ basis.T, atol=1e-9)
    spread = [(each**2).var(axis=0).sum() for each in (basis, turned)]
    assert spread[1] >= spread[0] - 1e-9


@pytest.mark.parametrize("correlated", [0.0, 0.6])
def test_contractions_do_not_depend_on_the_coordinates(correlated: float) -> None:
    """Another scale of a parameter, and a prior under which two are correlated, leave what was learned as it was."""
    prior = np.eye(5)
    prior[0, 1] = prior[1, 0] = correlated
    posterior = posterior_of(prior, ([1, 1, 0, 0, 0], 0.1), ([0, 0, 1, 0, 0], 0.1))
    unit = np.diag([1, 10, 100, 1, 0.01])
    first, second = (unidentified(NAMES, u @ posterior @ u, u @ prior @ u) for u in (np.eye(5), unit))
    named, again = ({one.name: one.contraction for one in found} for found in (first, second))
    assert set(named) == {"E against A", "B", "beta"}
    assert again == pytest.approx(named)

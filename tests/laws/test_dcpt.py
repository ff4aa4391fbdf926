"""The D-CPT law (2406.01375): constraints of appendix E.3, limits of section 3.1, border of usage 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from bayescpt.laws import LAWS, Point
from bayescpt.laws.base import Theta
from bayescpt.laws.dcpt import interior_domain_tokens, least_share_amplitude

if TYPE_CHECKING:
    from conftest import Subject

LAW = LAWS["dcpt"]
LOSS = jax.jit(LAW.loss)


def at(theta: Theta, size: float, tokens: float, share: float) -> float:
    """The loss at a point."""
    place = Point(*map(jnp.asarray, (size, tokens, share, jnp.nan, 0.0, jnp.nan)))
    return float(LOSS(theta, place))


def thetas(subject: Subject, count: int) -> list[Theta]:
    natural = subject.natural(subject.coordinates(count))
    return [{name: jnp.asarray(values[i]) for name, values in natural.items()} for i in range(count)]


def test_natural_parameters_obey_the_constraints(dcpt_subject: Subject) -> None:
    theta = dcpt_subject.natural(dcpt_subject.coordinates(400))
    for name, values in theta.items():
        assert (values > 0).all(), name
    assert (theta["eta"] > 1).all()
    first = dcpt_subject.reference.tokens_min
    least = jax.vmap(lambda one: least_share_amplitude(one, first))({k: jnp.asarray(v) for k, v in theta.items()})
    assert (theta["C"] > np.asarray(least)).all()


def test_the_least_amplitude_makes_the_slope_in_share_vanish_at_the_first_checkpoint(dcpt_subject: Subject) -> None:
    first = dcpt_subject.reference.tokens_min
    for theta in thetas(dcpt_subject, 5):
        tight = {**theta, "C": least_share_amplitude(theta, first)}

        def slope(share: float, tokens: float, theta: Theta = tight) -> float:
            def loss(s: jax.Array) -> jax.Array:
                return LAW.loss(
                    theta, Point(*map(jnp.asarray, (1.0, tokens)), s, *map(jnp.asarray, (jnp.nan, 0.0, jnp.nan)))
                )

            return float(jax.grad(loss)(jnp.asarray(share)))

        rise = float(theta["B"] * theta["eta"] * first ** -theta["beta"])  # of the data term alone
        assert slope(1.0, first) == pytest.approx(0, abs=1e-10 * rise)
        assert slope(1.0, 2 * first) < 0
        assert slope(0.9, first) < 0
        assert slope(1.0, 0.5 * first) > 0


def test_at_a_fixed_ratio_it_is_chinchilla(dcpt_subject: Subject) -> None:
    share = 0.3
    for theta in thetas(dcpt_subject, 5):
        floor = theta["E"] + theta["C"] / (share + theta["eps"]) ** theta["gamma"]
        B = theta["B"] * share ** theta["eta"]
        for size, tokens in ((1e-4, 1e-5), (2.0, 30.0)):
            chinchilla = floor + theta["A"] / size ** theta["alpha"] + B / tokens ** theta["beta"]
            assert at(theta, size, tokens, share) == pytest.approx(float(chinchilla), rel=1e-12)


def test_below_the_border_of_usage_2_a_mixture_beats_the_pure_domain_corpus(dcpt_subject: Subject) -> None:
    for theta in thetas(dcpt_subject, 6):
        border = float(interior_domain_tokens(theta))

        def best(own_tokens: float, theta: Theta = theta) -> float:
            """The ratio of least loss with this many domain tokens, D = D_d / r."""

            def loss(ratio: float) -> float:
                return at(theta, 1.0, own_tokens / ratio, ratio)

            return float(minimize_scalar(loss, bounds=(1e-3, 1.0), method="bounded", options={"xatol": 1e-7}).x)

        assert best(1.1 * border) == pytest.approx(1.0, abs=1e-5)
        assert best(0.9 * border) < 0.999

"""Published numbers of the Chinchilla law: the replication's constants, and the allocation of D-CPT's usage 3."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
from scipy.optimize import minimize_scalar

from bayescpt.laws import LAWS, Point
from bayescpt.laws.base import BILLION, Theta
from bayescpt.laws.chinchilla import allocation

LAW = LAWS["chinchilla"]
A, B, E, ALPHA, BETA = 482.01, 2085.43, 1.8169, 0.3478, 0.3659
"""Besiroglu et al. 2024 (2404.10102), parameters and tokens in ones."""


def replication() -> Theta:
    natural = {"E": E, "A": A / BILLION**ALPHA, "alpha": ALPHA, "B": B / BILLION**BETA, "beta": BETA}
    return {name: jnp.asarray(value) for name, value in natural.items()}


def loss(theta: Theta, size: float, tokens: float) -> float:
    """Parameters and tokens in ones."""
    unknown = jnp.asarray(jnp.nan)
    places = (jnp.asarray(size / BILLION), jnp.asarray(tokens / BILLION), jnp.asarray(1.0), unknown, jnp.zeros(()))
    return float(LAW.loss(theta, Point(*places, unknown)))


def test_the_loss_of_chinchilla_itself() -> None:
    expected = E + A / 70e9**ALPHA + B / 1.4e12**BETA
    assert loss(replication(), 70e9, 1.4e12) == pytest.approx(expected, rel=1e-12)


def test_the_closed_form_is_where_the_loss_is_least() -> None:
    theta, flops = replication(), 5.76e23
    size, tokens = (float(value) * BILLION for value in allocation(theta).at(flops))
    assert 6 * size * tokens == pytest.approx(flops, rel=1e-12)

    def along(log_size: float) -> float:
        n = jnp.exp(log_size)
        return loss(theta, float(n), float(flops / 6 / n))

    found = minimize_scalar(along, bounds=(20.0, 32.0), method="bounded", options={"xatol": 1e-9})
    assert jnp.exp(found.x) == pytest.approx(size, rel=1e-4)
    # the replication puts Chinchilla near 20 tokens a parameter
    assert 15 < tokens / size < 30


def test_usage_3_of_dcpt_is_this_closed_form() -> None:
    """2406.01375, usage 3: a = 0.6252, b = 0.3748, G = 4.1282 at 5e19 FLOPs give 15.54B and 0.536B."""
    a, b, G = 0.6252, 0.3748, 4.1282
    amplitudes = G * (b + a)  # alpha + beta = 1, so that G = alpha A / (beta B)
    natural = {"alpha": b, "beta": a, "B": 1.0, "A": amplitudes * a / b}
    theta = {name: jnp.asarray(value) for name, value in natural.items()}
    found = allocation(theta)
    assert [float(value) for value in found] == pytest.approx([G, a, b], rel=1e-12)
    size, tokens = found.at(5e19)
    assert float(size) == pytest.approx(15.54, abs=0.005)
    assert float(tokens) == pytest.approx(0.536, abs=0.0005)

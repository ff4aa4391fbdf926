"""The forms that D-CPT is compared with: their equations, and what the paper says of them."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import LAWS, Point
from bayescpt.laws.base import Scalar, Theta

N, D, S = 0.7, 3.0, 0.3
COMMON = {"E": 1.2, "A": 0.3, "alpha": 0.35, "B": 0.2, "beta": 0.28}
OFFSET = {"C": 0.4, "gamma": 0.6, "eps": 0.1}
TOP = 1.2 + 0.3 / N**0.35

EQUATIONS: dict[str, tuple[dict[str, float], float]] = {
    "dcpt": ({**OFFSET, "eta": 1.5}, 0.2 * S**1.5 / D**0.28 + 0.4 / 0.4**0.6),
    "dcpt_l1": (OFFSET, 0.2 / D**0.28 + 0.4 / 0.4**0.6),
    "dcpt_l2": ({**OFFSET, "eta": 0.8}, (0.2 / D**0.28 + 0.4 / 0.4**0.6) ** 0.8),
    "dcpt_l4": ({"C": 0.4, "b": 2.0, "c": 5.0}, 0.2 * 2**S / D**0.28 + 0.4 / 5**S),
    "dcpt_l5": ({"sigma": 0.02}, 0.2 / (S * D + (1 - S) * 0.02) ** 0.28),
    "dcpt_l6": (OFFSET, 0.2 * np.exp(S) / D**0.28 + 0.4 / 0.4**0.6),
    "dcpt_l7": ({**OFFSET, "eta": 1.5}, 0.2 * 0.4**1.5 / D**0.28 + 0.4 / 0.4**0.6),
}
"""Natural parameters of every form besides the common ones, and what it adds to E + A/N^alpha at (N, D, S)."""


def theta_of(name: str) -> Theta:
    return {key: jnp.asarray(value) for key, value in {**COMMON, **EQUATIONS[name][0]}.items()}


def loss_of(name: str) -> Callable[[Scalar, Scalar], Scalar]:
    """The loss in tokens and share."""
    theta = theta_of(name)
    return lambda tokens, share: LAWS[name].loss(
        theta, Point(jnp.asarray(N), tokens, share, jnp.asarray(jnp.nan), jnp.asarray(0.0), jnp.asarray(jnp.nan))
    )


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_form_is_its_equation(name: str) -> None:
    assert set(theta_of(name)) == {param.name for param in LAWS[name].params}
    assert float(loss_of(name)(jnp.asarray(D), jnp.asarray(S))) == pytest.approx(TOP + EQUATIONS[name][1], rel=1e-12)


@pytest.mark.parametrize("name", EQUATIONS)
def test_whether_a_token_is_worth_more_where_its_share_is_larger(name: str) -> None:
    """The implicit trend d2L/dDds < 0 of section 3.1: L1 lacks it, and L5 has it reversed."""
    mixed = float(jax.grad(jax.grad(loss_of(name)), argnums=1)(jnp.asarray(D), jnp.asarray(S)))
    if name == "dcpt_l1":
        assert mixed == 0
    elif name == "dcpt_l5":
        assert mixed > 0
    else:
        assert mixed < 0


@pytest.mark.parametrize("name", ["dcpt", "dcpt_l4", "dcpt_l6", "dcpt_l7"])
def test_the_constraint_is_tight(name: str) -> None:
    """At C = C0 the slope in the share vanishes at share 1 and the first checkpoint, and only there."""
    law, first = LAWS[name], 0.01
    theta = dict(theta_of(name))
    theta["C"] = theta["B"] * law.steepest(theta) / first ** theta["beta"]  # type: ignore[attr-defined]

    def slope(tokens: float, share: float) -> float:
        def loss(share: Scalar) -> Scalar:
            places = (
                jnp.asarray(N),
                jnp.asarray(tokens),
                share,
                jnp.asarray(jnp.nan),
                jnp.asarray(0.0),
                jnp.asarray(jnp.nan),
            )
            return law.loss(theta, Point(*places))

        return float(jax.grad(loss)(jnp.asarray(share)))

    assert slope(first, 1.0) == pytest.approx(0, abs=1e-10)
    assert slope(first, 0.99) < 0
    assert slope(1.01 * first, 1.0) < 0
    assert slope(0.99 * first, 1.0) > 0


def test_limits_that_join_the_forms() -> None:
    one = {key: jnp.asarray(value) for key, value in {**COMMON, **OFFSET, "eta": 1.0}.items()}
    at = Point(*map(jnp.asarray, (N, D, S, np.nan, 0.0, np.nan)))
    assert float(LAWS["dcpt_l2"].loss(one, at)) == pytest.approx(float(LAWS["dcpt_l1"].loss(one, at)), rel=1e-14)
    whole = at._replace(share=jnp.asarray(1.0))
    alone = {**theta_of("dcpt_l5")}
    assert float(LAWS["dcpt_l5"].loss(alone, whole)) == pytest.approx(TOP + 0.2 / D**0.28, rel=1e-12)

"""The Cross-Domain D-CPT law (2406.01375, section 3.2): K moves the intercept alone, and its scale is fixed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import LAWS, Point, Reference
from bayescpt.laws.base import Scalar, Theta
from bayescpt.laws.dcpt_cross import CROSS, Cross
from bayescpt.schema import TARGETS

REFERENCE = Reference(size=2.4e-4, tokens=6.5e-5, tokens_min=4.1e-6)
N, D, S = 0.7, 3.0, 0.3
SURFACE = {"E": 1.2, "A": 0.3, "alpha": 0.35, "B": 0.2, "beta": 0.28, "C": 0.4, "gamma": 0.6, "eps": 0.1, "eta": 1.5}
WEIGHTS = {
    "dcpt_cross": {"inverse_start": 0.4, "fall": 0.6},
    "dcpt_cross_k1": {"inverse_start": 1.0},
    "dcpt_cross_k2": {"fall": 1.0},
    "dcpt_cross_k4": {"inverse_start": 0.2, "fall": 0.5, "inverse_bend": 0.3},
}
START, FALL, BEND = 0.8, 1.7, 0.5
TERMS = {"inverse_start": 1 / START, "fall": FALL, "inverse_bend": 1 / BEND}


def theta_of(name: str) -> Theta:
    natural = {**SURFACE, "F": 0.35, "mu": 1.3, **{f"w_{term}": w for term, w in WEIGHTS[name].items()}}
    return {key: jnp.asarray(value) for key, value in natural.items()}


def at(learned: Scalar, bend: Scalar, tokens: float = D, share: float = S) -> Point:
    """A point with these statistics of its domain."""
    places = map(jnp.asarray, (N, tokens, share, jnp.nan, 0.0, jnp.nan))
    return Point(*places, {"learnability": learned, "learnability_bend": bend})


TYPICAL = jnp.array([START, FALL]), jnp.array([BEND])


@pytest.fixture(params=CROSS, ids=[law.name for law in CROSS])
def law(request: pytest.FixtureRequest) -> Cross:
    """Every form of K."""
    return request.param


def coordinates_of(law: Cross, target: str, count: int) -> np.ndarray:
    """Draws of the prior over domains."""
    rng = np.random.default_rng(1)
    priors = [c.prior(target) for c in law.coordinates]  # type: ignore[arg-type]
    return np.stack([p.loc + np.hypot(p.scale, p.spread) * rng.standard_normal(count) for p in priors], axis=1)


def test_the_law_is_d_cpt_plus_a_power_of_learnability(law: Cross) -> None:
    theta = theta_of(law.name)
    assert set(theta) == {param.name for param in law.params}
    surface = float(LAWS["dcpt"].loss({name: theta[name] for name in SURFACE}, at(*TYPICAL)))
    learnability = sum(weight * TERMS[term] for term, weight in WEIGHTS[law.name].items())
    assert float(law.loss(theta, at(*TYPICAL))) == pytest.approx(surface + 0.35 / learnability**1.3, rel=1e-8)


def test_a_readily_learned_domain_has_a_lower_loss_by_the_same_everywhere(law: Cross) -> None:
    theta = theta_of(law.name)
    gentle = jnp.array([1.3 * START, 0.6 * FALL]), jnp.array([1.4 * BEND])
    gains = [
        float(law.loss(theta, at(*gentle, *place)) - law.loss(theta, at(*TYPICAL, *place)))
        for place in ((D, S), (10 * D, S), (D, 0.0), (D, 1.0))
    ]
    assert gains[0] > 0.01
    np.testing.assert_allclose(gains, gains[0], rtol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_the_loss_falls_in_every_term_of_learnability_and_is_finite_where_a_fall_was_a_rise(
    law: Cross, target: str
) -> None:
    def loss(learned: Scalar, bend: Scalar, coordinates: Scalar) -> Scalar:
        return law.loss(law.natural(coordinates, REFERENCE, jnp.asarray(0.0)), at(learned, bend))

    slopes = jax.jit(jax.vmap(jax.grad(loss, argnums=(0, 1)), in_axes=(None, None, 0)))
    drawn = jnp.asarray(coordinates_of(law, target, 200))
    for fall in (-0.2, 0.0, 0.01, 1.0, 8.0):
        by_learned, by_bend = slopes(jnp.array([0.7, fall]), jnp.array([0.9]), drawn)
        assert np.isfinite(by_learned).all()
        assert (by_learned[:, 0] >= 0).all()  # a higher start is a lower K
        assert (by_learned[:, 1] <= 0).all()
        assert (by_bend >= 0).all()
        assert (np.abs(by_learned).sum() + np.abs(by_bend).sum()) > 1e-3


@pytest.mark.parametrize("target", TARGETS)
def test_the_level_is_the_loss_of_a_typical_domain(law: Cross, target: str) -> None:
    drawn = coordinates_of(law, target, 200)
    middle = Point(
        *map(jnp.asarray, (REFERENCE.size, REFERENCE.tokens, 0.5, jnp.nan, 0.0, jnp.nan)),
        {"learnability": jnp.ones(2), "learnability_bend": jnp.ones(1)},
    )

    def both(coordinates: Scalar) -> tuple[Scalar, Scalar]:
        theta = law.natural(coordinates, REFERENCE, jnp.asarray(0.0))
        return law.loss(theta, middle), theta["E"]

    loss, floor = jax.jit(jax.vmap(both))(jnp.asarray(drawn))
    clear = np.asarray(floor) > 0.5 * np.exp(drawn[:, 0])  # where the floor of E does not lift it
    assert clear.sum() > 20
    np.testing.assert_allclose(np.asarray(loss)[clear], np.exp(drawn[clear, 0]), rtol=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_weights_sum_to_one_and_the_gain_is_that_from_half_to_twice(law: Cross, target: str) -> None:
    drawn = coordinates_of(law, target, 50)
    theta = jax.jit(jax.vmap(lambda c: law.natural(c, REFERENCE, jnp.asarray(0.0))))(jnp.asarray(drawn))
    np.testing.assert_allclose(sum(theta[f"w_{term}"] for term in law.terms), 1.0, rtol=1e-12)
    gain = theta["F"] * (0.5 ** -theta["mu"] - 2.0 ** -theta["mu"])
    place = [c.name for c in law.coordinates].index("log_learnability_gain")
    wanted = np.exp(drawn[:, place])
    # where the terms would be more than the level they are taken down together
    assert (np.asarray(gain) <= wanted * (1 + 1e-12)).all()
    clear = np.asarray(theta["E"]) > 0.3 * np.exp(drawn[:, 0])
    assert clear.sum() > 10
    np.testing.assert_allclose(np.asarray(gain)[clear], wanted[clear], rtol=0.03)  # 1 - 0.3: part of 0.99 and up, twice


def test_the_scale_of_learnability_and_its_amplitude_trade_off() -> None:
    """Why the weights sum to 1: c K with c^mu F is the same law."""
    law, theta, factor = LAWS["dcpt_cross"], dict(theta_of("dcpt_cross")), 2.5
    scaled = theta | {"F": theta["F"] * factor ** theta["mu"]}
    scaled |= {name: factor * theta[name] for name in ("w_inverse_start", "w_fall")}
    before, after = (float(law.loss(values, at(*TYPICAL))) for values in (theta, scaled))
    assert after == pytest.approx(before, rel=1e-8)

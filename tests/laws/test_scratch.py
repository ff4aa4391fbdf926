"""Laws of training from scratch: their equations and nesting."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import LAWS, Point, Reference
from bayescpt.laws.additive import Additive
from bayescpt.laws.base import Theta
from bayescpt.laws.chinchilla import Chinchilla
from bayescpt.laws.mixing import Mixing
from bayescpt.laws.scratch import Form

REFERENCE = Reference(size=0.2, tokens=8.0, tokens_min=0.3)
N, D = 0.7, 3.0
SCALE = {"E": 1.2, "A": 0.3, "alpha": 0.35, "B": 0.6, "beta": 0.28}
TOP = 1.2 + 0.3 / N**0.35 + 0.6 / D**0.28
SOURCES = ("books", "code", "web")
H = np.array([0.2, 0.3, 0.5])


def theta_of(**values: float) -> Theta:
    return {name: jnp.asarray(value) for name, value in {**SCALE, **values}.items()}


def at(size: float = N, tokens: float = D, shares: np.ndarray = H, own: int | None = None) -> Point:
    given = {"shares": jnp.asarray(shares), "own_source": jnp.asarray(np.arange(len(shares)) == own, float)}
    unknown = jnp.asarray(jnp.nan)
    return Point(*map(jnp.asarray, (size, tokens, 0.0)), unknown, jnp.zeros(()), unknown, given)


def test_chinchilla_is_its_equation() -> None:
    assert float(LAWS["chinchilla"].loss(theta_of(), at())) == pytest.approx(TOP, rel=1e-12)


def test_skaling_is_its_equation_and_holds_chinchilla() -> None:
    law = LAWS["skaling"]
    expected = 1.2 + (0.3 / N**0.35 + 0.6 / D**0.28) ** 0.4
    assert float(law.loss(theta_of(k=0.4), at())) == pytest.approx(expected, rel=1e-12)
    assert float(law.loss(theta_of(k=1.0), at())) == pytest.approx(TOP, rel=1e-12)


@pytest.mark.parametrize("own", [None, 1])
def test_mixing_is_the_papers_law_at_any_scale(own: int | None) -> None:
    t, tau = np.array([0.4, -0.3, 1.1]), 5.0
    theta = theta_of(k=0.8, tau=tau, **{f"t_{s}": value for s, value in zip(SOURCES, t, strict=True)})
    of_paper = t - tau * (np.arange(3) == own)
    expected = TOP + 0.8 * np.exp(of_paper @ H)
    assert float(Mixing(sources=SOURCES).loss(theta, at(own=own))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("own", [None, 1])
def test_additive_is_the_papers_law(own: int | None) -> None:
    C, gamma = np.array([0.9, 1.5, 2.0]), np.array([0.5, 0.7, 1.1])
    each = {f"C_{s}": value for s, value in zip(SOURCES, C, strict=True)}
    each |= {f"gamma_{s}": value for s, value in zip(SOURCES, gamma, strict=True)}
    of_paper = C * np.where(np.arange(3) == own, 6.0, 1.0)
    expected = TOP + 1 / np.sum(of_paper * H**gamma)
    law = Additive(sources=SOURCES)
    assert float(law.loss(theta_of(O=6.0, **each), at(own=own))) == pytest.approx(expected, rel=1e-12)
    # a source that is not read adds nothing, and is no trap for a gradient
    rest = np.array([0.4, 0.0, 0.6])
    none = TOP + 1 / np.sum((C * rest**gamma)[[0, 2]])
    assert float(law.loss(theta_of(O=6.0, **each), at(shares=rest))) == pytest.approx(none, rel=1e-12)


@pytest.mark.parametrize("name", ["mixing", "additive"])
@pytest.mark.parametrize("sources", [SOURCES, ("books", "code")])
def test_coordinates_are_read_off_the_curve(name: str, sources: tuple[str, ...]) -> None:
    """The level and the mixture term at an even mix, of a set without a source of its own, whatever the sources do."""
    law, count = LAWS[name].on(sources), len(sources)
    rng = np.random.default_rng(3)
    values = {c.name: c.domain.loc + 0.3 * rng.standard_normal() * (c.domain.scale) for c in law.coordinates}
    theta = law.natural(jnp.asarray([values[c.name] for c in law.coordinates]), REFERENCE, jnp.zeros(()))
    even = at(REFERENCE.size, REFERENCE.tokens, np.full(count, 1 / count))
    assert np.log(float(law.loss(theta, even))) == pytest.approx(values["log_level"], rel=1e-9)
    assert np.log(float(law.mixture(theta, even))) == pytest.approx(values["log_mixture"], abs=0.01)  # all but its part


@pytest.mark.parametrize("name", ["chinchilla", "skaling"])
def test_the_level_stays_where_nearly_all_of_it_is_reducible(name: str) -> None:
    law = LAWS[name]
    values = {c.name: c.domain.loc for c in law.coordinates}
    for reducible in (-2.0, 0.0, 1.0, 3.0):
        values |= dict.fromkeys(("log_size_gain", "log_token_gain"), reducible)
        theta = law.natural(jnp.asarray([values[c.name] for c in law.coordinates]), REFERENCE, jnp.zeros(()))
        assert float(theta["E"]) > 0
        level = float(law.loss(theta, at(REFERENCE.size, REFERENCE.tokens)))
        assert np.log(level) == pytest.approx(values["log_level"], rel=1e-9)
    assert float(theta["E"]) < 0.01


def test_bound_laws_compare_by_value() -> None:
    for law in (LAWS["mixing"], LAWS["additive"], Additive(Form.POWER)):
        bound = law.on(SOURCES)
        assert bound == law.on(SOURCES)
        assert hash(bound) == hash(law.on(SOURCES))
        assert bound != law
        assert bound != law.on(SOURCES[::-1])
        assert bound.on(()) == law
        assert bound.name == law.name
    assert LAWS["mixing"].on(SOURCES) != LAWS["additive"].on(SOURCES)
    assert LAWS["chinchilla"].on(SOURCES) is LAWS["chinchilla"]
    assert LAWS["chinchilla"] != Chinchilla(Form.POWER)


def test_a_bound_law_has_parameters_of_every_source() -> None:
    for law in (Mixing(sources=SOURCES), Additive(Form.POWER, sources=SOURCES)):
        names = [c.name for c in law.coordinates]
        assert len(set(names)) == len(names)
        theta = law.natural(jnp.zeros(len(names)), REFERENCE, jnp.zeros(()))
        assert set(theta) == {param.name for param in law.params}
        for source in SOURCES:
            assert sum(name.endswith(f"_{source}") for name in names) >= 1


def test_the_common_power_leaves_loss_and_slopes_at_the_reference() -> None:
    """k bends the cross-curvature, not what the coordinates of size and tokens say."""
    law = LAWS["skaling"]

    def loss(log_k: jax.Array, size: jax.Array, tokens: jax.Array) -> jax.Array:
        values = [log_k if c.name == "log_k" else jnp.asarray(c.domain.loc) for c in law.coordinates]
        return law.loss(law.natural(jnp.stack(values), REFERENCE, jnp.zeros(())), at(size, tokens))

    place = jnp.asarray(REFERENCE.size), jnp.asarray(REFERENCE.tokens)
    found = [jax.value_and_grad(loss, argnums=(1, 2))(jnp.log(k), *place) for k in (1.0, 0.4)]
    np.testing.assert_allclose(*(np.array([value, *slopes]) for value, slopes in found), rtol=1e-9)
    cross = [float(jax.grad(jax.grad(loss, argnums=1), argnums=2)(jnp.log(k), *place)) for k in (1.0, 0.4)]
    assert cross[0] == pytest.approx(0, abs=1e-12)
    assert cross[1] < -1e-3

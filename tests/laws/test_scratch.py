"""Laws of training from scratch: their equations, nesting, and exponents that wander."""

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
from bayescpt.laws.wander import COORDINATES, KNOTS, STEP, WAY, bent, hats

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
    for law in (LAWS["mixing"], LAWS["additive"], Additive(Form.WANDER)):
        bound = law.on(SOURCES)
        assert bound == law.on(SOURCES)
        assert hash(bound) == hash(law.on(SOURCES))
        assert bound != law
        assert bound != law.on(SOURCES[::-1])
        assert bound.on(()) == law
        assert bound.name == law.name
    assert LAWS["mixing"].on(SOURCES) != LAWS["additive"].on(SOURCES)
    assert LAWS["chinchilla"].on(SOURCES) is LAWS["chinchilla"]
    assert LAWS["chinchilla"] != Chinchilla(Form.WANDER)


def test_a_bound_law_has_parameters_of_every_source() -> None:
    for law in (Mixing(sources=SOURCES), Additive(Form.WANDER, sources=SOURCES)):
        names = [c.name for c in law.coordinates]
        assert len(set(names)) == len(names)
        theta = law.natural(jnp.zeros(len(names)), REFERENCE, jnp.zeros(()))
        assert set(theta) == {param.name for param in law.params}
        for source in SOURCES:
            assert sum(name.endswith(f"_{source}") for name in names) >= 1


def wandering(walk: float | None = None, k: float = 0.6) -> Theta:
    """Natural parameters of the wandering Chinchilla law; steps of the walk as given, or the prior's medians."""
    law = Chinchilla(Form.WANDER)
    steps = {c.name for c in COORDINATES}
    values = [walk if walk is not None and c.name in steps else c.domain.loc for c in law.coordinates]
    values[[c.name for c in law.coordinates].index("log_k")] = np.log(k)
    return law.natural(jnp.asarray(values), REFERENCE, jnp.zeros(()))


def test_without_steps_nothing_wanders() -> None:
    for k, name in ((0.6, "skaling"), (1.0, "chinchilla")):
        theta = wandering(k=k)
        for size, tokens in ((0.01, 0.1), (0.2, 8.0), (50.0, 1e4)):
            plain = LAWS[name].loss(theta, at(size, tokens))
            assert float(Chinchilla(Form.WANDER).loss(theta, at(size, tokens))) == pytest.approx(
                float(plain), rel=1e-12
            )


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


def test_the_basis_adds_up_to_the_place() -> None:
    places = np.linspace(-9, 9, 37) * STEP
    each = np.stack([np.asarray(hats(jnp.asarray(place))) for place in places])
    # without the knot at the reference, whose hat lives within one step
    missing = places - each.sum(axis=1)
    assert (np.abs(missing) <= STEP / 2 + 1e-12).all()
    np.testing.assert_allclose(missing[np.abs(places) >= STEP], np.sign(places[np.abs(places) >= STEP]) * STEP / 2)
    assert len(KNOTS) == each.shape[1]


def test_the_local_exponent_is_the_walks() -> None:
    """d log Phi/d log S is k a at a knot, whatever the walk does elsewhere."""
    theta = wandering(0.1)
    k, start = float(theta["k"]), jnp.log(theta["R0"]) / theta["k"]
    g = float(theta["alpha"] * theta["beta"] / (theta["alpha"] + theta["beta"]))
    slope = jax.jit(jax.grad(lambda log_s: jnp.log(bent(jnp.exp(log_s), theta))))
    for side, n in KNOTS:
        place = start - g * side * n * STEP
        assert float(slope(place)) == pytest.approx(k * float(theta[f"a_{WAY[side]}_{n}"]), rel=1e-9)
    assert float(slope(start)) == pytest.approx(k, rel=1e-9)
    assert float(bent(jnp.exp(start), theta)) == pytest.approx(float(theta["R0"]), rel=1e-12)
    assert float(theta["a_up_3"]) == pytest.approx(np.exp(3 * 0.1), rel=1e-9)


def test_what_wanders_is_unsure_beyond_the_reference_and_more_so_with_distance() -> None:
    """Prior standard deviation of log Phi at 1, 3 and 6 steps of compute: 400 draws are sure to 4 %."""
    rng, law = np.random.default_rng(0), Chinchilla(Form.WANDER)
    loc = np.array([c.domain.loc for c in law.coordinates])
    free = np.array([c in COORDINATES for c in law.coordinates])
    sd = np.array([np.hypot(c.domain.scale, c.domain.spread) for c in law.coordinates]) * free
    drawn = jnp.asarray(loc + sd * rng.standard_normal((400, len(loc))))

    def one(coordinates: jax.Array, steps: jax.Array) -> jax.Array:
        theta = law.natural(coordinates, REFERENCE, jnp.zeros(()))
        g = theta["alpha"] * theta["beta"] / (theta["alpha"] + theta["beta"])
        return jnp.log(bent(jnp.exp(jnp.log(theta["R0"]) / theta["k"] - g * steps * STEP), theta) / theta["R0"])

    spread = np.array(
        [float(jnp.std(jax.vmap(one, in_axes=(0, None))(drawn, jnp.asarray(s)))) for s in (1.0, 3.0, 6.0)]
    )
    assert spread[0] > 0.001
    assert (spread[1:] > 2 * spread[:-1]).all()

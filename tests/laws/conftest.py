"""One law, one target and draws of its prior: what every contract test is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import ALL, Law, Point, Reference
from bayescpt.model.hierarchy import SPREAD_SD
from bayescpt.schema import GENERAL, TARGETS, Target


class Gradient(NamedTuple):
    """Derivatives of a loss: by coordinates (draw, point, coordinate), and by the rest (draw, point)."""

    coordinates: np.ndarray
    size: np.ndarray
    tokens: np.ndarray
    share: np.ndarray


@cache
def compiled(law: Law) -> dict[str, jax.stages.Wrapped]:
    """Loss with gradient, loss alone, and natural parameters, over as many pairs of a draw and a point."""

    def loss(coordinates, size, tokens, share, base_loss, base_share, reference):  # type: ignore[no-untyped-def]
        theta = law.natural(coordinates, reference, base_share)
        given = given_at(law, tokens, share, base_share, reference)
        return law.loss(theta, Point(size, tokens, share, base_loss, base_share, USUAL * base_loss, given))

    def natural(coordinates, base_share, reference):  # type: ignore[no-untyped-def]
        return law.natural(coordinates, reference, base_share)

    def over(function, each):  # type: ignore[no-untyped-def]
        return jax.jit(jax.vmap(function, in_axes=(*[0] * each, None, None)))

    gradient = jax.value_and_grad(loss, argnums=(0, 1, 2, 3))
    return {"loss": over(loss, 5), "gradient": over(gradient, 5), "natural": over(natural, 1)}


PAIRS = 1024
"""That are worked out at a time: with one shape a law is compiled once, which is where the time goes."""


def in_parts(function, arrays, *common):  # type: ignore[no-untyped-def]
    """``function`` over the first axis of arrays, ``PAIRS`` at a time, the last part filled up."""
    count = len(arrays[0])
    parts = []
    for begin in range(0, count, PAIRS):
        here = [array[begin : begin + PAIRS] for array in arrays]
        filled = [np.concatenate([a, np.repeat(a[-1:], PAIRS - len(a), axis=0)]) for a in here]
        parts.append(jax.tree.map(np.asarray, function(*map(jnp.asarray, filled), *common)))
    return jax.tree.map(lambda *found: np.concatenate(found)[:count], *parts)


GIVEN = {
    # streams of two sources, general and domain; the target's own is told by its share in the base's training
    "shares": lambda share, base_share: jnp.stack(
        [jnp.where(base_share == 1, share, 1 - share), jnp.where(base_share == 1, 1 - share, share)]
    ),
    "own_source": lambda share, base_share: jnp.stack([base_share, 1 - base_share]),
    # a last quarter with more of the own corpus, of which the share before rises with the whole one too
    "phase_part": lambda share, base_share: jnp.full_like(share, 0.25),
    "phase_share": lambda share, base_share: share + 0.5 * share * (1 - share),
}
"""Covariates at a point, from the share of the target's own corpus there and in the base's training."""
USUAL = 1.05
"""What a base usually scores, over its own loss."""
TINY = Reference(size=2.4e-4, tokens=6.5e-5, tokens_min=4.1e-6, lr_sum=0.08)
"""Of a study with tiny proxies; what the laws promise holds at any reference."""


def given_at(law: Law, tokens, share, base_share, reference: Reference) -> dict[str, jax.Array]:  # type: ignore[no-untyped-def]
    """What a law asks for besides, along a run: S1 at a constant rate, some annealing, a corpus that is read often.

    S2 and epochs level off, as they do in studies: longer runs anneal for longer at a part of S1 that falls, and are
    given more text.
    """
    along = tokens / reference.tokens
    summed = 1.0 if reference.lr_sum is None else reference.lr_sum
    path = {
        "lr_sum": summed * along,
        "lr_anneal": 0.1 * summed * along / (1 + along),
        "domain_epochs": 6.0 * along / (1 + along),
        "learnability": jnp.array([0.7, 0.6]),
        "learnability_bend": jnp.array([0.8]),
    }
    return {
        name: jnp.asarray(path[name]) if name in path else GIVEN[name](share, base_share) for name in law.covariates
    }


@pytest.fixture(autouse=True)
def _no_rank_promotion() -> Iterator[None]:
    # a law is written for one draw at one point: arrays of unlike rank that meet in it are a mistake
    with jax.numpy_rank_promotion("raise"):
        yield


@dataclass(frozen=True)
class Subject:
    """A law on one target."""

    law: Law
    target: Target
    reference: Reference = TINY

    @property
    def base_share(self) -> float:
        return 1.0 if self.target == GENERAL else 0.0

    def coordinates(self, count: int, seed: int = 0) -> np.ndarray:
        """Draws of the coordinates of a domain from the prior: (draw, coordinate)."""
        rng = np.random.default_rng(seed)
        priors = [c.prior(self.target) for c in self.law.coordinates]
        loc, scale, spread = (np.array([getattr(p, name) for p in priors]) for name in ("loc", "scale", "spread"))
        normal = rng.standard_normal((3, count, len(priors)))
        return loc + scale * normal[0] + spread * np.exp(SPREAD_SD * normal[1]) * normal[2]

    def _over(self, name, coordinates, size, tokens, share, base_loss):  # type: ignore[no-untyped-def]
        """A compiled function at every pair of a draw and a point: arrays (draw, point, ...)."""
        points = [np.ravel(a).astype(float) for a in np.broadcast_arrays(size, tokens, share, base_loss)]
        draws, places = len(coordinates), len(points[0])
        pairs = [np.repeat(coordinates, places, axis=0), *(np.tile(values, draws) for values in points)]
        found = in_parts(compiled(self.law)[name], pairs, jnp.asarray(self.base_share), self.reference)
        return jax.tree.map(lambda values: values.reshape(draws, places, *values.shape[1:]), found)

    def losses(self, coordinates, size, tokens, share, base_loss=3.0) -> np.ndarray:  # type: ignore[no-untyped-def]
        """Losses (draw, point); sizes and tokens in billions, arguments broadcast to one axis of points."""
        return self._over("loss", coordinates, size, tokens, share, base_loss)

    def gradients(self, coordinates, size, tokens, share, base_loss=3.0) -> tuple[np.ndarray, Gradient]:  # type: ignore[no-untyped-def]
        """Losses (draw, point) and their derivatives."""
        value, gradient = self._over("gradient", coordinates, size, tokens, share, base_loss)
        return value, Gradient(*gradient)

    def given(self, tokens, share=0.5) -> dict[str, jax.Array]:  # type: ignore[no-untyped-def]
        """What the law asks for besides after so many tokens (billions) at this share of the target's own corpus."""
        return given_at(self.law, tokens, jnp.asarray(float(share)), jnp.asarray(self.base_share), self.reference)

    def natural(self, coordinates: np.ndarray) -> dict[str, np.ndarray]:
        """Natural parameters by name, each (draw,)."""
        natural = compiled(self.law)["natural"]
        return in_parts(natural, [coordinates], jnp.asarray(self.base_share), self.reference)

    def grid(self, sizes=(0.4, 1, 40), tokens=None, shares=(0.0, 1e-4, 0.1, 0.5, 0.9, 1.0)):  # type: ignore[no-untyped-def]
        """Points from far below to far beyond the reference: sizes, tokens and shares, each (point,)."""
        reference = self.reference
        far = (reference.tokens_min, reference.tokens, 1e3 * reference.tokens) if tokens is None else tokens
        mesh = np.meshgrid(reference.size * np.array(sizes), far, shares, indexing="ij")
        return [axis.ravel() for axis in mesh]


SUBJECTS = [Subject(law, target) for law in ALL for target in TARGETS]


def _name(subject: Subject) -> str:
    return f"{subject.law.name}-{subject.target}"


@pytest.fixture(params=SUBJECTS, ids=_name)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Every law of the registry on either target."""
    return request.param


@pytest.fixture(params=[s for s in SUBJECTS if s.law.needs_base], ids=_name)
def based_subject(request: pytest.FixtureRequest) -> Subject:
    """Those that start at the base's loss."""
    return request.param


@pytest.fixture(params=[s for s in SUBJECTS if not s.law.needs_base], ids=_name)
def baseless_subject(request: pytest.FixtureRequest) -> Subject:
    """Those that do not."""
    return request.param


@pytest.fixture(params=ALL, ids=[law.name for law in ALL])
def law(request: pytest.FixtureRequest) -> Law:
    """Every law of the registry."""
    return request.param


@pytest.fixture(params=[s for s in SUBJECTS if s.law.name == "dcpt"], ids=_name)
def dcpt_subject(request: pytest.FixtureRequest) -> Subject:
    """The D-CPT law."""
    return request.param


@pytest.fixture(params=[s for s in SUBJECTS if s.law.name == "trajectory"], ids=_name)
def trajectory_subject(request: pytest.FixtureRequest) -> Subject:
    """The trajectory law."""
    return request.param


@pytest.fixture(params=[s for s in SUBJECTS if s.law.name == "repeated"], ids=_name)
def repeated_subject(request: pytest.FixtureRequest) -> Subject:
    """The memory law with repetition."""
    return request.param


@pytest.fixture(params=[s for s in SUBJECTS if s.law.name == "phased"], ids=_name)
def phased_subject(request: pytest.FixtureRequest) -> Subject:
    """The memory law with a last phase."""
    return request.param


@pytest.fixture(params=[s for s in SUBJECTS if s.law.name == "memory"], ids=_name)
def memory_subject(request: pytest.FixtureRequest) -> Subject:
    """The memory law."""
    return request.param


@pytest.fixture(params=[s for s in SUBJECTS if s.law.name == "two_term"], ids=_name)
def two_term_subject(request: pytest.FixtureRequest) -> Subject:
    """The two-term law."""
    return request.param

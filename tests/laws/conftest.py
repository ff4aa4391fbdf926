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
    """Loss, and loss with gradient, over draws and points."""

    def loss(coordinates, size, tokens, share, base_loss, base_share, reference):  # type: ignore[no-untyped-def]
        theta = law.natural(coordinates, reference, base_share)
        given = given_at(law, tokens, share, base_share, reference)
        return law.loss(theta, Point(size, tokens, share, base_loss, base_share, USUAL * base_loss, given))

    def over(function):  # type: ignore[no-untyped-def]
        points = jax.vmap(function, in_axes=(None, 0, 0, 0, 0, None, None))
        return jax.jit(jax.vmap(points, in_axes=(0, None, None, None, None, None, None)))

    return {"loss": over(loss), "gradient": over(jax.value_and_grad(loss, argnums=(0, 1, 2, 3)))}


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

    def _arguments(self, coordinates, size, tokens, share, base_loss):  # type: ignore[no-untyped-def]
        points = [np.ravel(a).astype(float) for a in np.broadcast_arrays(size, tokens, share, base_loss)]
        return (*map(jnp.asarray, (coordinates, *points, self.base_share)), self.reference)

    def losses(self, coordinates, size, tokens, share, base_loss=3.0) -> np.ndarray:  # type: ignore[no-untyped-def]
        """Losses (draw, point); sizes and tokens in billions, arguments broadcast to one axis of points."""
        return np.asarray(compiled(self.law)["loss"](*self._arguments(coordinates, size, tokens, share, base_loss)))

    def gradients(self, coordinates, size, tokens, share, base_loss=3.0) -> tuple[np.ndarray, Gradient]:  # type: ignore[no-untyped-def]
        """Losses (draw, point) and their derivatives."""
        arguments = self._arguments(coordinates, size, tokens, share, base_loss)
        value, gradient = compiled(self.law)["gradient"](*arguments)
        return np.asarray(value), Gradient(*map(np.asarray, gradient))

    def given(self, tokens, share=0.5) -> dict[str, jax.Array]:  # type: ignore[no-untyped-def]
        """What the law asks for besides after so many tokens (billions) at this share of the target's own corpus."""
        return given_at(self.law, tokens, jnp.asarray(float(share)), jnp.asarray(self.base_share), self.reference)

    def natural(self, coordinates: np.ndarray) -> dict[str, np.ndarray]:
        """Natural parameters by name, each (draw,)."""
        base_share = jnp.asarray(self.base_share)
        one = jax.jit(jax.vmap(lambda c: self.law.natural(c, self.reference, base_share)))
        return {name: np.asarray(value) for name, value in one(jnp.asarray(coordinates)).items()}

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

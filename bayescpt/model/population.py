"""What a hierarchy is: a population that the coordinates of domains are drawn from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from bayescpt.data.table import Table
from bayescpt.laws import Law
from bayescpt.model.layout import Rows
from bayescpt.schema import TARGETS

SPREAD_SD = 0.4
"""Prior standard deviation of a log spread. A handful of domains says little about how much domains differ, so the
priors of the laws say it: within a factor of two, and never zero. A half-normal prior, which allows identical
domains, made a funnel."""


class PriorConstants(NamedTuple):
    """mean ~ N(loc, scale) and log spread ~ N(log spread, 0.4), per target and coordinate."""

    loc: Float[Array, "target coordinate"]
    scale: Float[Array, "target coordinate"]
    spread: Float[Array, "target coordinate"]


def constants_of(law: Law) -> PriorConstants:
    """The constants of the law's priors as arrays (target, coordinate)."""
    priors = [[c.prior(target) for c in law.coordinates] for target in TARGETS]
    loc, scale, spread = (
        jnp.array([[getattr(p, field) for p in row] for row in priors]) for field in ("loc", "scale", "spread")
    )
    return PriorConstants(loc, scale, spread)


class Population(NamedTuple):
    """What a group's coordinates are drawn from: N(mean, root root'), root lower triangular."""

    mean: Float[Array, "target group coordinate"]
    root: Float[Array, "target coordinate coordinate"]
    scale: Float[Array, "target coordinate"] | None = None
    """diagonal of ``root`` where there is nothing beside it"""


class Moments(NamedTuple):
    """Posterior of the coordinates of all groups given the population that was: an expectation step."""

    mean: Float[Array, "target group coordinate"]
    covariance: Float[Array, "target group coordinate coordinate"]
    sites: dict[str, Array]
    """of the population that was"""


Told = Float[Array, "target group coordinate coordinate"]
"""What the rows of a group say of the mean of its coordinates once these are integrated out: a precision."""


class Hierarchy(ABC):
    """How the coordinates of groups hang together. Subclasses are final and hold no state."""

    name: ClassVar[str]
    meaning: ClassVar[str]
    prior: ClassVar[str]
    """of a domain's coordinate, in words, with the constants loc, scale and spread of the law"""
    sites: ClassVar[tuple[str, ...]]
    """NumPyro sites of the population"""
    common: ClassVar[bool] = False
    """whether all domains have the same coordinates, one not in the table too"""
    early: ClassVar[bool] = False
    """whether it reads the early statistics of the domains (:attr:`bayescpt.model.layout.Rows.traits`)"""

    def groups(self, table: Table) -> Int[np.ndarray, " domain"]:
        """Group of every domain: each one of its own, unless they have their coordinates in common."""
        count = len(table.domains)
        return np.zeros(count, dtype=np.int64) if self.common else np.arange(count)

    @abstractmethod
    def sample(self, law: Law, rows: Rows) -> Population:
        """NumPyro sites of the population."""

    @abstractmethod
    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        """The same from values of the sites."""

    def newcomer(self, sites: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        """Draws (draw, ...) of the sites as they are for one domain that the table does not have."""
        return sites

    def maximised(self, law: Law, rows: Rows, moments: Moments | None) -> dict[str, Array]:
        """Values of the sites that make coordinates with these moments most likely; None asks for where to start."""
        return {}

    def roots(self, law: Law, rows: Rows, sites: dict[str, Array], told: Told) -> dict[str, Array]:
        """Roots of the covariances of what :meth:`around` moves."""
        return {}

    def around(
        self, sites: dict[str, Array], roots: dict[str, Array], rng: np.random.Generator, draws: int
    ) -> dict[str, np.ndarray]:
        """Draws (draw, ...) of those sites whose uncertainty the curvature at the mode tells."""
        return {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


def expanded(mean: Float[Array, "target coordinate"], groups: int) -> Float[Array, "target group coordinate"]:
    """The same mean for all groups."""
    return jnp.broadcast_to(mean[:, None, :], (mean.shape[0], groups, mean.shape[1]))


def diagonal(scale: Float[Array, "*place coordinate"]) -> Float[Array, "*place coordinate coordinate"]:
    """Matrices with ``scale`` on their diagonals."""
    return scale[..., None] * jnp.eye(scale.shape[-1])


def independent(mean: Float[Array, "target group coordinate"], scale: Float[Array, "target coordinate"]) -> Population:
    """A population of independent coordinates."""
    return Population(mean, diagonal(scale), scale)


def root_of(precision: Float[Array, "*place n n"]) -> Float[Array, "*place n n"]:
    """Lower Cholesky factor of the inverse of a precision."""
    return jnp.linalg.cholesky(jnp.linalg.inv(0.5 * (precision + jnp.swapaxes(precision, -1, -2))))


def mean_root(law: Law, told: Told) -> Float[Array, "target coordinate coordinate"]:
    """Root of the covariance of a population's mean that all groups share."""
    return root_of(told.sum(1) + diagonal(1 / constants_of(law).scale ** 2))


def moved(
    centre: Float[Array, "*place n"], root: Float[Array, "*place n n"], rng: np.random.Generator, draws: int
) -> Float[np.ndarray, "draw *place n"]:
    """Normal draws around ``centre``."""
    # NumPy's numbers: JAX's take longer to compile than a mode to find
    score = rng.standard_normal((draws, *centre.shape))
    return np.asarray(centre) + np.einsum("...ij,d...j->d...i", np.asarray(root), score)

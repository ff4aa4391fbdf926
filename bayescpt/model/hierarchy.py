"""How the coordinates of a law vary over domains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int

from bayescpt.data.table import Table
from bayescpt.laws import Law
from bayescpt.schema import TARGETS

SPREAD_SD = 0.4
"""Prior standard deviation of a log spread. A handful of domains says little about how much domains differ, so the
priors of the laws say it: within a factor of two, and never zero. A half-normal prior, which allows identical
domains, made a funnel."""
LKJ = 2.0
"""Concentration of the correlations between coordinates: 1 is uniform, 2 leans towards none."""


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


class Moments(NamedTuple):
    """Posterior of the coordinates of all groups given the population that was: an expectation step."""

    mean: Float[Array, "target group coordinate"]
    covariance: Float[Array, "target group coordinate coordinate"]
    spread: Float[Array, "target coordinate"]
    """of the population that was"""


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

    def groups(self, table: Table) -> Int[np.ndarray, " domain"]:
        """Group of every domain: each one of its own, unless they have their coordinates in common."""
        count = len(table.domains)
        return np.zeros(count, dtype=np.int64) if self.common else np.arange(count)

    @abstractmethod
    def sample(self, law: Law, groups: int) -> Population:
        """NumPyro sites of the population."""

    @abstractmethod
    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        """The same from values of the sites."""

    def maximised(self, law: Law, moments: Moments | None) -> dict[str, Array]:
        """Values of the sites that make coordinates with these moments most likely; None asks for where to start."""
        return {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


def _expanded(mean: Array, groups: int) -> Array:
    return jnp.broadcast_to(mean[:, None, :], (mean.shape[0], groups, mean.shape[1]))


def _diagonal(scale: Array) -> Array:
    return scale[:, :, None] * jnp.eye(scale.shape[-1])


class PartialPooling(Hierarchy):
    """Coordinate k of a domain ~ N(mean_k, spread_k), separately for either target.

    mean_k ~ N(loc_k, scale_k) and log spread_k ~ N(log spread_k, 0.4) with the constants of the law's priors, so that a
    domain with few rows leans on the others and one with none is a draw from the population.
    """

    name = "partial"
    meaning = "domains differ by a spread that is estimated"
    prior = f"N(mu, tau), mu ~ N(loc, scale), tau ~ LogNormal(log spread, {SPREAD_SD:g})"
    sites = ("population", "spread")

    def sample(self, law: Law, groups: int) -> Population:
        prior = constants_of(law)
        population = numpyro.sample("population", dist.Normal(prior.loc, prior.scale).to_event(2))
        spread = numpyro.sample("spread", dist.LogNormal(jnp.log(prior.spread), SPREAD_SD).to_event(2))
        return self.population(law, {"population": population, "spread": spread}, groups)

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        return Population(_expanded(sites["population"], groups), _diagonal(sites["spread"]))

    def maximised(self, law: Law, moments: Moments | None) -> dict[str, Array]:
        prior = constants_of(law)
        if moments is None:
            return {"population": prior.loc, "spread": prior.spread}
        groups = moments.mean.shape[1]
        pull, held = 1 / moments.spread**2, 1 / prior.scale**2
        mean = (moments.mean.sum(1) * pull + prior.loc * held) / (groups * pull + held)
        scatter = (moments.mean - mean[:, None]) ** 2 + jnp.diagonal(moments.covariance, axis1=-2, axis2=-1)
        # the log-normal prior of the spread weighs as much as 1/sd^2 / 2 observations of it
        weight = 0.5 / SPREAD_SD**2
        own = 0.5 * groups * jnp.log(scatter.mean(1))
        return {"population": mean, "spread": jnp.exp((own + weight * jnp.log(prior.spread)) / (groups + weight))}


class Correlated(Hierarchy):
    """As partial pooling, with correlated coordinates: what a domain shows early tells of what it will do late.

    The coordinates of a domain and target ~ N(mean, diag(spread) R diag(spread)), R ~ LKJ(2).
    """

    name = "correlated"
    meaning = "domains differ by a spread and a correlation of coordinates that are estimated"
    prior = f"{PartialPooling.prior}, correlated by LKJ({LKJ:g}) over the coordinates"
    sites = ("population", "spread", "correlation_root")

    def sample(self, law: Law, groups: int) -> Population:
        prior = constants_of(law)
        targets, count = prior.loc.shape
        population = numpyro.sample("population", dist.Normal(prior.loc, prior.scale).to_event(2))
        spread = numpyro.sample("spread", dist.LogNormal(jnp.log(prior.spread), SPREAD_SD).to_event(2))
        around = dist.LKJCholesky(count, LKJ).expand([targets]).to_event(1)
        root = numpyro.sample("correlation_root", around)
        sites = {"population": population, "spread": spread, "correlation_root": root}
        return self.population(law, sites, groups)

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        root = sites["spread"][:, :, None] * sites["correlation_root"]
        return Population(_expanded(sites["population"], groups), root)

    def maximised(self, law: Law, moments: Moments | None) -> dict[str, Array]:
        sites = PartialPooling().maximised(law, moments)
        count = sites["spread"].shape[-1]
        unit = jnp.broadcast_to(jnp.eye(count), (len(TARGETS), count, count))
        if moments is None:
            return sites | {"correlation_root": unit}
        groups = moments.mean.shape[1]
        away = moments.mean - sites["population"][:, None]
        scatter = jnp.einsum("tgi,tgj->tij", away, away) + moments.covariance.sum(1)
        size = jnp.sqrt(jnp.diagonal(scatter, axis1=-2, axis2=-1))
        # shrunk as by a prior of as many groups as there are coordinates
        shrunk = (groups * scatter / (size[:, :, None] * size[:, None, :]) + count * unit) / (groups + count)
        return sites | {"correlation_root": jnp.linalg.cholesky(shrunk)}


class NoPooling(Hierarchy):
    """Every domain by itself: coordinate k ~ N(loc_k, sqrt(scale_k^2 + spread_k^2)), what a single domain is under
    partial pooling before any row."""

    name = "none"
    meaning = "every domain by itself"
    prior = "N(loc, sqrt(scale^2 + spread^2))"
    sites = ()

    def sample(self, law: Law, groups: int) -> Population:
        return self.population(law, {}, groups)

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        prior = constants_of(law)
        return Population(_expanded(prior.loc, groups), _diagonal(jnp.sqrt(prior.scale**2 + prior.spread**2)))


class CompletePooling(Hierarchy):
    """One law for all domains: coordinate k ~ N(loc_k, sqrt(scale_k^2 + spread_k^2)) once for each target."""

    name = "complete"
    meaning = "one law for all domains"
    prior = NoPooling.prior
    sites = ()
    common = True

    def sample(self, law: Law, groups: int) -> Population:
        return self.population(law, {}, groups)

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        return NoPooling().population(law, sites, groups)


HIERARCHIES: dict[str, Hierarchy] = {
    hierarchy.name: hierarchy for hierarchy in (PartialPooling(), Correlated(), NoPooling(), CompletePooling())
}

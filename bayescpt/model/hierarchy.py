"""How the coordinates of a law vary over domains. To add a hierarchy, write it and name it in ``HIERARCHIES``."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from bayescpt.laws import Law
from bayescpt.model.layout import Rows
from bayescpt.model.learnability import Learnability
from bayescpt.model.population import (
    SPREAD_SD,
    Hierarchy,
    Moments,
    Population,
    Told,
    constants_of,
    expanded,
    independent,
    mean_root,
    moved,
)
from bayescpt.schema import TARGETS

LKJ = 10.0
"""Concentration of the correlations between coordinates: 1 is uniform, 10 leans towards none. Of a dozen coordinates
two correlate by 0 +- 0.18. At 2 (+- 0.25) whole matrices are nearly singular, and few domains leave them so: 1.8 % of
draws diverged."""


class PartialPooling(Hierarchy):
    """Coordinate k of a domain ~ N(mean_k, spread_k), separately for either target.

    mean_k ~ N(loc_k, scale_k) and log spread_k ~ N(log spread_k, 0.4) with the constants of the law's priors, so that a
    domain with few rows leans on the others and one with none is a draw from the population.
    """

    name = "partial"
    meaning = "domains differ by a spread that is estimated"
    prior = f"N(mu, tau), mu ~ N(loc, scale), tau ~ LogNormal(log spread, {SPREAD_SD:g})"
    sites = ("population", "spread")

    def sample(self, law: Law, rows: Rows) -> Population:
        prior = constants_of(law)
        population = numpyro.sample("population", dist.Normal(prior.loc, prior.scale).to_event(2))
        spread = numpyro.sample("spread", dist.LogNormal(jnp.log(prior.spread), SPREAD_SD).to_event(2))
        return self.population(law, {"population": population, "spread": spread}, rows.base_root.shape[0])

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        return independent(expanded(sites["population"], groups), sites["spread"])

    def maximised(self, law: Law, rows: Rows, moments: Moments | None) -> dict[str, Array]:
        prior = constants_of(law)
        if moments is None:
            return {"population": prior.loc, "spread": prior.spread}
        groups = moments.mean.shape[1]
        pull, held = 1 / moments.sites["spread"] ** 2, 1 / prior.scale**2
        mean = (moments.mean.sum(1) * pull + prior.loc * held) / (groups * pull + held)
        scatter = (moments.mean - mean[:, None]) ** 2 + jnp.diagonal(moments.covariance, axis1=-2, axis2=-1)
        # the log-normal prior of the spread weighs as much as 1/sd^2 / 2 observations of it
        weight = 0.5 / SPREAD_SD**2
        own = 0.5 * groups * jnp.log(scatter.mean(1))
        return {"population": mean, "spread": jnp.exp((own + weight * jnp.log(prior.spread)) / (groups + weight))}

    def roots(self, law: Law, rows: Rows, sites: dict[str, Array], told: Told) -> dict[str, Array]:
        return {"population": mean_root(law, told)}

    def around(
        self, sites: dict[str, Array], roots: dict[str, Array], rng: np.random.Generator, draws: int
    ) -> dict[str, np.ndarray]:
        return {"population": moved(sites["population"], roots["population"], rng, draws)}


class Correlated(Hierarchy):
    """As partial pooling, with correlated coordinates: what a domain shows early tells of what it will do late.

    The coordinates of a domain and target ~ N(mean, diag(spread) R diag(spread)), R ~ LKJ(10).
    """

    name = "correlated"
    meaning = "domains differ by a spread and a correlation of coordinates that are estimated"
    prior = f"{PartialPooling.prior}, correlated by LKJ({LKJ:g}) over the coordinates"
    sites = ("population", "spread", "correlation_root")

    def sample(self, law: Law, rows: Rows) -> Population:
        prior = constants_of(law)
        targets, count = prior.loc.shape
        population = numpyro.sample("population", dist.Normal(prior.loc, prior.scale).to_event(2))
        spread = numpyro.sample("spread", dist.LogNormal(jnp.log(prior.spread), SPREAD_SD).to_event(2))
        around = dist.LKJCholesky(count, LKJ).expand([targets]).to_event(1)
        root = numpyro.sample("correlation_root", around)
        sites = {"population": population, "spread": spread, "correlation_root": root}
        return self.population(law, sites, rows.base_root.shape[0])

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        root = sites["spread"][:, :, None] * sites["correlation_root"]
        return Population(expanded(sites["population"], groups), root)

    def maximised(self, law: Law, rows: Rows, moments: Moments | None) -> dict[str, Array]:
        sites = PartialPooling().maximised(law, rows, moments)
        count = sites["spread"].shape[-1]
        unit = jnp.broadcast_to(jnp.eye(count), (len(TARGETS), count, count))
        if moments is None:
            return sites | {"correlation_root": unit}
        groups = moments.mean.shape[1]
        away = moments.mean - sites["population"][:, None]
        scatter = jnp.einsum("tgi,tgj->tij", away, away) + moments.covariance.sum(1)
        size = jnp.sqrt(jnp.diagonal(scatter, axis1=-2, axis2=-1))
        # the prior |R|^(eta - 1) weighs as much as 2 (eta - 1) groups without correlation
        weight = 2 * (LKJ - 1)
        shrunk = (groups * scatter / (size[:, :, None] * size[:, None, :]) + weight * unit) / (groups + weight)
        return sites | {"correlation_root": jnp.linalg.cholesky(shrunk)}

    def roots(self, law: Law, rows: Rows, sites: dict[str, Array], told: Told) -> dict[str, Array]:
        return {"population": mean_root(law, told)}

    def around(
        self, sites: dict[str, Array], roots: dict[str, Array], rng: np.random.Generator, draws: int
    ) -> dict[str, np.ndarray]:
        return {"population": moved(sites["population"], roots["population"], rng, draws)}


class NoPooling(Hierarchy):
    """Every domain by itself: coordinate k ~ N(loc_k, sqrt(scale_k^2 + spread_k^2)), what a single domain is under
    partial pooling before any row."""

    name = "none"
    meaning = "every domain by itself"
    prior = "N(loc, sqrt(scale^2 + spread^2))"
    sites = ()

    def sample(self, law: Law, rows: Rows) -> Population:
        return self.population(law, {}, rows.base_root.shape[0])

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        prior = constants_of(law)
        return independent(expanded(prior.loc, groups), jnp.sqrt(prior.scale**2 + prior.spread**2))


class CompletePooling(Hierarchy):
    """One law for all domains: coordinate k ~ N(loc_k, sqrt(scale_k^2 + spread_k^2)) once for each target."""

    name = "complete"
    meaning = "one law for all domains"
    prior = NoPooling.prior
    sites = ()
    common = True

    def sample(self, law: Law, rows: Rows) -> Population:
        return self.population(law, {}, rows.base_root.shape[0])

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        return NoPooling().population(law, sites, groups)


HIERARCHIES: dict[str, Hierarchy] = {
    hierarchy.name: hierarchy
    for hierarchy in (PartialPooling(), Correlated(), Learnability(), NoPooling(), CompletePooling())
}

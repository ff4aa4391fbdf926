"""How the coordinates of a law vary over domains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from bayescpt.laws import Law
from bayescpt.model.whiten import Whitening, sample_whitened
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


@dataclass(frozen=True)
class PartialPooling:
    """Coordinate k of a domain ~ N(mean_k, spread_k), separately for either target.

    mean_k ~ N(loc_k, scale_k) and log spread_k ~ N(log spread_k, 0.4) with the constants of the law's priors, so that a
    domain with few rows leans on the others and one with none is a draw from the population.
    """

    name: ClassVar[str] = "partial"

    def constants(self, law: Law) -> PriorConstants:
        """The constants of the law's priors as arrays (target, coordinate)."""
        priors = [[c.prior(target) for c in law.coordinates] for target in TARGETS]
        loc, scale, spread = (
            jnp.array([[getattr(p, field) for p in row] for row in priors]) for field in ("loc", "scale", "spread")
        )
        return PriorConstants(loc, scale, spread)

    def sample(
        self, law: Law, domains: int, slots: int, whitening: Whitening | None = None
    ) -> Float[Array, "target domain latent"]:
        """NumPyro sites of the population; returns one latent vector per target and domain.

        A latent vector holds the law's coordinates and then standard normal scores of the offsets of the domain's
        runs: a level and the mean of its runs' offsets are correlated in the posterior, so they are whitened together
        where ``whitening`` is given. Runs of ten-odd checkpoints say about as much of their offset as its prior does:
        scores sample well at any scale.
        """
        prior = self.constants(law)
        targets, count = prior.loc.shape
        population = numpyro.sample("population", dist.Normal(prior.loc, prior.scale).to_event(2))
        spread = numpyro.sample("spread", dist.LogNormal(jnp.log(prior.spread), SPREAD_SD).to_event(2))
        shape = (targets, domains, count + slots)
        centre = jnp.zeros(shape).at[..., :count].set(population[:, None, :])
        scale = jnp.ones(shape).at[..., :count].set(spread[:, None, :])
        latent = dist.Normal(centre, scale).to_event(3)
        return numpyro.sample("latent", latent) if whitening is None else sample_whitened(latent, population, whitening)

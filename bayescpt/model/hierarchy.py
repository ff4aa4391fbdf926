"""How the coordinates of a law vary over domains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from bayescpt.laws import Law
from bayescpt.schema import TARGETS


class Population(NamedTuple):
    """Where the domains' coordinates come from, per target."""

    mean: Float[Array, "target coordinate"]
    spread: Float[Array, "target coordinate"]


@dataclass(frozen=True)
class PartialPooling:
    """Coordinate k of a domain ~ N(mean_k, spread_k), separately for either target.

    mean_k ~ N(loc_k, scale_k) and spread_k ~ HalfNormal(spread_k) with the constants of the law's priors, so that a
    domain with few rows leans on the others and one with none is a draw from the population.
    """

    name: ClassVar[str] = "partial"

    def sample(self, law: Law) -> Population:
        """NumPyro sites of the population for ``law``."""
        priors = [[c.prior(target) for c in law.coordinates] for target in TARGETS]
        loc, scale, spread = (
            jnp.array([[getattr(p, field) for p in row] for row in priors]) for field in ("loc", "scale", "spread")
        )
        return Population(
            mean=numpyro.sample("population", dist.Normal(loc, scale).to_event(2)),
            spread=numpyro.sample("spread", dist.HalfNormal(spread).to_event(2)),
        )

"""Laws with parameters for every source of a stream.

A validation set is a domain; its own source, where the stream has it, is the one of its name. What the other sources do
for it is alike by default, and pooled over validation sets: the mean of a source is what it does for any of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Point, Prior, Scalar, Theta
from bayescpt.laws.scratch import Scratch
from bayescpt.schema import TWO_SOURCES

SHARES, OWN_SOURCE = "shares", "own_source"
"""Covariates: the share of every source, and a 1 at the own source of the validation set."""

MIXTURE = Coordinate(
    "log_mixture",
    "log nats/token",
    "mixture term of a set without a source of its own, at an even mix: about what an own source can take off",
    "own work, wide: D-CPT's table 5 has 0.7 nats between a tenth and none; domain shifts reach several nats",
    general=Prior(math.log(0.4), 0.6, 0.4),
    domain=Prior(math.log(0.5), 0.6, 0.5),
)


@dataclass(frozen=True, repr=False)
class OverSources(Scratch):
    """A law whose mixture term has parameters for every source.

    Args:
        sources: names of the sources, in the order of a table's shares.
    """

    sources: tuple[str, ...] = TWO_SOURCES

    falls_in_share: ClassVar[bool] = False
    covariates: ClassVar[tuple[str, ...]] = (SHARES, OWN_SOURCE)

    def on(self, sources: tuple[str, ...]) -> OverSources:
        return replace(self, sources=sources or TWO_SOURCES)

    def mixture_even(self, coordinates: Mapping[str, Scalar]) -> Scalar:
        return jnp.exp(coordinates["log_mixture"])

    def of_each(self, theta: Theta, name: str) -> Float[Array, " source"]:
        """A parameter of every source."""
        return jnp.stack([theta[f"{name}_{source}"] for source in self.sources])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, sources={self.sources})"


def shares_of(point: Point) -> tuple[Float[Array, " source"], Float[Array, " source"]]:
    """Shares of all sources, and which is the own one."""
    return point.given[SHARES], point.given[OWN_SOURCE]

"""The additive law over many sources (Shukor et al. 2025)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from bayescpt.laws.base import Coordinate, Param, Point, Prior, Scalar, Theta, power, raised
from bayescpt.laws.sources import MIXTURE, OverSources, shares_of

OWN = Coordinate(
    "log_own",
    "log",
    "log of O: how much more the own source is worth than another",
    "own work: the own source is about half of what an even mix of seven is worth",
    general=Prior(math.log(6.0), 0.5, 0.4),
    domain=Prior(math.log(6.0), 0.5, 0.5),
)


def _worth(source: str) -> Coordinate:
    return Coordinate(
        f"worth_{source}",
        "log",
        f"log of what {source} is worth at an even mix, as another's source",
        "own work: what a corpus teaches of others is mostly alike",
        general=Prior(0.0, 0.5, 0.5),
        domain=Prior(0.0, 0.5, 0.5),
    )


def _gamma(source: str) -> Coordinate:
    return Coordinate(
        f"log_gamma_{source}",
        "log",
        f"log of gamma of {source}: below 0, rare data count for more than their share",
        "own work, wide; fitted values are not published",
        general=Prior(math.log(0.7), 0.4, 0.3),
        domain=Prior(math.log(0.7), 0.4, 0.3),
    )


@dataclass(frozen=True, repr=False)
class Additive(OverSources):
    """L = E + A/N^alpha + B/D^beta + 1 / sum_j C_j O^[j is own] h_j^gamma_j.

    Mixture and scale add up, so that the best mixture is the same at every scale. The paper has a C for every source
    and validation set; here that of the own source is O times what the source is worth to another.
    """

    kind: ClassVar[str] = "additive"
    terms: ClassVar[str] = "1/sum_j C_j O^[j is own] h_j^gamma_j"
    reference: ClassVar[str] = "Shukor et al. 2025 (2507.09404), additive form"

    @property
    def mixture_params(self) -> tuple[Param, ...]:
        return (
            Param("O", "-", "worth of the own source over that to another"),
            *(Param(f"C_{source}", "tokens/nat", f"worth of {source} at share 1") for source in self.sources),
            *(Param(f"gamma_{source}", "-", f"power of the share of {source}") for source in self.sources),
        )

    @property
    def mixture_coordinates(self) -> tuple[Coordinate, ...]:
        return (MIXTURE, OWN, *map(_worth, self.sources), *map(_gamma, self.sources))

    def mixture_natural(self, coordinates: Mapping[str, Scalar], even: Scalar) -> dict[str, Scalar]:
        count = float(len(self.sources))
        worth = {source: jnp.exp(coordinates[f"worth_{source}"]) for source in self.sources}
        total = even * jnp.sum(jnp.stack(list(worth.values())))
        found = {"O": jnp.exp(coordinates["log_own"])}
        for source in self.sources:
            gamma = jnp.exp(coordinates[f"log_gamma_{source}"])
            found |= {f"C_{source}": worth[source] * raised(count, gamma) / total, f"gamma_{source}": gamma}
        return found

    def mixture(self, theta: Theta, point: Point) -> Scalar:
        shares, own = shares_of(point)
        read = [power(shares[j], theta[f"gamma_{source}"]) for j, source in enumerate(self.sources)]
        worth = self.of_each(theta, "C") * (1.0 + (theta["O"] - 1.0) * own)
        return 1.0 / jnp.sum(worth * jnp.stack(read))

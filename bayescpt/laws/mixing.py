"""The exponential data-mixing law (Ye et al. 2024), as one law over size, tokens and mixture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from bayescpt.laws.base import Coordinate, Param, Point, Prior, Scalar, Theta
from bayescpt.laws.sources import MIXTURE, OverSources, shares_of

OWN = Coordinate(
    "log_own",
    "log",
    "log of tau, the e-folds by which the mixture term falls from share 0 to 1 of the own source",
    "own work: an e-fold for an eighth to a third of the mixture",
    general=Prior(math.log(5.0), 0.4, 0.3),
    domain=Prior(math.log(5.0), 0.4, 0.3),
)


def _transfer(source: str) -> Coordinate:
    return Coordinate(
        f"transfer_{source}",
        "-",
        f"t of {source}: e-folds by which the mixture term rises from share 0 to 1 of it, as another's source",
        "own work: small beside tau, since what a corpus teaches of others is mostly alike",
        general=Prior(0.0, 0.7, 0.7),
        domain=Prior(0.0, 0.7, 0.7),
    )


@dataclass(frozen=True, repr=False)
class Mixing(OverSources):
    """L = E + A/N^alpha + B/D^beta + k exp(sum_j t_j h_j - tau h_own).

    The paper has L_i(h) = c_i + k_i exp(sum_j t_ij h_j) at one size and one step count, and reaches other scales by
    fitting power laws in steps and in size to each mixture first. Here c_i is a Chinchilla law and k_i, t_ij are
    constants, so that one law covers all scales and mixtures: own work, which says that mixture and scale do not
    interact (as the additive law does). On the SlimPajama table of 2507.09404 scaling the whole reducible loss by the
    mixture term instead left 1.3 to 2 times the residual. tau tells the own source apart, t_ii = t_i - tau.
    """

    kind: ClassVar[str] = "mixing"
    terms: ClassVar[str] = "k exp(sum_j t_j h_j - tau h_own)"
    reference: ClassVar[str] = "Ye et al. 2024 (2403.16952), Eq. 1; its union with size and tokens is own work"

    @property
    def mixture_params(self) -> tuple[Param, ...]:
        return (
            Param("k", "nats/token", "mixture term at a mixture of none"),
            Param("tau", "-", "e-folds by which the mixture term falls with the share of the own source"),
            *(
                Param(f"t_{source}", "-", f"e-folds by which it rises with the share of {source}")
                for source in self.sources
            ),
        )

    @property
    def mixture_coordinates(self) -> tuple[Coordinate, ...]:
        return (MIXTURE, OWN, *map(_transfer, self.sources))

    def mixture_natural(self, coordinates: Mapping[str, Scalar], even: Scalar) -> dict[str, Scalar]:
        each = {f"t_{source}": coordinates[f"transfer_{source}"] for source in self.sources}
        mean = jnp.mean(jnp.stack(list(each.values())))
        return {"k": even * jnp.exp(-mean), "tau": jnp.exp(coordinates["log_own"]), **each}

    def mixture(self, theta: Theta, point: Point) -> Scalar:
        shares, own = shares_of(point)
        return theta["k"] * jnp.exp(jnp.sum((self.of_each(theta, "t") - theta["tau"] * own) * shares))

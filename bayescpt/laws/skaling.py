"""The Skaling form: size and tokens under a common power, so that what one buys depends on the other."""

from __future__ import annotations

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Law, Param, Point, Prior, Reference, Scalar, Theta, floor_at_zero, raised
from bayescpt.laws.scratch import ALPHA, BETA, LEVEL
from bayescpt.laws.surface import PARAMS

WIDE = "wide; reported k is 0.31 to 0.45, and 1 is the Chinchilla law"


class Skaling(Law):
    """L = E + (A/N^alpha + B/D^beta)^k. k = 1 is the Chinchilla law; k < 1 lets tokens buy less for a small model."""

    name: ClassVar[str] = "skaling"
    reference: ClassVar[str] = "2608.07222, by a secondary source; coordinates and priors are own work"
    equation: ClassVar[str] = "L = E + (A/N^alpha + B/D^beta)^k"
    from_scratch: ClassVar[bool] = True
    needs_base: ClassVar[bool] = False
    can_rise: ClassVar[bool] = False
    uses_share: ClassVar[bool] = False
    params: ClassVar[tuple[Param, ...]] = (
        *(PARAMS[name] for name in ("E", "alpha", "beta")),
        Param("A", "nats/token to 1/k", "size term at one billion parameters"),
        Param("B", "nats/token to 1/k", "data term at one billion tokens"),
        Param("k", "-", "common power of both"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        LEVEL,
        Coordinate(
            "log_reducible",
            "log nats/token",
            "what size and tokens together still cost at the reference",
            "Chinchilla: 0.5 to 1.1 nats between 0.1B and 1B parameters",
            general=Prior(math.log(0.6), 0.4, 0.25),
            domain=Prior(math.log(0.6), 0.4, 0.3),
        ),
        Coordinate(
            "logit_size_part",
            "logit",
            "part of it that is the size term, before the common power",
            "0.4 to 0.7 along compute-optimal trainings",
            general=Prior(0.0, 0.7, 0.4),
            domain=Prior(0.0, 0.7, 0.4),
        ),
        Coordinate(
            "log_alpha",
            "log",
            "size exponent times k: that of large tokens",
            ALPHA.source,
            general=Prior(math.log(0.35), 0.3, 0.2),
            domain=Prior(math.log(0.35), 0.3, 0.2),
        ),
        Coordinate(
            "log_beta",
            "log",
            "token exponent times k: that of large sizes",
            BETA.source,
            general=Prior(math.log(0.37), 0.25, 0.2),
            domain=Prior(math.log(0.37), 0.3, 0.2),
        ),
        Coordinate(
            "log_k",
            "log",
            "common power of both terms",
            WIDE,
            general=Prior(math.log(0.6), 0.4, 0.2),
            domain=Prior(math.log(0.6), 0.4, 0.2),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        own = self.named(coordinates)
        k = jnp.exp(own["log_k"])
        alpha, beta = jnp.exp(own["log_alpha"]) / k, jnp.exp(own["log_beta"]) / k
        both = jnp.exp(own["log_reducible"] / k)
        loss = jnp.exp(own["log_level"])
        return {
            "E": floor_at_zero(loss - jnp.exp(own["log_reducible"]), 0.05 * loss),
            "A": both * jax.nn.sigmoid(own["logit_size_part"]) * raised(reference.size, alpha),
            "alpha": alpha,
            "B": both * jax.nn.sigmoid(-own["logit_size_part"]) * raised(reference.tokens, beta),
            "beta": beta,
            "k": k,
        }

    def loss(self, theta: Theta, point: Point) -> Scalar:
        size_term = theta["A"] * raised(point.size, -theta["alpha"])
        data_term = theta["B"] * raised(point.tokens, -theta["beta"])
        return theta["E"] + raised(size_term + data_term, theta["k"])

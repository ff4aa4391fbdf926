"""L2: tokens and share under one power."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Law, Param, Point, Prior, Reference, Scalar, Theta, raised
from bayescpt.laws.surface import (
    ALPHA,
    BETA,
    EPS,
    EXPONENTS,
    GAMMA,
    LEVEL,
    MIDDLE_SHARE,
    PARAMS,
    SIZE_GAIN,
    size_amplitude,
    with_level,
)

OWN_PRIOR = "wide: the paper gives no fitted values"


class L2(Law):
    """L = E + A/N^alpha + (B/D^beta + C/(s + eps)^gamma)^eta.

    At a fixed share it is no Chinchilla law, for which the paper rejects it, though it fits as well as L3. With
    eta < 1 a token is worth less where the share is small.
    """

    name: ClassVar[str] = "dcpt_l2"
    reference: ClassVar[str] = "Que et al. 2024 (2406.01375), appendix E.1, L2"
    equation: ClassVar[str] = "L = E + A/N^alpha + (B/D^beta + C/(s + eps)^gamma)^eta"
    needs_base: ClassVar[bool] = False
    can_rise: ClassVar[bool] = False
    params: ClassVar[tuple[Param, ...]] = (
        *(PARAMS[name] for name in ("E", "A", "alpha", "beta", "gamma", "eps")),
        Param("B", "nats/token to 1/eta", "data term at one billion tokens"),
        Param("C", "nats/token to 1/eta", "share term at share 1 - eps"),
        Param("eta", "-", "common power of both"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        LEVEL,
        SIZE_GAIN,
        Coordinate(
            "log_reducible",
            "log nats/token",
            "what tokens and share together still cost at the reference tokens with an even mix",
            "the sum of the share gain and a few decades of tokens in the other forms",
            general=Prior(math.log(0.4), 0.4, 0.25),
            domain=Prior(math.log(0.7), 0.5, 0.4),
        ),
        Coordinate(
            "logit_data_part",
            "logit",
            "part of it that is the data term, before the common power",
            OWN_PRIOR,
            general=Prior(-1.2, 0.7, 0.5),
            domain=Prior(0.0, 1.0, 0.6),
        ),
        ALPHA,
        # the common power multiplies both exponents, so each of them is held closer
        replace(BETA, general=Prior(math.log(0.25), 0.35, 0.2), domain=Prior(math.log(0.25), 0.35, 0.2)),
        replace(GAMMA, general=Prior(math.log(0.4), 0.3, 0.15), domain=Prior(math.log(0.4), 0.35, 0.2)),
        EPS,
        Coordinate(
            "log_eta",
            "log",
            "common power of both terms",
            OWN_PRIOR,
            general=Prior(0.0, 0.25, 0.15),
            domain=Prior(0.0, 0.25, 0.15),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        own = self.named(coordinates)
        theta = {name: jnp.exp(own[coordinate]) for coordinate, name in EXPONENTS.items()}
        theta["eta"] = jnp.exp(own["log_eta"])
        theta["A"] = size_amplitude(jnp.exp(own["log_size_gain"]), theta["alpha"], reference)
        both = jnp.exp(own["log_reducible"] / theta["eta"])
        theta["B"] = both * jax.nn.sigmoid(own["logit_data_part"]) * reference.tokens ** theta["beta"]
        away = raised(MIDDLE_SHARE + theta["eps"], theta["gamma"])
        theta["C"] = both * jax.nn.sigmoid(-own["logit_data_part"]) * away
        return with_level(self, own["log_level"], theta, reference, base_share, theta["eta"])

    def loss(self, theta: Theta, point: Point) -> Scalar:
        data = theta["B"] * raised(point.tokens, -theta["beta"])
        missing = theta["C"] * raised(point.share + theta["eps"], -theta["gamma"])
        return theta["E"] + theta["A"] * raised(point.size, -theta["alpha"]) + raised(data + missing, theta["eta"])

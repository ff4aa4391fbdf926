"""L5: the other corpus is worth a fixed number of own tokens."""

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
    LEVEL,
    PARAMS,
    SIZE_GAIN,
    TOKEN_FACTOR,
    TOKEN_GAIN,
    size_amplitude,
    with_level,
)


class L5(Law):
    """L = E + A/N^alpha + B/(s D + (1 - s) sigma)^beta, with sigma < D_min.

    sigma is what the loss would have been trained with if none of the tokens were its own: with more tokens than that
    a larger share lowers the loss. The form with the fewest parameters, and the worst fit of the paper's.
    """

    name: ClassVar[str] = "dcpt_l5"
    reference: ClassVar[str] = "Que et al. 2024 (2406.01375), appendix E.1, L5"
    equation: ClassVar[str] = "L = E + A/N^alpha + B/(s D + (1 - s) sigma)^beta"
    needs_base: ClassVar[bool] = False
    can_rise: ClassVar[bool] = False
    params: ClassVar[tuple[Param, ...]] = (
        *(PARAMS[name] for name in ("E", "A", "B", "alpha", "beta")),
        Param("sigma", "billion tokens", "own tokens that no own share stands for; below D_min"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        LEVEL,
        SIZE_GAIN,
        # the one data term makes up for the share term too, down to the tokens that sigma stands for
        replace(TOKEN_GAIN, general=Prior(math.log(0.06), 0.5, 0.3), domain=Prior(math.log(0.12), 0.5, 0.35)),
        ALPHA,
        replace(BETA, general=Prior(math.log(0.25), 0.35, 0.2), domain=Prior(math.log(0.25), 0.35, 0.2)),
        Coordinate(
            "logit_sigma",
            "logit",
            "sigma as a fraction of the smallest token count",
            "none published; below 1, or more own data would raise a loss",
            general=Prior(0.0, 1.5, 0.7),
            domain=Prior(0.0, 1.5, 0.7),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        own = self.named(coordinates)
        theta = {"alpha": jnp.exp(own["log_alpha"]), "beta": jnp.exp(own["log_beta"])}
        theta["sigma"] = reference.tokens_min * jax.nn.sigmoid(own["logit_sigma"])
        theta["A"] = size_amplitude(jnp.exp(own["log_size_gain"]), theta["alpha"], reference)
        root = math.sqrt(TOKEN_FACTOR)
        few, many = (0.5 * (reference.tokens * x + theta["sigma"]) for x in (1 / root, root))
        bought = raised(few, -theta["beta"]) - raised(many, -theta["beta"])
        theta["B"] = jnp.exp(own["log_token_gain"]) / bought
        return with_level(self, own["log_level"], theta, reference, base_share)

    def loss(self, theta: Theta, point: Point) -> Scalar:
        own = point.share * point.tokens + (1 - point.share) * theta["sigma"]
        return theta["E"] + theta["A"] * raised(point.size, -theta["alpha"]) + theta["B"] * raised(own, -theta["beta"])

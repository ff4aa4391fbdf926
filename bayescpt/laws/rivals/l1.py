"""L1: tokens and share add up, and neither changes what the other is worth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Param, Prior, Reference, Scalar, Theta
from bayescpt.laws.surface import (
    ALPHA,
    BETA,
    EPS,
    GAMMA,
    LEVEL,
    PARAMS,
    SHARE_GAIN,
    SIZE_GAIN,
    TOKEN_GAIN,
    Surface,
    offset_power,
    size_amplitude,
    token_amplitude,
    with_level,
)


class L1(Surface):
    """L = E + A/N^alpha + B/D^beta + C/(s + eps)^gamma.

    d2L/dDds = 0: the paper rejects it, because a token is worth more where the share is larger. It has the loss that
    L3 has at s = 1, and needs no constraint.
    """

    name: ClassVar[str] = "dcpt_l1"
    reference: ClassVar[str] = "Que et al. 2024 (2406.01375), appendix E.1, L1"
    equation: ClassVar[str] = "L = E + A/N^alpha + B/D^beta + C/(s + eps)^gamma"
    params: ClassVar[tuple[Param, ...]] = tuple(
        PARAMS[n] for n in ("E", "A", "B", "C", "alpha", "beta", "gamma", "eps")
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        LEVEL,
        SIZE_GAIN,
        replace(TOKEN_GAIN, general=Prior(math.log(0.06), 0.5, 0.3), domain=Prior(math.log(0.12), 0.5, 0.35)),
        replace(SHARE_GAIN, domain=Prior(math.log(0.8), 0.65, 0.5)),
        ALPHA,
        # at every share the first tokens cost as much as at an even mix, so they are held closer
        replace(BETA, general=Prior(math.log(0.25), 0.35, 0.2), domain=Prior(math.log(0.25), 0.35, 0.2)),
        GAMMA,
        EPS,
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        own = self.named(coordinates)
        theta = self.shapes(own)
        theta["A"] = size_amplitude(jnp.exp(own["log_size_gain"]), theta["alpha"], reference)
        theta["B"] = token_amplitude(jnp.exp(own["log_token_gain"]), theta["beta"], reference)
        theta["C"] = self.share_amplitude(own, theta)
        return with_level(self, own["log_level"], theta, reference, base_share)

    def weight(self, theta: Theta, share: Scalar) -> Scalar:
        return jnp.ones_like(share)

    def missing(self, theta: Theta, share: Scalar) -> Scalar:
        return offset_power(theta, share)

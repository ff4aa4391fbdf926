"""L6: the data term grows with the exponential of the share."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import jax.numpy as jnp

from bayescpt.laws.base import Coordinate, Param, Prior, Scalar, Theta
from bayescpt.laws.surface import (
    ALPHA,
    BETA,
    DATA_FRACTION,
    EPS,
    GAMMA,
    LEVEL,
    PARAMS,
    SHARE_GAIN,
    SIZE_GAIN,
    Constrained,
    offset_power,
    offset_slope,
)


class L6(Constrained):
    """L = E + A/N^alpha + B e^s/D^beta + C/(s + eps)^gamma, with C > C0.

    Meets all four requirements of the paper, with one parameter less than L3.
    C0 = B e (1 + eps)^(gamma + 1) / (gamma D_min^beta).
    """

    name: ClassVar[str] = "dcpt_l6"
    reference: ClassVar[str] = "Que et al. 2024 (2406.01375), appendix E.1, L6"
    equation: ClassVar[str] = "L = E + A/N^alpha + B e^s/D^beta + C/(s + eps)^gamma"
    params: ClassVar[tuple[Param, ...]] = tuple(param for param in PARAMS.values() if param.name != "eta")
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        LEVEL,
        SIZE_GAIN,
        SHARE_GAIN,
        # e^s does not vanish where the share does, so the data term is there in full
        replace(DATA_FRACTION, general=Prior(-1.5, 1.2, 0.6), domain=Prior(-1.5, 1.1, 0.6)),
        ALPHA,
        BETA,
        GAMMA,
        EPS,
    )

    def weight(self, theta: Theta, share: Scalar) -> Scalar:
        return jnp.exp(share)

    def missing(self, theta: Theta, share: Scalar) -> Scalar:
        return offset_power(theta, share)

    def steepest(self, theta: Theta) -> Scalar:
        return jnp.e / offset_slope(theta)

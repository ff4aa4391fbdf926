"""L7: the data term has the offset of the share term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp

from bayescpt.laws.base import Coordinate, Param, Scalar, Theta, raised
from bayescpt.laws.dcpt import DCPT
from bayescpt.laws.surface import PARAMS, Constrained, offset_power, offset_slope


class L7(Constrained):
    """L = E + A/N^alpha + B (s + eps)^eta/D^beta + C/(s + eps)^gamma, with eta > 1 and C > C0.

    Meets all four requirements of the paper. C0 = B eta (1 + eps)^(eta + gamma) / (gamma D_min^beta).
    """

    name: ClassVar[str] = "dcpt_l7"
    reference: ClassVar[str] = "Que et al. 2024 (2406.01375), appendix E.1, L7"
    equation: ClassVar[str] = "L = E + A/N^alpha + B (s + eps)^eta/D^beta + C/(s + eps)^gamma"
    params: ClassVar[tuple[Param, ...]] = tuple(PARAMS.values())
    coordinates: ClassVar[tuple[Coordinate, ...]] = DCPT.coordinates

    def shapes(self, coordinates: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return {**super().shapes(coordinates), "eta": 1.0 + jnp.exp(coordinates["log_eta_excess"])}

    def weight(self, theta: Theta, share: Scalar) -> Scalar:
        return raised(share + theta["eps"], theta["eta"])

    def missing(self, theta: Theta, share: Scalar) -> Scalar:
        return offset_power(theta, share)

    def steepest(self, theta: Theta) -> Scalar:
        return theta["eta"] * raised(1 + theta["eps"], theta["eta"] - 1) / offset_slope(theta)

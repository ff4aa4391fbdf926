"""The anchored D-CPT law: a crossover from the base's own loss to the D-CPT surface."""

from __future__ import annotations

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Law, Param, Point, Prior, Reference, Scalar, Theta, raised
from bayescpt.laws.dcpt import DCPT

SURFACE = DCPT()


class Anchored(Law):
    """L = w L0 + (1 - w) L_DCPT(N, D + tau, s) with w = (1 + D/tau)^-kappa: base at D = 0, D-CPT at large D.

    tau is at least the table's first checkpoint, where D-CPT's constraint begins, so that dL/ds <= 0 for every D. The
    loss rises where the surface lies above the base, and falls with the surface later. What it cannot do: on real rows
    the fall after the peak grows with the share lost, while the data term B s^eta shrinks it there.
    """

    name: ClassVar[str] = "anchored"
    reference: ClassVar[str] = "own work, after Que et al. 2024 (2406.01375)"
    equation: ClassVar[str] = "L = w L0 + (1 - w) L_DCPT(N, D + tau, s), w = (1 + D/tau)^-kappa"
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = True
    params: ClassVar[tuple[Param, ...]] = (
        *DCPT.params,
        Param("tau", "billion tokens", "tokens of the crossover"),
        Param("kappa", "-", "exponent of the crossover"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        *DCPT.coordinates,
        Coordinate(
            "log_crossover",
            "log",
            "tau over the reference tokens",
            "the rise happens in the first tenth of a run",
            general=Prior(math.log(0.1), 0.8, 0.3),
            domain=Prior(math.log(0.1), 0.8, 0.3),
        ),
        Coordinate(
            "log_kappa",
            "log",
            "exponent of the crossover",
            "above beta, or the start is not the base",
            general=Prior(math.log(1.5), 0.4, 0.2),
            domain=Prior(math.log(1.5), 0.4, 0.2),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        surface = SURFACE.natural(coordinates[: len(DCPT.coordinates)], reference, base_share)
        crossover, kappa = jnp.exp(coordinates[len(DCPT.coordinates) :])
        return {**surface, "tau": crossover * reference.tokens + reference.tokens_min, "kappa": kappa}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        surface = SURFACE.loss(theta, point._replace(tokens=point.tokens + theta["tau"]))
        weight = raised(1 + point.tokens / theta["tau"], -theta["kappa"])
        return weight * point.base_loss + (1 - weight) * surface

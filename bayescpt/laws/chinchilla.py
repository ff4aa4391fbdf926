"""The Chinchilla law (Hoffmann et al. 2022): size and tokens of a training from scratch, whatever it is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from bayescpt.laws.base import Coordinate, Param, Point, Scalar, Theta
from bayescpt.laws.scratch import Form, Scratch

FLOPS = 6.0
"""Training FLOPs for one parameter and token."""


@dataclass(frozen=True, repr=False)
class Chinchilla(Scratch):
    """L = E + A/N^alpha + B/D^beta. The share of a corpus is no part of it."""

    kind: ClassVar[str] = "chinchilla"
    terms: ClassVar[str] = ""
    reference: ClassVar[str] = "Hoffmann et al. 2022 (2203.15556), Eq. 2; replication by Besiroglu et al. (2404.10102)"
    uses_share: ClassVar[bool] = False

    @property
    def mixture_params(self) -> tuple[Param, ...]:
        return ()

    @property
    def mixture_coordinates(self) -> tuple[Coordinate, ...]:
        return ()

    def mixture_even(self, coordinates: Mapping[str, Scalar]) -> Scalar:
        return jnp.zeros(())

    def mixture_natural(self, coordinates: Mapping[str, Scalar], even: Scalar) -> dict[str, Scalar]:
        return {}

    def mixture(self, theta: Theta, point: Point) -> Scalar:
        return jnp.zeros(())


@dataclass(frozen=True, repr=False)
class Skaling(Chinchilla):
    """L = E + (A/N^alpha + B/D^beta)^k: with k < 1 tokens buy less for a small model."""

    form: Form = Form.POWER

    reference: ClassVar[str] = "Skaling (2608.07222), by a secondary source; coordinates and priors are own work"

    @property
    def name(self) -> str:
        return "skaling"


class Allocation(NamedTuple):
    """Where a FLOP budget C = 6 N D is spent best: N = G (C/6)^a, D = (C/6)^b / G, in billions."""

    G: Scalar
    a: Scalar
    b: Scalar

    def at(self, flops: float | Scalar) -> tuple[Scalar, Scalar]:
        """Optimal size and tokens, both in billions, for ``flops`` training FLOPs."""
        budget = jnp.asarray(flops) / FLOPS / 1e18
        return self.G * budget**self.a, budget**self.b / self.G


def allocation(theta: Theta) -> Allocation:
    """Hoffmann's closed form, G = (alpha A/(beta B))^(1/(alpha + beta)), a = beta/(alpha + beta), b = 1 - a.

    From dL/dN = dL/dD = 0 on the curve 6 N D = C; of the law with constant exponents. ``theta`` in billions.
    """
    alpha, beta = theta["alpha"], theta["beta"]
    total = alpha + beta
    return Allocation((alpha * theta["A"] / (beta * theta["B"])) ** (1 / total), beta / total, alpha / total)

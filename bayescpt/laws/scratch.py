"""Laws of training from scratch: E + A/N^alpha + B/D^beta, and what a kind of them adds for the mixture.

Sizes, tokens and losses of such studies are those of whole trainings, so that the priors of the terms are others than
for continual pre-training.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws import wander
from bayescpt.laws.base import (
    Coordinate,
    Law,
    Param,
    Point,
    Prior,
    Reference,
    Scalar,
    Theta,
    floor_at_zero,
    raised,
)
from bayescpt.laws.surface import PARAMS, size_amplitude, token_amplitude

CHINCHILLA = "Chinchilla (2203.15556, constants of the replication 2404.10102)"
LEVEL = Coordinate(
    "log_level",
    "log nats/token",
    "loss at the reference size and tokens; at an even mix, of a set without a source of its own",
    "language models on text and code lie between 0.7 and 6 nats per token",
    general=Prior(math.log(2.8), 0.35, 0.15),
    domain=Prior(math.log(2.5), 0.4, 0.35),
)
SIZE_GAIN = Coordinate(
    "log_size_gain",
    "log nats/token",
    "nats bought by 8 x the size around the reference",
    f"{CHINCHILLA}: 0.4 nats around 0.3B, 0.26 around 1B",
    general=Prior(math.log(0.3), 0.6, 0.3),
    domain=Prior(math.log(0.3), 0.6, 0.35),
)
TOKEN_GAIN = Coordinate(
    "log_token_gain",
    "log nats/token",
    "nats bought by 10 x the tokens around the reference",
    f"{CHINCHILLA}: 0.4 nats around 10B, 0.17 around 100B",
    general=Prior(math.log(0.25), 0.5, 0.3),
    domain=Prior(math.log(0.25), 0.6, 0.35),
)
ALPHA = Coordinate(
    "log_alpha",
    "log",
    "size exponent at the reference",
    f"{CHINCHILLA}: 0.35; 0.2 to 0.5 in other tables",
    general=Prior(math.log(0.35), 0.35, 0.2),
    domain=Prior(math.log(0.35), 0.35, 0.25),
)
BETA = Coordinate(
    "log_beta",
    "log",
    "token exponent at the reference",
    f"{CHINCHILLA}: 0.37; more along runs whose learning rate decays",
    general=Prior(math.log(0.4), 0.4, 0.2),
    domain=Prior(math.log(0.4), 0.4, 0.25),
)
SCALE = (LEVEL, SIZE_GAIN, TOKEN_GAIN, ALPHA, BETA)
SCALE_PARAMS = tuple(PARAMS[name] for name in ("E", "A", "alpha", "B", "beta"))


@dataclass(frozen=True, repr=False)
class Scratch(Law):
    """L = E + A/N^alpha + B/D^beta + a mixture term. N and D in billions.

    Args:
        wanders: whether the exponent of the reducible loss wanders with scale (wander.py).
    """

    wanders: bool = False

    kind: ClassVar[str]
    terms: ClassVar[str]
    """what the kind adds, as a formula; empty where it adds nothing"""
    from_scratch: ClassVar[bool] = True
    needs_base: ClassVar[bool] = False
    can_rise: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"{self.kind}_wander" if self.wanders else self.kind

    @property
    def equation(self) -> str:
        form = "L = E + A/N^alpha + B/D^beta" + (f" + {self.terms}" if self.terms else "")
        return f"{form}, the exponent of its reducible part wandering with scale" if self.wanders else form

    @property
    def params(self) -> tuple[Param, ...]:
        return (*SCALE_PARAMS, *self.mixture_params, *(wander.PARAMS if self.wanders else ()))

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        return (*SCALE, *self.mixture_coordinates, *(wander.COORDINATES if self.wanders else ()))

    @property
    @abstractmethod
    def mixture_params(self) -> tuple[Param, ...]:
        """Natural parameters of the mixture term."""

    @property
    @abstractmethod
    def mixture_coordinates(self) -> tuple[Coordinate, ...]:
        """Coordinates of the mixture term."""

    @abstractmethod
    def mixture_natural(self, coordinates: Mapping[str, Scalar]) -> tuple[dict[str, Scalar], Scalar]:
        """Natural parameters of the mixture term, and its nats at an even mix for a set without a source of its own."""

    @abstractmethod
    def mixture(self, theta: Theta, point: Point) -> Scalar:
        """The mixture term, nats per token."""

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        own = self.named(coordinates)
        alpha, beta = jnp.exp(own["log_alpha"]), jnp.exp(own["log_beta"])
        A = size_amplitude(jnp.exp(own["log_size_gain"]), alpha, reference)
        B = token_amplitude(jnp.exp(own["log_token_gain"]), beta, reference)
        mixture, even = self.mixture_natural(own)
        loss = jnp.exp(own["log_level"])
        reducible = A * raised(reference.size, -alpha) + B * raised(reference.tokens, -beta)
        E = floor_at_zero(loss - reducible - even, 0.05 * loss)
        theta = {"E": E, "A": A, "alpha": alpha, "B": B, "beta": beta, **mixture}
        return theta | {"R0": reducible, **wander.multipliers(own)} if self.wanders else theta

    def loss(self, theta: Theta, point: Point) -> Scalar:
        reducible = theta["A"] * raised(point.size, -theta["alpha"]) + theta["B"] * raised(point.tokens, -theta["beta"])
        bent = wander.bent(reducible, theta) if self.wanders else reducible
        return theta["E"] + bent + self.mixture(theta, point)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(wanders={self.wanders})"

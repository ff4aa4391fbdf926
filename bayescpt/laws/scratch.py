"""Laws of training from scratch: irreducible, reducible by size and tokens, and what a kind of them adds for a mixture.

Sizes, tokens and losses of such studies are those of whole trainings, so that the priors of the terms are others than
for continual pre-training.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import (
    Coordinate,
    Law,
    Param,
    Point,
    Prior,
    Reference,
    Scalar,
    Theta,
    divided,
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
    "size exponent where tokens abound: alpha k",
    f"{CHINCHILLA}: 0.35; 0.2 to 0.5 in other tables",
    general=Prior(math.log(0.35), 0.35, 0.2),
    domain=Prior(math.log(0.35), 0.35, 0.25),
)
BETA = Coordinate(
    "log_beta",
    "log",
    "token exponent where parameters abound: beta k",
    f"{CHINCHILLA}: 0.37; more along runs whose learning rate decays",
    general=Prior(math.log(0.4), 0.4, 0.2),
    domain=Prior(math.log(0.4), 0.4, 0.25),
)
COMMON_POWER = Coordinate(
    "log_k",
    "log",
    "log of k, the common power of both terms: how far tokens buy less for a small model",
    "wide: 1 is the Chinchilla law, and 0.31 to 0.45 are reported for Skaling (2608.07222, by a secondary source)",
    general=Prior(math.log(0.7), 0.35, 0.2),
    domain=Prior(math.log(0.7), 0.35, 0.2),
)
SCALE = (LEVEL, SIZE_GAIN, TOKEN_GAIN, ALPHA, BETA)
SCALE_PARAMS = tuple(PARAMS[name] for name in ("E", "A", "alpha", "B", "beta"))
POWER_PARAMS = (
    *(PARAMS[name] for name in ("E", "alpha", "beta")),
    Param("A", "nats/token to 1/k", "size term at one billion parameters"),
    Param("B", "nats/token to 1/k", "data term at one billion tokens"),
    Param("k", "-", "common power of both"),
)


class Form(StrEnum):
    """How size and tokens make up the reducible loss."""

    SUM = "A/N^alpha + B/D^beta"
    POWER = "(A/N^alpha + B/D^beta)^k"


@dataclass(frozen=True, repr=False)
class Scratch(Law):
    """L = E + reducible + a mixture term. N and D in billions.

    The coordinates of size and tokens are the nats that they buy around the reference, whatever the form.

    Args:
        form: of the reducible loss.
    """

    form: Form = Form.SUM

    kind: ClassVar[str]
    terms: ClassVar[str]
    """what the kind adds, as a formula; empty where it adds nothing"""
    from_scratch: ClassVar[bool] = True
    needs_base: ClassVar[bool] = False
    can_rise: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return self.kind if self.form is Form.SUM else f"{self.kind}_{self.form.name.lower()}"

    @property
    def equation(self) -> str:
        return f"L = E + {self.form}" + (f" + {self.terms}" if self.terms else "")

    @property
    def params(self) -> tuple[Param, ...]:
        scale = SCALE_PARAMS if self.form is Form.SUM else POWER_PARAMS
        return (*scale, *self.mixture_params)

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        power = () if self.form is Form.SUM else (COMMON_POWER,)
        return (*SCALE, *power, *self.mixture_coordinates)

    @property
    @abstractmethod
    def mixture_params(self) -> tuple[Param, ...]:
        """Natural parameters of the mixture term."""

    @property
    @abstractmethod
    def mixture_coordinates(self) -> tuple[Coordinate, ...]:
        """Coordinates of the mixture term."""

    @abstractmethod
    def mixture_even(self, coordinates: Mapping[str, Scalar]) -> Scalar:
        """Nats of the mixture term at an even mix for a set without a source of its own."""

    @abstractmethod
    def mixture_natural(self, coordinates: Mapping[str, Scalar], even: Scalar) -> dict[str, Scalar]:
        """Natural parameters of the mixture term that has ``even`` nats there."""

    @abstractmethod
    def mixture(self, theta: Theta, point: Point) -> Scalar:
        """The mixture term, nats per token."""

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        own = self.named(coordinates)
        slopes = jnp.exp(own["log_alpha"]), jnp.exp(own["log_beta"])
        amplitudes = (
            size_amplitude(jnp.exp(own["log_size_gain"]), slopes[0], reference),
            token_amplitude(jnp.exp(own["log_token_gain"]), slopes[1], reference),
        )
        size, tokens = (
            a * raised(at, -slope)
            for a, at, slope in zip(amplitudes, (reference.size, reference.tokens), slopes, strict=True)
        )
        even, loss = self.mixture_even(own), jnp.exp(own["log_level"])
        E, part = divided(loss, size + tokens + even)
        theta = {"E": E, **self.mixture_natural(own, part * even)}
        if self.form is Form.SUM:
            A, B = (part * a for a in amplitudes)
            return {**theta, "A": A, "alpha": slopes[0], "B": B, "beta": slopes[1]}
        k = jnp.exp(own["log_k"])
        alpha, beta = slopes[0] / k, slopes[1] / k
        # at the reference both forms have the same terms and the same slopes
        reducible = part * (size + tokens)
        unit = raised(reducible, 1 / k) / (size + tokens)
        theta |= {"A": unit * size * raised(reference.size, alpha), "alpha": alpha}
        return theta | {"B": unit * tokens * raised(reference.tokens, beta), "beta": beta, "k": k}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        total = theta["A"] * raised(point.size, -theta["alpha"]) + theta["B"] * raised(point.tokens, -theta["beta"])
        if self.form is Form.POWER:
            total = raised(total, theta["k"])
        return theta["E"] + total + self.mixture(theta, point)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

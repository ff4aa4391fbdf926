"""Loss surfaces of the form E + size term + data term times a shape of the share + share term, and their coordinates.

The D-CPT law and four of its rivals are such surfaces. They differ in how the share weighs the data term, ``m(s)``, and
in the share term, ``c(s)``; the coordinates, the priors and the constraint that keeps dL/ds < 0 are the same.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping

import jax
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
    drop,
    raised,
)

MIDDLE_SHARE = 0.5
"""Share at which the level coordinate is read."""
SIZE_FACTOR = 8.0
TOKEN_FACTOR = 10.0
"""The contrasts are the nats that this factor in size or tokens buys, centred on the reference point."""

LEVEL = Coordinate(
    "log_level",
    "log nats/token",
    "loss at the reference size and tokens with an even mix",
    "language models on text and code lie between 0.7 and 6 nats per token",
    general=Prior(math.log(2.6), 0.35, 0.1),
    domain=Prior(math.log(2.2), 0.4, 0.4),
)
SIZE_GAIN = Coordinate(
    "log_size_gain",
    "log nats/token",
    "nats bought by 8 x the size around the reference",
    "Chinchilla (2404.10102 constants): 0.4 nats at 100M, 0.2 at 1B; more for tiny models",
    general=Prior(math.log(0.25), 0.7, 0.3),
    domain=Prior(math.log(0.25), 0.7, 0.4),
)
TOKEN_GAIN = Coordinate(
    "log_token_gain",
    "log nats/token",
    "nats bought by 10 x the tokens around the reference, at an even mix",
    "CPT curves of 2407.17467 and 2505.07796: 0.05 to 0.5 nats a decade",
    general=Prior(math.log(0.08), 0.6, 0.3),
    domain=Prior(math.log(0.15), 0.6, 0.4),
)
SHARE_GAIN = Coordinate(
    "log_share_gain",
    "log nats/token",
    "nats by which the share term falls from share 0 to 1",
    "D-CPT table 5: 0.7 nats on the general loss; domain shifts reach several nats",
    general=Prior(math.log(0.6), 0.7, 0.5),
    domain=Prior(math.log(0.9), 0.7, 0.6),
)
DATA_FRACTION = Coordinate(
    "logit_data_fraction",
    "logit",
    "C0/C: data term as a fraction of what dL/ds < 0 allows",
    "appendix E.3 asks for a fraction below 1; no fitted values are published",
    general=Prior(-1.0, 1.3, 0.7),
    domain=Prior(-0.5, 1.3, 0.7),
)
ALPHA = Coordinate(
    "log_alpha",
    "log",
    "size exponent",
    "Chinchilla 0.35 (0.32 to 0.37 in the replication 2404.10102)",
    general=Prior(math.log(0.35), 0.4, 0.15),
    domain=Prior(math.log(0.35), 0.4, 0.2),
)
BETA = Coordinate(
    "log_beta",
    "log",
    "token exponent",
    "Chinchilla 0.37 from scratch; 0.13 to 0.5 in CPT laws (2505.07796)",
    general=Prior(math.log(0.3), 0.5, 0.25),
    domain=Prior(math.log(0.3), 0.5, 0.25),
)
GAMMA = Coordinate(
    "log_gamma",
    "log",
    "share exponent",
    "the start grid of appendix E.3 spans exponents of 0.6 to 1.6; none are published",
    general=Prior(math.log(0.5), 0.5, 0.3),
    domain=Prior(math.log(0.5), 0.5, 0.3),
)
ETA_EXCESS = Coordinate(
    "log_eta_excess",
    "log",
    "eta - 1",
    "constraint eta > 1; the start grid of appendix E.3 has 0.6 to 1.6",
    general=Prior(math.log(0.7), 0.6, 0.3),
    domain=Prior(math.log(0.7), 0.6, 0.3),
)
EPS = Coordinate(
    "log_eps",
    "log",
    "share offset",
    "'near 0.1' (appendix E.3)",
    general=Prior(math.log(0.1), 0.5, 0.3),
    domain=Prior(math.log(0.1), 0.5, 0.3),
)

PARAMS = {
    param.name: param
    for param in (
        Param("E", "nats/token", "loss that neither size nor tokens remove"),
        Param("A", "nats/token", "size term at one billion parameters"),
        Param("B", "nats/token", "data term at one billion tokens"),
        Param("C", "nats/token", "share term; at least C0"),
        Param("alpha", "-", "size exponent"),
        Param("beta", "-", "token exponent"),
        Param("gamma", "-", "share exponent"),
        Param("eta", "-", "power of the share in the data term; above 1"),
        Param("eps", "-", "share offset that keeps the share term finite at 0"),
    )
}
"""Natural parameters that several surfaces have."""

EXPONENTS = {"log_alpha": "alpha", "log_beta": "beta", "log_gamma": "gamma", "log_eps": "eps"}


def size_amplitude(gain: Scalar, alpha: Scalar, reference: Reference) -> Scalar:
    """A such that A/N^alpha loses ``gain`` nats over ``SIZE_FACTOR`` around the reference size."""
    root = math.sqrt(SIZE_FACTOR)
    return gain / drop(alpha, reference.size / root, reference.size * root)


def token_amplitude(gain: Scalar, beta: Scalar, reference: Reference) -> Scalar:
    """B such that B/D^beta loses ``gain`` nats over ``TOKEN_FACTOR`` around the reference tokens."""
    root = math.sqrt(TOKEN_FACTOR)
    return gain / drop(beta, reference.tokens / root, reference.tokens * root)


def middle_of(reference: Reference, base_share: Scalar) -> Point:
    """The reference point with an even mix, where the level is read."""
    return Point(
        size=jnp.asarray(reference.size),
        tokens=jnp.asarray(reference.tokens),
        share=jnp.asarray(MIDDLE_SHARE),
        base_loss=jnp.asarray(jnp.nan),
        base_share=base_share,
        base_usual=jnp.asarray(jnp.nan),
    )


AMPLITUDES = ("B", "C")
"""Of the terms that are raised to a common power, where a law has one; A stands by itself."""


def with_level(
    law: Law, level: Scalar, theta: Theta, reference: Reference, base_share: Scalar, power: Scalar | float = 1.0
) -> dict[str, Scalar]:
    """``theta`` with the E > 0 at which the law has the loss ``exp(level)`` in the middle.

    Where its terms are more than that, they are taken down together: the level is what rows see.

    Args:
        power: to which the sum of the terms B and C is raised.
    """
    reducible = law.loss({"E": jnp.zeros(()), **theta}, middle_of(reference, base_share))
    irreducible, part = divided(jnp.exp(level), reducible)
    less = {name: theta[name] * raised(part, 1 / jnp.asarray(power)) for name in AMPLITUDES if name in theta}
    return {"E": irreducible, **theta, "A": theta["A"] * part, **less}


class Surface(Law):
    """L = E + A/N^alpha + B m(s)/D^beta + C c(s); what stands in the way of dL/ds < 0 is left to the kinds of it."""

    needs_base = False
    can_rise = False

    def shapes(self, coordinates: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Exponents and offsets in natural units, by name."""
        return {
            name: jnp.exp(coordinates[coordinate])
            for coordinate, name in EXPONENTS.items()
            if coordinate in coordinates
        }

    @abstractmethod
    def weight(self, theta: Theta, share: Scalar) -> Scalar:
        """m(s), what the share makes of the data term."""

    @abstractmethod
    def missing(self, theta: Theta, share: Scalar) -> Scalar:
        """c(s), the unit share term: falls in s."""

    def share_amplitude(self, coordinates: Mapping[str, Scalar], theta: Theta) -> Scalar:
        """C such that the share term falls by the share gain from 0 to 1."""
        none, whole = (self.missing(theta, jnp.asarray(share)) for share in (0.0, 1.0))
        return jnp.exp(coordinates["log_share_gain"]) / (none - whole)

    def loss(self, theta: Theta, point: Point) -> Scalar:
        size_term = theta["A"] * raised(point.size, -theta["alpha"])
        data_term = theta["B"] * self.weight(theta, point.share) * raised(point.tokens, -theta["beta"])
        return theta["E"] + size_term + data_term + theta["C"] * self.missing(theta, point.share)


class Constrained(Surface):
    """A surface whose data term grows in the share, with dL/ds < 0 for every D >= D_min by construction.

    dL/ds = B m'(s)/D^beta + C c'(s). Where the ratio m'(s)/(-c'(s)) is largest at s = 1, as it is for all forms here,
    C > C0 = B m'(1)/(-c'(1) D_min^beta) does it (appendix E.3 of 2406.01375); C is sampled, and B is the fraction C0/C
    of what that allows.
    """

    @abstractmethod
    def steepest(self, theta: Theta) -> Scalar:
        """m'(1)/(-c'(1))."""

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        own = self.named(coordinates)
        theta = self.shapes(own)
        theta["A"] = size_amplitude(jnp.exp(own["log_size_gain"]), theta["alpha"], reference)
        theta["C"] = self.share_amplitude(own, theta)
        allowed = theta["C"] * reference.tokens_min ** theta["beta"] / self.steepest(theta)
        theta["B"] = jax.nn.sigmoid(own["logit_data_fraction"]) * allowed
        return with_level(self, own["log_level"], theta, reference, base_share)


def offset_power(theta: Theta, share: Scalar) -> Scalar:
    """``(s + eps)^-gamma``, the share term of most forms."""
    return raised(share + theta["eps"], -theta["gamma"])


def offset_slope(theta: Theta) -> Scalar:
    """``-d/ds (s + eps)^-gamma`` at s = 1."""
    return theta["gamma"] * raised(1 + theta["eps"], -theta["gamma"] - 1)

"""L4: exponentials of the share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp

from bayescpt.laws.base import Coordinate, Param, Prior, Scalar, Theta
from bayescpt.laws.surface import ALPHA, BETA, DATA_FRACTION, LEVEL, PARAMS, SHARE_GAIN, SIZE_GAIN, Constrained


class L4(Constrained):
    """L = E + A/N^alpha + B b^s/D^beta + C c^-s, with b, c > 1.

    As printed, the loss may rise with its own share, for which the paper rejects it. Here C is held above
    C0 = B (ln b / ln c) b c / D_min^beta, as in L3.
    """

    name: ClassVar[str] = "dcpt_l4"
    reference: ClassVar[str] = "Que et al. 2024 (2406.01375), appendix E.1, L4, with the constraint of L3"
    equation: ClassVar[str] = "L = E + A/N^alpha + B b^s/D^beta + C c^-s"
    params: ClassVar[tuple[Param, ...]] = (
        *(PARAMS[name] for name in ("E", "A", "B", "C", "alpha", "beta")),
        Param("b", "-", "factor of the data term from share 0 to 1; above 1"),
        Param("c", "-", "factor by which the share term falls from share 0 to 1; above 1"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        LEVEL,
        SIZE_GAIN,
        SHARE_GAIN,
        DATA_FRACTION,
        ALPHA,
        BETA,
        Coordinate(
            "log_log_b",
            "log log",
            "log of ln b",
            "none published; e in L6",
            general=Prior(0.0, 0.6, 0.3),
            domain=Prior(0.0, 0.6, 0.3),
        ),
        Coordinate(
            "log_log_c",
            "log log",
            "log of ln c: how steeply the share term falls at small shares",
            "none published; the share terms of L3 fall to a fifth to a third",
            general=Prior(math.log(1.5), 0.5, 0.3),
            domain=Prior(math.log(2.5), 0.5, 0.3),
        ),
    )

    def shapes(self, coordinates: Mapping[str, Scalar]) -> dict[str, Scalar]:
        b, c = (jnp.exp(jnp.exp(coordinates[name])) for name in ("log_log_b", "log_log_c"))
        return {**super().shapes(coordinates), "b": b, "c": c}

    def weight(self, theta: Theta, share: Scalar) -> Scalar:
        return jnp.exp(share * jnp.log(theta["b"]))

    def missing(self, theta: Theta, share: Scalar) -> Scalar:
        return jnp.exp(-share * jnp.log(theta["c"]))

    def steepest(self, theta: Theta) -> Scalar:
        return theta["b"] * theta["c"] * jnp.log(theta["b"]) / jnp.log(theta["c"])

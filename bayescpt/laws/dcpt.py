"""The D-CPT law (Que et al., 2406.01375, Eq. 6, form L3), with its constraints held by construction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp

from bayescpt.laws.base import Coordinate, Param, Scalar, Theta, power
from bayescpt.laws.surface import (
    ALPHA,
    BETA,
    DATA_FRACTION,
    EPS,
    ETA_EXCESS,
    GAMMA,
    LEVEL,
    PARAMS,
    SHARE_GAIN,
    SIZE_GAIN,
    Constrained,
    offset_power,
    offset_slope,
)


class DCPT(Constrained):
    """L = E + A/N^alpha + B s^eta/D^beta + C/(s + eps)^gamma, with eta > 1 and C > C0.

    N and D in billions, s the share of the target's own corpus. The two constraints make dL/ds < 0 for every D >= D_min
    (appendix E.3 of the paper): C0 = B eta (1+eps)^(gamma+1) / (gamma D_min^beta). Here C is sampled and B is the
    fraction C0/C in (0, 1) of what the constraint allows. The law falls monotonically in D and diverges as D -> 0: it
    has no base.
    """

    name: ClassVar[str] = "dcpt"
    reference: ClassVar[str] = "Que et al. 2024, D-CPT Law, arXiv 2406.01375, Eq. 6 and appendix E.3"
    equation: ClassVar[str] = "L = E + A/N^alpha + B s^eta/D^beta + C/(s + eps)^gamma"
    params: ClassVar[tuple[Param, ...]] = tuple(PARAMS.values())
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        LEVEL,
        SIZE_GAIN,
        SHARE_GAIN,
        DATA_FRACTION,
        ALPHA,
        BETA,
        GAMMA,
        ETA_EXCESS,
        EPS,
    )

    def shapes(self, coordinates: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return {**super().shapes(coordinates), "eta": 1.0 + jnp.exp(coordinates["log_eta_excess"])}

    def weight(self, theta: Theta, share: Scalar) -> Scalar:
        return power(share, theta["eta"])

    def missing(self, theta: Theta, share: Scalar) -> Scalar:
        return offset_power(theta, share)

    def steepest(self, theta: Theta) -> Scalar:
        return theta["eta"] / offset_slope(theta)


def least_share_amplitude(theta: Theta, tokens_min: float | Scalar) -> Scalar:
    """C0, the amplitude above which more of its own data lowers a loss at every D >= D_min (appendix E.3).

    C0 = B eta (1 + eps)^(gamma + 1) / (gamma D_min^beta), ``tokens_min`` in billions.
    """
    rise = theta["B"] * theta["eta"] * tokens_min ** -theta["beta"]
    return rise * (1 + theta["eps"]) ** (theta["gamma"] + 1) / theta["gamma"]


def interior_domain_tokens(theta: Theta) -> Scalar:
    """Domain tokens (billions) below which a mixture beats the pure domain corpus when only these are at hand (usage
    2).

    With D = D_d / r the domain loss has an interior minimum in r exactly when
    D_d < (B (eta + beta) (1 + eps)^(gamma + 1) / (gamma C))^(1/beta); from dL/dr = 0 at r = 1 (appendix G.2).
    """
    top = theta["B"] * (theta["eta"] + theta["beta"]) * (1 + theta["eps"]) ** (theta["gamma"] + 1)
    return (top / (theta["gamma"] * theta["C"])) ** (1 / theta["beta"])

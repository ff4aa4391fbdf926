"""The D-CPT law (Que et al., 2406.01375, Eq. 6, form L3), with its constraints held by construction."""

from __future__ import annotations

import math
from typing import ClassVar

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
    drop,
    floor_at_zero,
    power,
    raised,
)

MIDDLE_SHARE = 0.5
"""Share at which the level coordinate is read."""
SIZE_FACTOR = 8.0
TOKEN_FACTOR = 10.0
"""The contrasts are the nats that this factor in size or tokens buys, centred on the reference point."""


class DCPT(Law):
    """L = E + A/N^alpha + B s^eta/D^beta + C/(s + eps)^gamma, with eta > 1 and C > C0.

    N and D in billions, s the share of the target's own corpus. The two constraints make dL/ds < 0 for every D >= D_min
    (appendix E.3 of the paper): C0 = B eta (1+eps)^(gamma+1) / (gamma D_min^beta). Here C is sampled and B is the
    fraction C0/C in (0, 1) of what the constraint allows. The law falls monotonically in D and diverges as D -> 0: it
    has no base.
    """

    name: ClassVar[str] = "dcpt"
    reference: ClassVar[str] = "Que et al. 2024, D-CPT Law, arXiv 2406.01375, Eq. 6 and appendix E.3"
    equation: ClassVar[str] = "L = E + A/N^alpha + B s^eta/D^beta + C/(s + eps)^gamma"
    needs_base: ClassVar[bool] = False
    can_rise: ClassVar[bool] = False
    params: ClassVar[tuple[Param, ...]] = (
        Param("E", "nats/token", "loss that neither size nor tokens remove"),
        Param("A", "nats/token", "size term at one billion parameters"),
        Param("B", "nats/token", "data term at one billion tokens of the target's own corpus alone"),
        Param("C", "nats/token", "share term; at least C0"),
        Param("alpha", "-", "size exponent"),
        Param("beta", "-", "token exponent"),
        Param("gamma", "-", "share exponent"),
        Param("eta", "-", "power of the share in the data term; above 1"),
        Param("eps", "-", "share offset that keeps the share term finite at 0"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        Coordinate(
            "log_level",
            "log nats/token",
            "loss at the reference size and tokens with an even mix",
            "language models on text and code lie between 0.7 and 6 nats per token",
            general=Prior(math.log(2.6), 0.35, 0.1),
            domain=Prior(math.log(2.2), 0.4, 0.4),
        ),
        Coordinate(
            "log_size_gain",
            "log nats/token",
            "nats bought by 8 x the size around the reference",
            "Chinchilla (2404.10102 constants): 0.4 nats at 100M, 0.2 at 1B; more for tiny models",
            general=Prior(math.log(0.25), 0.7, 0.3),
            domain=Prior(math.log(0.25), 0.7, 0.4),
        ),
        Coordinate(
            "log_share_gain",
            "log nats/token",
            "nats by which the share term falls from share 0 to 1",
            "D-CPT table 5: 0.7 nats on the general loss; domain shifts reach several nats",
            general=Prior(math.log(0.6), 0.7, 0.5),
            domain=Prior(math.log(0.9), 0.7, 0.6),
        ),
        Coordinate(
            "logit_data_fraction",
            "logit",
            "C0/C: data term as a fraction of what dL/ds < 0 allows",
            "appendix E.3 asks for a fraction below 1; no fitted values are published",
            general=Prior(-1.0, 1.3, 0.7),
            domain=Prior(-0.5, 1.3, 0.7),
        ),
        Coordinate(
            "log_alpha",
            "log",
            "size exponent",
            "Chinchilla 0.35 (0.32 to 0.37 in the replication 2404.10102)",
            general=Prior(math.log(0.35), 0.4, 0.15),
            domain=Prior(math.log(0.35), 0.4, 0.2),
        ),
        Coordinate(
            "log_beta",
            "log",
            "token exponent",
            "Chinchilla 0.37 from scratch; 0.13 to 0.5 in CPT laws (2505.07796)",
            general=Prior(math.log(0.3), 0.5, 0.25),
            domain=Prior(math.log(0.3), 0.5, 0.25),
        ),
        Coordinate(
            "log_gamma",
            "log",
            "share exponent",
            "the start grid of appendix E.3 spans exponents of 0.6 to 1.6; none are published",
            general=Prior(math.log(0.5), 0.5, 0.3),
            domain=Prior(math.log(0.5), 0.5, 0.3),
        ),
        Coordinate(
            "log_eta_excess",
            "log",
            "eta - 1",
            "constraint eta > 1; the start grid of appendix E.3 has 0.6 to 1.6",
            general=Prior(math.log(0.7), 0.6, 0.3),
            domain=Prior(math.log(0.7), 0.6, 0.3),
        ),
        Coordinate(
            "log_eps",
            "log",
            "share offset",
            "'near 0.1' (appendix E.3)",
            general=Prior(math.log(0.1), 0.5, 0.3),
            domain=Prior(math.log(0.1), 0.5, 0.3),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        level, size_gain, share_gain, fraction, alpha, beta, gamma, eta_excess, eps = coordinates
        alpha, beta, gamma, eps = jnp.exp(alpha), jnp.exp(beta), jnp.exp(gamma), jnp.exp(eps)
        eta = 1.0 + jnp.exp(eta_excess)
        root = math.sqrt(SIZE_FACTOR)
        A = jnp.exp(size_gain) / drop(alpha, reference.size / root, reference.size * root)
        C = jnp.exp(share_gain) / (eps**-gamma - (1 + eps) ** -gamma)
        B = (
            jax.nn.sigmoid(fraction)
            * C
            / least_share_amplitude(
                {"B": jnp.ones(()), "eta": eta, "eps": eps, "gamma": gamma, "beta": beta},
                reference.tokens_min,
            )
        )
        theta = {"A": A, "B": B, "C": C, "alpha": alpha, "beta": beta, "gamma": gamma, "eta": eta, "eps": eps}
        middle = Point(
            size=jnp.asarray(reference.size),
            tokens=jnp.asarray(reference.tokens),
            share=jnp.asarray(MIDDLE_SHARE),
            base_loss=jnp.asarray(jnp.nan),
            base_share=base_share,
        )
        level_loss = jnp.exp(level)
        E = floor_at_zero(level_loss - self.loss({"E": jnp.zeros(()), **theta}, middle), 0.05 * level_loss)
        return {"E": E, **theta}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        size_term = theta["A"] * raised(point.size, -theta["alpha"])
        data_term = theta["B"] * power(point.share, theta["eta"]) * raised(point.tokens, -theta["beta"])
        share_term = theta["C"] * raised(point.share + theta["eps"], -theta["gamma"])
        return theta["E"] + size_term + data_term + share_term


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

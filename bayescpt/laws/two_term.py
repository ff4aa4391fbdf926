"""The two-term law of Gu et al. (2407.17467), joined over tokens, ratio and size, and started at the base."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Law, Param, Point, Prior, Reference, Scalar, Theta, power, raised
from bayescpt.laws.memory import gained

EVEN = 0.5
"""The mixture at which the effect of a mixture is read."""


class TwoTerm(Law):
    """L = L0 exp(X U + Y V) with U = 1 - (1 + d/tau)^-p, V = 1 - (1 + d/tau)^-q, p > q > 0.

    The paper writes the change of the general loss at a fixed ratio as a2 T^s2 + a3 T^s3 + b2, that of the domain loss
    as a1 T^s1 + b1, and either loss at a fixed T as a R^s + b. Here the clock starts at tau instead of 0: with T + tau
    for T the offset b2 = -a2 tau^s2 - a3 tau^s3 is no longer free and the change is 0 at T = 0, exactly; for T much
    larger than tau nothing differs from the paper's form, with s2 = -p, a2 = -X tau^p, s3 = -q, a3 = -Y tau^q. Both
    exponents are negative and ordered: both terms saturate, the first one sooner. (The published fits, with free signs
    over one decade of tokens, have exponents of both signs across sizes.) The change is that of ln L: nats over L0 to
    first order, off by half its square (1e-4 nats at the paper's rises of 0.02), and no loss can be negative.

    The amplitudes join the ratios, sizes and targets, with R = |h0 - s|, how far the mixture lies from that of the base
    (h0 = 1 for the general target, 0 for the domain: R is the domain share for both) and n = N over the reference size:

        X = +- C n^nu R^sigma + f ln(Lu/L0)                      + for the general target, - for the domain
        Y = rho - s^kappa (h C n^nu R^sigma + G n^mu) + h0 G n^mu

    - C R^sigma: what moving away from the base's mixture costs the general loss, and brings the domain loss.
    - s^kappa: the work of the target's own tokens. It heals a part h of what the general loss has lost (none of it
      without replay), and is worth G by itself. h < 1, so that dL/ds <= 0 everywhere: U >= V.
    - rho: what happens at the base's own mixture, R = 0: b of the law against R.
    - f: as in the memory law, the part of a base's distance from its usual loss Lu that fades.
    - d = sqrt(D^2 + w^2) - w: effective tokens; the warm-up's small rates count quadratically.

    With C = 0 the domain law is the paper's one term in T, and L = a R^kappa + b at any T. What is not in the paper:
    the fast part of the domain loss (C > 0), for small proxies, whose domain losses fall in two stages.
    """

    name: ClassVar[str] = "two_term"
    reference: ClassVar[str] = "Gu et al. 2024 (2407.17467), its laws in T and in R joined and started at the base"
    equation: ClassVar[str] = (
        "L = L0 exp((+-C n^nu R^sigma + f ln(Lu/L0)) [1 - (1 + d/tau)^-p] "
        "+ (rho - s^kappa (h C n^nu R^sigma + G n^mu) + h0 G n^mu) [1 - (1 + d/tau)^-q]), R = |h0 - s|"
    )
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = True
    params: ClassVar[tuple[Param, ...]] = (
        Param("f", "-", "part of a base's distance from its usual loss that fades"),
        Param("rho", "-", "log factor of the loss at the mixture of the base, after endless tokens"),
        Param("C", "-", "worth of the whole way to the other corpus in log loss, at the reference size"),
        Param("G", "-", "worth of endless own tokens in log loss, at the reference size"),
        Param("h", "-", "part of what a mixture has cost that own tokens heal"),
        Param("tau", "billion tokens", "where the clock starts"),
        Param("w", "billion tokens", "tokens of the onset, about the warm-up"),
        Param("p", "-", "exponent of the first term, -s2 of the paper"),
        Param("q", "-", "exponent of the second term, -s3 of the paper; below p"),
        Param("sigma", "-", "power of the ratio in the first term"),
        Param("kappa", "-", "power of the own share in the second term"),
        Param("nu", "-", "size exponent of C"),
        Param("mu", "-", "size exponent of G"),
        Param("size", "billion parameters", "reference size"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        Coordinate(
            "drift",
            "log",
            "log factor of the loss at the mixture of the base, at the reference tokens",
            "more of the same corpus brings little; re-warming costs 0.1 to 0.2 nats at its peak (2403.08763, Fig. 8)",
            general=Prior(-0.015, 0.025, 0.01),
            domain=Prior(0.0, 0.05, 0.05),
        ),
        Coordinate(
            "log_effect",
            "log",
            "log of the effect of an even mix: |ln L at r = 1/2 - ln L at r = 0| at the reference tokens",
            "below 0.02 of 2 nats up to R = 3/4 (2407.17467, Fig. 9) to 0.2 of 2 nats (2403.08763, table 2)",
            general=Prior(math.log(0.03), 0.9, 0.5),
            domain=Prior(math.log(0.3), 0.7, 0.5),
        ),
        Coordinate(
            "logit_ratio_fraction",
            "logit",
            "part of that effect that is the way from the base's mixture (C), the rest being own tokens (G)",
            "no amplitudes are published; wide",
            general=Prior(1.0, 1.0, 0.4),
            domain=Prior(0.0, 1.0, 0.4),
        ),
        Coordinate(
            "logit_healing",
            "logit",
            "h: part of what a mixture has cost that own tokens heal",
            "rises below 0.02 nats up to R = 3/4, turned at 20B tokens up to R = 0.3 to 0.48 (2407.17467): most heals",
            general=Prior(1.2, 0.8, 0.5),
            domain=Prior(-2.0, 0.7, 0.4),
        ),
        Coordinate(
            "log_start",
            "log",
            "tau over the reference tokens",
            "the rise happens in the first tenth of a run (recipes of 2403.08763, Fig. 3)",
            general=Prior(math.log(0.1), 0.8, 0.3),
            domain=Prior(math.log(0.15), 0.8, 0.3),
        ),
        Coordinate(
            "log_onset",
            "log",
            "w over the reference tokens",
            "warm-up is 0.5 to 5 % of a run",
            general=Prior(math.log(0.1), 0.5, 0.25),
            domain=Prior(math.log(0.15), 0.5, 0.25),
        ),
        Coordinate(
            "log_gap",
            "log",
            "log of p - q",
            "about 1: the base's memory fades as 1/D; no exponents in T are published, so wide",
            general=Prior(0.0, 0.6, 0.4),
            domain=Prior(0.3, 0.8, 0.4),
        ),
        Coordinate(
            "log_q",
            "log",
            "log of q",
            "Chinchilla 0.37 (replication 2404.10102); 0.13 to 0.5 in CPT laws (2505.07796)",
            general=Prior(math.log(0.25), 0.4, 0.1),
            domain=Prior(math.log(0.25), 0.4, 0.1),
        ),
        Coordinate(
            "log_sigma",
            "log",
            "log of sigma",
            "general losses are convex in R (2406.01375, table 5), domain losses concave (2407.17467, table 2)",
            general=Prior(math.log(1.7), 0.3, 0.15),
            domain=Prior(math.log(0.25), 0.5, 0.3),
        ),
        Coordinate(
            "log_kappa",
            "log",
            "log of kappa",
            "0.16 to 0.20 at all sizes by our fit of L = a R^s + b to 2407.17467, table 2",
            general=Prior(math.log(0.2), 0.6, 0.3),
            domain=Prior(math.log(0.18), 0.5, 0.3),
        ),
        Coordinate(
            "logit_levelling",
            "logit",
            "f: part of a base's distance from its usual loss on this corpus that fades",
            "four bases: code losses over general ones 1.72 to 1.97 before and 0.673 to 0.677 after training",
            general=Prior(0.0, 1.0, 0.5),
            domain=Prior(1.5, 1.0, 0.5),
        ),
        Coordinate(
            "ratio_size_exponent",
            "-",
            "nu: how the worth of the way to the other corpus changes with size",
            "critical ratios grow from 30 to 48 % over a 7-fold size (2407.17467); 0.1 at a fixed mix (Marin #4547)",
            general=Prior(0.0, 0.12, 0.06),
            domain=Prior(0.0, 0.12, 0.06),
        ),
        Coordinate(
            "own_size_exponent",
            "-",
            "mu: how the worth of own tokens changes with size",
            "as nu",
            general=Prior(0.0, 0.12, 0.06),
            domain=Prior(0.0, 0.12, 0.06),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        drift, effect, fraction, healing, start, onset, gap, q, sigma, kappa, levelling, nu, mu = coordinates
        shape = {
            "h": jax.nn.sigmoid(healing),
            "tau": jnp.exp(start) * reference.tokens,
            "w": jnp.exp(onset) * reference.tokens,
            "p": jnp.exp(q) + jnp.exp(gap),
            "q": jnp.exp(q),
            "sigma": jnp.exp(sigma),
            "kappa": jnp.exp(kappa),
        }
        clock = clock_of(shape, jnp.asarray(reference.tokens))
        way, work = _mixture(shape, jnp.asarray(EVEN), base_share)
        sign = 2 * base_share - 1
        by_ratio = way * jnp.abs(sign * clock.first - shape["h"] * work * clock.second)
        by_own = jnp.abs(work - base_share) * clock.second
        worth = {
            "rho": drift / clock.second,
            "C": jnp.exp(effect) * jax.nn.sigmoid(fraction) / by_ratio,
            "G": jnp.exp(effect) * jax.nn.sigmoid(-fraction) / by_own,
        }
        exponents = {"nu": nu, "mu": mu, "size": jnp.asarray(reference.size)}
        return {"f": jax.nn.sigmoid(levelling), **worth, **shape, **exponents}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        clock, worth = clock_of(theta, point.tokens), amplitudes(theta, point)
        return point.base_loss * jnp.exp(worth.first * clock.first + worth.second * clock.second)


class Pair(NamedTuple):
    """Something of the first and of the second term."""

    first: Scalar
    second: Scalar


def clock_of(theta: Theta, tokens: Scalar) -> Pair:
    """U and V after ``tokens`` billions."""
    # sqrt(D^2 + w^2) - w, written so that nothing cancels for D << w
    effective = tokens**2 / (jnp.sqrt(tokens**2 + theta["w"] ** 2) + theta["w"]) / theta["tau"]
    return Pair(gained(effective, theta["p"]), gained(effective, theta["q"]))


def amplitudes(theta: Theta, point: Point) -> Pair:
    """X and Y at the size, mixture and base of ``point``."""
    way, work = _mixture(theta, point.share, point.base_share)
    relative = point.size / theta["size"]
    lost, own = theta["C"] * raised(relative, theta["nu"]) * way, theta["G"] * raised(relative, theta["mu"])
    levelled = theta["f"] * jnp.log(point.base_usual / point.base_loss)
    second = theta["rho"] - work * theta["h"] * lost - (work - point.base_share) * own
    return Pair((2 * point.base_share - 1) * lost + levelled, second)


def turning_tokens(theta: Theta, point: Point) -> Scalar:
    """Tokens (billions) after which the loss no longer rises: 0 if it falls from the start, inf if it never turns.

    d0 = tau (X p / (-Y q))^(1/(p - q)) - tau, the paper's critical time for lambda -> infinity less the tau by which
    the clock is ahead; D0 = sqrt((d0 + w)^2 - w^2). Where a loss falls first and rises later (X < 0 < Y) it has no such
    time and the answer is inf.
    """
    first, second = (a * theta[e] for a, e in zip(amplitudes(theta, point), ("p", "q"), strict=True))
    peaks = (first > 0) & (second < 0)
    log_ratio = jnp.log(jnp.where(peaks, first, 1.0)) - jnp.log(jnp.where(peaks, -second, 1.0))
    ahead = theta["tau"] * jnp.expm1(log_ratio / (theta["p"] - theta["q"]))
    tokens = jnp.sqrt(jnp.maximum(ahead, 0.0) * (jnp.maximum(ahead, 0.0) + 2 * theta["w"]))
    falls = (first <= 0) & (second <= 0)
    return jnp.where(peaks, tokens, jnp.where(falls, 0.0, jnp.inf))


def _mixture(theta: Theta, share: Scalar, base_share: Scalar) -> tuple[Scalar, Scalar]:
    """R^sigma and s^kappa."""
    return power((2 * base_share - 1) * (base_share - share), theta["sigma"]), power(share, theta["kappa"])

"""The trajectory law of continual pre-training: learning-rate sums, annealing, and a shift of distribution."""

from __future__ import annotations

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Law, Param, Point, Prior, Reference, Scalar, Theta, raised
from bayescpt.laws.memory import gained

ANNEALED = 0.1
"""Annealing area over the reference's S1 at which the coordinate of annealing is read: a linear decay over the last
fifth of a run of up to a thousand steps has a tenth of its S1."""


class Trajectory(Law):
    """L = L0 - A (S1pt^-alpha - (S1pt + S1)^-alpha) - C2 n^g2 S2 e^(a1 s) +- B (1 - (1 + E S1)^-beta) g(r).

    Wang et al. 2025 write the loss along a run of continual pre-training as (Eq. 4; with sizes Eq. 7; with replay
    Eq. 8)

        L = L_inf + A (S1pt + S1cpt)^-alpha - C1 S2pt N^g1 - C2 S2cpt N^g2 (replay) + F N^-g3 + shift(S1cpt, replay)

    with S1 the sum of learning rates and S2 the annealing area, before (pt) and since (cpt) the base. Here L0 is the
    base's own measured loss and S1, S2 are those since the base: what the base brings along (L_inf, C1 S2pt N^g1,
    F N^-g3) is in L0, and the first term is its change from S1 = 0, so that L = L0 there exactly. Tokens enter through
    S1 and S2 alone. n = N over the reference size; s is the share of the target's own corpus, r that of the new one
    (r = s for the domain, 1 - s for the general loss). As in Eq. 7 size changes what annealing brings, nothing else.

    **The signs of Eq. 8.** The copy at hand has ``+ B (...)(1 - e^(-a2 r))`` for the general and
    ``+ B (...)(e^(a2 r) - 1)`` for the domain loss, annealing times e^(a1 s), and fitted B = 0.276, a2 = 3.238 and
    B = -0.526, a2 = 5.696 (Fig. 19). What a law of this must obey settles them:

    - r -> 0 is pre-training going on: no shift. Both factors vanish there.
    - The shift raises the loss of the corpus left and lowers that of the corpus come to: + for general, - for domain,
      with B > 0. The minus of the fitted domain constant is this sign.
    - More of a target's own corpus never raises its loss, dL/ds <= 0: the factor must rise in r, for either target.
      e^(a2 r) - 1 and 1 - e^(-a2 r) both do, so this leaves the sign of the exponent open.
    - Losses are of the size of losses: at r = 1 the factor e^(5.696) - 1 = 297 times 0.526 nats is a fall of 156 nats,
      whereas 1 - e^(-5.696) makes it 0.52, next to the 0.70 of the paper's runs without replay. So it is the latter for
      the domain loss: most of the gain comes with the first tenths of r.
    - Annealing lowers the loss, the more the larger the own share: - C2 S2 e^(a1 s), with C2, a1 > 0 and S2 >= 0.

    The limits do not tell on which side the factor is bent for the general loss, and published curves differ: with the
    constants above half of the domain does 80 % of the harm, whereas other studies find hardly any harm up to a share
    of 3/4 (2407.17467, Fig. 9) and most of it in the last tenth. So the factor is written with its value at r = 1 as
    the unit, and a2 may have either sign: g(r) = (1 - e^(-a2 r))/(1 - e^(-a2)), r itself at a2 = 0, which keeps all
    limits. B of the paper is B/(1 - e^(-a2)) here.

    The general loss rises where the shift outruns the first term, and falls when the shift has settled; as that goes
    by a power law of its own, with beta < alpha it rises again in the end. What the law does not have: own tokens (the
    first term falls alike at any share, and the fall after the peak is the same at any share), sizes in the shift, and
    a floor at 0.
    """

    name: ClassVar[str] = "trajectory"
    reference: ClassVar[str] = (
        "Wang et al. 2025, Learning Dynamics in Continual Pre-Training, arXiv 2505.07796v2, Eq. 4, 7 and 8"
    )
    equation: ClassVar[str] = (
        "L = L0 - A (S1pt^-alpha - (S1pt + S1)^-alpha) - C2 n^g2 S2 e^(a1 s) "
        "+- B (1 - (1 + E S1)^-beta)(1 - e^(-a2 r))/(1 - e^(-a2)), + for the general and - for the domain loss"
    )
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = True
    covariates: ClassVar[tuple[str, ...]] = ("lr_sum", "lr_anneal")
    params: ClassVar[tuple[Param, ...]] = (
        Param("A", "nats/token x S1^alpha", "amplitude of going on with training"),
        Param("alpha", "-", "exponent of the sum of learning rates"),
        Param("S1pt", "sum of learning rates", "that of the base's own training, as the rows see it"),
        Param("C2", "nats/token per S2", "worth of annealing without own corpus, at the reference size"),
        Param("a1", "-", "how the own share raises the worth of annealing"),
        Param("g2", "-", "size exponent of annealing"),
        Param("B", "nats/token", "shift of distribution in the end, without any of the old corpus"),
        Param("E", "1 / sum of learning rates", "how fast the shift comes"),
        Param("beta", "-", "exponent of the shift"),
        Param("a2", "-", "how the shift is bent in r: above 0 most of it comes early, below 0 late"),
        Param("size", "billion parameters", "reference size"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        Coordinate(
            "log_gain",
            "log nats/token",
            "what going on takes off up to the reference S1, at any share and without annealing",
            "A = 0.48, alpha = 0.51 (Fig. 19) at S1pt of 1 to 4 give 0.03 to 0.1 nats; proxies, hardly trained, more",
            general=Prior(math.log(0.06), 0.8, 0.4),
            domain=Prior(math.log(0.06), 0.9, 0.6),
        ),
        Coordinate(
            "log_inherited",
            "log",
            "S1pt over the reference S1",
            "longer than the continuation by its schedule, shorter where a change of rate moves losses at first: wide",
            general=Prior(0.0, 1.5, 0.5),
            domain=Prior(0.0, 1.5, 0.5),
        ),
        Coordinate(
            "log_alpha",
            "log",
            "log of alpha",
            "0.51 and 0.54 (Fig. 15 and 19)",
            general=Prior(math.log(0.5), 0.5, 0.2),
            domain=Prior(math.log(0.5), 0.5, 0.2),
        ),
        Coordinate(
            "log_annealing",
            "log nats/token",
            "what an S2 of a tenth of the reference S1 takes off, at an even mix and the reference size",
            "C2 = 0.26 to 0.28 (Fig. 19) times S2 of 0.05 to 0.2: 0.01 to 0.05 nats",
            general=Prior(math.log(0.02), 0.7, 0.4),
            domain=Prior(math.log(0.02), 0.7, 0.4),
        ),
        Coordinate(
            "log_annealing_share",
            "log",
            "log of a1",
            "0.055 and 0.037 (Fig. 19), within a factor of ten",
            general=Prior(math.log(0.1), 1.0, 0.4),
            domain=Prior(math.log(0.1), 1.0, 0.4),
        ),
        Coordinate(
            "annealing_size_exponent",
            "-",
            "g2: how the worth of annealing changes with size",
            "0.199 (Fig. 15), at sizes 100 times those of proxies",
            general=Prior(0.1, 0.15, 0.08),
            domain=Prior(0.1, 0.15, 0.08),
        ),
        Coordinate(
            "log_shift",
            "log nats/token",
            "size of the shift at an even mix and the reference S1",
            "Fig. 19: 0.13 nats (general), 0.3 (domain) at an even mix; proxies know less, their domains are farther",
            general=Prior(math.log(0.13), 0.7, 0.5),
            domain=Prior(math.log(0.6), 0.6, 0.4),
        ),
        Coordinate(
            "log_speed",
            "log",
            "log of E times the reference S1",
            "E = 12 (Fig. 15) to 100 (Fig. 19) at S1 of about 1; warm-ups of proxies are a larger part of the run",
            general=Prior(math.log(15.0), 1.2, 0.4),
            domain=Prior(math.log(15.0), 1.2, 0.4),
        ),
        Coordinate(
            "log_beta",
            "log",
            "log of beta",
            "0.13 to 0.36 (constant rate; Fig. 15); the less, the longer the run it was fitted on",
            general=Prior(math.log(0.3), 0.7, 0.3),
            domain=Prior(math.log(0.3), 0.7, 0.3),
        ),
        Coordinate(
            "bend",
            "-",
            "a2",
            "3.2 (general) and 5.7 (domain) in Fig. 19; late harm in 2407.17467, Fig. 9",
            general=Prior(0.0, 2.5, 1.0),
            domain=Prior(5.7, 2.5, 1.2),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        gain, inherited, alpha, annealing, annealing_share, g2, shift, speed, beta, a2 = coordinates
        if reference.lr_sum is None:
            raise ValueError("the reference point has no lr_sum: expected that of a table with this column")
        summed = jnp.asarray(reference.lr_sum)
        S1pt, alpha, a1 = jnp.exp(inherited) * summed, jnp.exp(alpha), jnp.exp(annealing_share)
        E, beta = jnp.exp(speed) / summed, jnp.exp(beta)
        return {
            "A": jnp.exp(gain) * raised(S1pt, alpha) / gained(summed / S1pt, alpha),
            "alpha": alpha,
            "S1pt": S1pt,
            "C2": jnp.exp(annealing - 0.5 * a1) / (ANNEALED * summed),
            "a1": a1,
            "g2": g2,
            "B": jnp.exp(shift) / (gained(E * summed, beta) * bent(jnp.asarray(0.5), a2)),
            "E": E,
            "beta": beta,
            "a2": a2,
            "size": jnp.asarray(reference.size),
        }

    def loss(self, theta: Theta, point: Point) -> Scalar:
        summed, annealed = point.given["lr_sum"], point.given["lr_anneal"]
        # S1pt^-alpha - (S1pt + S1)^-alpha, written so that nothing cancels for S1 << S1pt
        went_on = raised(theta["S1pt"], -theta["alpha"]) * gained(summed / theta["S1pt"], theta["alpha"])
        worth = theta["C2"] * raised(point.size / theta["size"], theta["g2"]) * jnp.exp(theta["a1"] * point.share)
        new = point.base_share + (1 - 2 * point.base_share) * point.share
        shift = theta["B"] * gained(theta["E"] * summed, theta["beta"]) * bent(new, theta["a2"])
        return point.base_loss - theta["A"] * went_on - worth * annealed + (2 * point.base_share - 1) * shift


def bent(ratio: Scalar, bend: Scalar) -> Scalar:
    """(1 - e^(-a r))/(1 - e^(-a)): from 0 to 1 with r, along a straight line at a = 0."""
    return ratio * _mean_slope(bend * ratio) / _mean_slope(bend)


def _mean_slope(x: Scalar) -> Scalar:
    """(1 - e^-x)/x, with value and slope at x = 0."""
    small = jnp.abs(x) < 1e-4
    safe = jnp.where(small, 1.0, x)
    return jnp.where(small, 1 - x / 2 + x**2 / 6, -jnp.expm1(-safe) / safe)

"""The published laws of the critical mixture ratio (Gu et al. 2024, 2407.17467), run by run, kept for comparison.

Each is fitted to one run, or to the runs of one size, so none is a :class:`bayescpt.laws.base.Law` or in ``LAWS``. The
law that joins them is :class:`bayescpt.laws.two_term.TwoTerm`; :func:`bayescpt.ask.cmr.critical_ratio` and
:func:`bayescpt.ask.turning.turning_time` derive ratio and time from laws of the loss. R is the domain share throughout.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize_scalar

from bayescpt.laws.turning import Turning, turning_of

UNIT = 0.2
"""Billions of tokens in the paper's unit of T: T = 100 is 10,000 steps of 512 x 4096 tokens, 20B (section 4)."""

Tokens = float | Float[np.ndarray, "*grid"]
Values = float | Float[np.ndarray, " curve"]

EXPONENTS = np.linspace(-8.0, 40.0, 97)
"""Where the search for the exponent of a ratio law begins; the best of them is refined within its neighbours."""
LEAST_EXPONENT = 1e-6
"""The law is one of log R at s = 0, where a and b are infinite."""


class RatioLaw(NamedTuple):
    """L(R) = a R^s + b, a loss at the end of runs of one length against their ratio (section 3.2), nats per token."""

    a: float
    s: float
    b: float

    def loss(self, ratio: Tokens) -> Tokens:
        """The loss at ``ratio``, shares of domain tokens in (0, 1]."""
        return self.a * ratio**self.s + self.b


def fit_ratio_law(ratio: Float[np.ndarray, " run"], loss: Float[np.ndarray, " run"]) -> RatioLaw:
    """Least squares fit of :class:`RatioLaw`: a and b in closed form for every s, s by search within [-8, 40].

    The basis (R^s - 1)/s stays well conditioned where s is small, as it is for domain losses.

    Args:
        ratio: shares of domain tokens in (0, 1], three different ones at least.
        loss: nats per token.

    Raises ValueError on fewer ratios, on ratios out of range, and on losses that are not finite.
    """
    ratio, loss = np.asarray(ratio, dtype=float), np.asarray(loss, dtype=float)
    if ratio.shape != loss.shape or len(np.unique(ratio)) < 3:
        raise ValueError(f"three parameters need losses at three ratios at least, got {ratio.size} ratios {ratio}")
    if not ((ratio > 0) & (ratio <= 1)).all() or not np.isfinite(loss).all():
        raise ValueError(f"expected ratios in (0, 1] and finite losses, got ratios {ratio} and losses {loss}")

    def solved(exponent: float) -> tuple[float, float, float]:
        basis = np.expm1(exponent * np.log(ratio)) / exponent
        design = np.stack([basis, np.ones_like(basis)], axis=1)
        (worth, level), *_ = np.linalg.lstsq(design, loss, rcond=None)
        return float(np.sum((design @ (worth, level) - loss) ** 2)), float(worth), float(level)

    def error(exponent: float) -> float:
        return solved(_away_from_zero(exponent))[0]

    best = int(np.argmin([error(s) for s in EXPONENTS]))
    low, high = EXPONENTS[max(best - 1, 0)], EXPONENTS[min(best + 1, len(EXPONENTS) - 1)]
    found = minimize_scalar(error, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
    exponent = _away_from_zero(float(found.x))
    _, worth, level = solved(exponent)
    return RatioLaw(worth / exponent, exponent, level - worth / exponent)


def _away_from_zero(exponent: float) -> float:
    return exponent if abs(exponent) >= LEAST_EXPONENT else math.copysign(LEAST_EXPONENT, exponent)


def critical_ratio_law(tokens: Tokens, a4: float, s4: float, b3: float) -> Tokens:
    """R(T) = a4 T^s4 + b3, the critical mixture ratio after ``tokens`` (Eq. 8, constants in Table 5).

    Args:
        tokens: CPT tokens in billions, > 0; T is tokens / 0.2B.
        a4, b3: amplitude and offset, shares of domain tokens; s4: exponent.

    Returns the share as published: below 0 for few tokens and above 1 for many, as the form has no bounds.
    Raises ValueError where tokens are not positive.
    """
    return a4 * _paper_units(tokens) ** s4 + b3


def two_term_change(tokens: Tokens, a2: float, s2: float, a3: float, s3: float, b2: float) -> Tokens:
    """dL_gen(T) = a2 T^s2 + a3 T^s3 + b2, the general loss's change along a run at fixed ratio (Eq. 6), in nats per
    token.

    Args:
        tokens: CPT tokens in billions, > 0; T is tokens / 0.2B.
        a2, a3, b2: nats per token; s2, s3: exponents.

    Raises ValueError where tokens are not positive.
    """
    T = _paper_units(tokens)
    return a2 * T**s2 + a3 * T**s3 + b2


def turning_time(a2: float, s2: float, a3: float, s3: float) -> float:
    """Tokens (billions) at which :func:`two_term_change` turns from rising to falling.

    T0 = (-a2 s2 / (a3 s3))^(1 / (s3 - s2)), from d dL_gen / dT = 0: the paper's critical time for lambda -> infinity,
    where the general loss alone counts. Of two power terms one wins at small T and the other at large T, so there is
    one such point at most; it is a peak where the term with the smaller exponent rises.

    Raises ValueError where the change is monotone, or turns from falling to rising.
    """
    first, second = a2 * s2, a3 * s3
    if s2 > s3:
        first, second, s2, s3 = second, first, s3, s2
    if s2 == s3 or not (first > 0 > second):
        raise ValueError(
            "the change never turns from rising to falling: expected the term with the smaller exponent to rise "
            f"(a s > 0) and the other to fall (a s < 0), got a s = {first:g} at {s2:g} and {second:g} at {s3:g}"
        )
    return float(UNIT * (-first / second) ** (1 / (s3 - s2)))


class TwoPowers(NamedTuple):
    """a2 T^s2 + a3 T^s3, how the general loss changes along runs at fixed ratios (Eq. 6, but for its offset)."""

    a2: Values
    s2: Values
    a3: Values
    s3: Values


class OnePower(NamedTuple):
    """a1 T^s1, how the domain loss changes along runs (Eq. 5, but for its offset)."""

    a1: Values
    s1: Values


def critical_time(
    general: TwoPowers,
    domain: OnePower | None = None,
    multiplier: float = math.inf,
    first: float = UNIT,
    horizon: float = 100 * UNIT,
) -> Turning:
    """Tokens (billions) at which F = L_dom + lambda L_gen stops rising: the root of

        a1 s1 T^(s1 - 1) + lambda (a2 s2 T^(s2 - 1) + a3 s3 T^(s3 - 1)) = 0,

    the paper's implicit equation for T0, solved numerically for many runs at once. Three powers can turn twice: the
    answer is the last turn from rising to falling before the horizon (:func:`bayescpt.laws.turning.turning_of`). For
    lambda -> infinity the general loss alone counts, and :func:`turning_time` is the closed form.

    Args:
        general, domain: constants of the runs, in nats per token and with T in units of 0.2B; arrays broadcast to one
            axis of runs.
        multiplier: lambda, > 0; a finite one needs ``domain``. The paper's lie between 100 and 7000.
        first, horizon: tokens in billions between which to look; the paper's runs end at 20.

    Raises ValueError on a multiplier that is not positive, or finite without a domain law, and on impossible tokens.
    """
    if not multiplier > 0:
        raise ValueError(f"the multiplier lambda must be positive (or infinite), got {multiplier}")
    if math.isfinite(multiplier) and domain is None:
        raise ValueError(f"a finite multiplier ({multiplier:g}) weighs the domain loss: pass its law as domain")
    terms = [(general.a2, general.s2, 1.0), (general.a3, general.s3, 1.0)]
    if domain is not None and math.isfinite(multiplier):
        terms.append((domain.a1, domain.s1, 1 / multiplier))
    curves = np.broadcast_shapes((1,), *(np.shape(value) for term in terms for value in term))

    def slope(tokens: Float[np.ndarray, "*asked"]) -> Float[np.ndarray, "*grid"]:
        T = np.broadcast_to(tokens / UNIT, np.broadcast_shapes(np.shape(tokens), curves))
        return np.sum([weight * np.multiply(a, s) * T**s for a, s, weight in terms], axis=0)

    return turning_of(slope, first, horizon)


def feasible(time: Tokens, last_change: Tokens, budget: float, tolerance: float = 0.05) -> Bool[np.ndarray, "*grid"]:
    """Whether ratios are feasible (definition 2): the turn comes within the budget, at a cost within the tolerance.

    The critical mixture ratio (definition 3) is the largest one that is.

    Args:
        time: critical times T0 in billions of tokens, 0 where F falls from the start, inf where it never turns.
        last_change: change of the general loss after ``budget`` tokens, nats per token.
        budget: tokens Tmax in billions; tolerance: eps of the paper.
    """
    return np.asarray((np.asarray(time) <= budget) & (np.asarray(last_change) <= tolerance))


def _paper_units(tokens: Tokens) -> Tokens:
    if not np.all(np.asarray(tokens) > 0):
        raise ValueError(f"tokens must be positive numbers of billions, got {tokens}")
    return tokens / UNIT

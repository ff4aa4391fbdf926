"""The published CMR scaling law (Gu et al. 2024, 2407.17467): closed forms of a ratio, kept for comparison.

It is a law of the critical *ratio* per model size and domain, not of a loss, so it is no
:class:`bayescpt.laws.base.Law` and is not in ``LAWS``: nothing is fitted with it.
:func:`bayescpt.ask.cmr.critical_ratio` derives the ratio from laws of the loss.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

UNIT = 0.2
"""Billions of tokens in the paper's unit of T: T = 100 is 10,000 steps of 512 x 4096 tokens, 20B (section 4)."""

Tokens = float | Float[np.ndarray, "*grid"]


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


def _paper_units(tokens: Tokens) -> Tokens:
    if not np.all(np.asarray(tokens) > 0):
        raise ValueError(f"tokens must be positive numbers of billions, got {tokens}")
    return tokens / UNIT

"""What a law misses at a base that a question is about: as estimated, inherited from bases of similar size, or drawn;
and how it goes astray beyond the data. See model/misfit.py for what is believed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from bayescpt.fit.fit import Draws, Fit
from bayescpt.model.misfit import BEYOND_COMPUTE, BEYOND_SIZE, BEYOND_TOKENS, LEAST_SPAN, inherited, outside
from bayescpt.schema import TARGETS, Target

STEP = 1 + 1e-6
"""Factor of tokens over which a slope is taken: scales are piecewise straight in log tokens."""


def base_effect(
    fit: Fit, draws: Draws, domain: str, target: Target, size: float, base: str | None = None
) -> Float[np.ndarray, "end draw"]:
    """What the law misses at a base of this size at the first and at the last checkpoint, in nats at an even mix.

    Args:
        draws: of ``domain``.
        base: its name; without one, the only base of the table that has this size, or else a new one.
    """
    table, index = fit.table, TARGETS.index(target)
    effects = draws.base_effects[index]  # base, end, draw
    known = ~np.isnan(effects).any(axis=(1, 2))
    if base is None:
        here = np.flatnonzero(known & np.isclose(table.base_size, size, rtol=1e-9))
        base = table.bases[here[0]] if len(here) == 1 else None
    if base is not None and base in table.bases and known[table.bases.index(base)]:
        return effects[table.bases.index(base)]
    weights, scale = inherited(np.log(table.base_size[known]), float(np.log(size)))
    # one score for all sizes that were never run: they differ by their scales, not by chance, so that near ones agree
    score = fit.rng("base effect", domain, target, base or "a size never run").standard_normal((2, fit.size))
    found = np.einsum("b,bed->ed", weights, effects[known]) + scale * draws.base_sd[index] * score
    low, high = np.log(table.size.min()), np.log(table.size.max())
    side = "above" if np.log(size) > high else "below"
    lost = fit.rng("beyond size", domain, target, side).standard_normal(fit.size)
    found[1] += BEYOND_SIZE * outside(float(np.log(size)), low, high) * draws.base_sd[index] * lost
    return found


def drift(fit: Fit, draws: Draws, domain: str, target: Target) -> Float[np.ndarray, " draw"]:
    """Which way the law goes astray beyond the data, in nats at an even mix and in units of :func:`drift_scale`."""
    return draws.base_sd[TARGETS.index(target)] * fit.rng("beyond tokens", domain, target).standard_normal(fit.size)


def drift_scale(
    fit: Fit, size: Float[np.ndarray, "*of_size"] | float, tokens: Float[np.ndarray, "*of_tokens"] | float
) -> Float[np.ndarray, "*joint"]:
    """How far the law has gone astray at ``tokens``, in units of base_sd: 0 where tokens (and compute) were seen.

    max(BEYOND_TOKENS d(tokens), BEYOND_COMPUTE d(size x tokens)), with d the distance beyond the table in spans of it;
    the second for laws of training from scratch alone.
    """
    table = fit.table
    far = BEYOND_TOKENS * _above(tokens, table.tokens)
    if not fit.model.law.from_scratch:
        return np.broadcast_to(far, np.broadcast_shapes(np.shape(size), np.shape(tokens)))
    compute = np.asarray(size, float) * np.asarray(tokens, float)
    return np.asarray(np.maximum(far, BEYOND_COMPUTE * _above(compute, table.size * table.tokens)))


def drift_rate(
    fit: Fit, size: Float[np.ndarray, "*of_size"] | float, tokens: Float[np.ndarray, "*of_tokens"] | float
) -> Float[np.ndarray, "*joint"]:
    """Derivative of :func:`drift_scale` by log tokens; where it begins to grow, 0."""
    return np.asarray(
        (drift_scale(fit, size, tokens) - drift_scale(fit, size, np.asarray(tokens) / STEP)) / np.log(STEP)
    )


def _above(value: Float[np.ndarray, "*shape"] | float, seen: Float[np.ndarray, " row"]) -> Float[np.ndarray, "*shape"]:
    """How far ``value`` exceeds what was seen, in spans of the logarithm."""
    low, high = np.log(seen.min()), np.log(seen.max())
    return np.asarray(np.maximum(np.log(value) - high, 0.0) / max(high - low, LEAST_SPAN))

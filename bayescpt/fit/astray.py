"""What a law misses at a base that a question is about: as estimated, inherited from bases of similar size, or drawn;
and how it goes astray beyond the data. See model/misfit.py for what is believed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from bayescpt.fit.fit import Draws, Fit
from bayescpt.model.misfit import BEYOND_SIZE, BEYOND_TOKENS, inherited, outside
from bayescpt.schema import TARGETS, Target


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
    score = fit.rng("base effect", domain, target, base or repr(float(size))).standard_normal((2, fit.size))
    found = np.einsum("b,bed->ed", weights, effects[known]) + scale * draws.base_sd[index] * score
    low, high = np.log(table.size.min()), np.log(table.size.max())
    side = "above" if np.log(size) > high else "below"
    lost = fit.rng("beyond size", domain, target, side).standard_normal(fit.size)
    found[1] += BEYOND_SIZE * outside(float(np.log(size)), low, high) * draws.base_sd[index] * lost
    return found


def token_drift(fit: Fit, draws: Draws, domain: str, target: Target) -> Float[np.ndarray, " draw"]:
    """By how much the law goes astray over one span of the table's tokens beyond its last, nats at an even mix."""
    score = fit.rng("beyond tokens", domain, target).standard_normal(fit.size)
    return BEYOND_TOKENS * draws.base_sd[TARGETS.index(target)] * score


def token_distance(fit: Fit, tokens: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"]:
    """How far ``tokens`` lie beyond the table's last checkpoint, in spans of log tokens."""
    low, high = np.log(fit.table.tokens.min()), np.log(fit.table.tokens.max())
    return np.vectorize(lambda value: outside(max(value, low), low, high))(np.log(tokens))

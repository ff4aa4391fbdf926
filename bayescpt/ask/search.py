"""The largest ratio that qualifies, and the ratio of least loss, for every draw at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

Value = Callable[[Float[np.ndarray, "*grid"]], Float[np.ndarray, "*grid"]]

GRID = np.linspace(0.0, 1.0, 129)
CLOSE = 5e-10
"""Half of the width of the bracket that a ratio is looked for within."""
PULL = 0.2
"""How far towards the middle a probe is moved, in squares of the bracket's width over the first one's: kappa_1."""
SPARE = 4
"""Probes more than bisection's that the worst case may take: n_0. With fewer, sharp bends take it more often."""
GOLDEN = (math.sqrt(5) - 1) / 2
SECTIONS = 36
AT_AN_END = 1e-6
"""Ratio within which a minimum counts as lying at an end of the range."""


def largest_ratio(
    slack: Value,
) -> tuple[Float[np.ndarray, " draw"], Bool[np.ndarray, " draw"], Bool[np.ndarray, " draw"]]:
    """Largest ratio in [0, 1] at which ``slack`` is at least 0, per draw; and whether at none or at every ratio it is.

    ``slack`` maps ratios of shape (grid, 1) or (draw,) to values of shape (grid, draw) or (draw,); what is no number
    does not qualify. No monotonicity is assumed beyond the grid of 1/128: the largest qualifying grid point is refined
    towards its neighbour, to 1e-9, by :func:`_crossing`. Where none qualifies the value is 0.
    """
    on_grid = slack(GRID[:, None])
    if on_grid.dtype == bool:
        raise TypeError("expected values that are at least 0 where a ratio qualifies, got true and false")
    good = on_grid >= 0
    none, every = np.asarray(~good.any(axis=0)), np.asarray(good.all(axis=0))
    last = np.where(none, 0, len(GRID) - 1 - np.argmax(good[::-1], axis=0))
    after = np.where(none, 0, np.minimum(last + 1, len(GRID) - 1))
    draws = np.arange(on_grid.shape[1])
    low = _crossing(slack, GRID[last], GRID[after], on_grid[last, draws], on_grid[after, draws])
    return np.where(none, 0.0, np.where(good[-1], 1.0, low)), none, every


def _crossing(
    slack: Value,
    low: Float[np.ndarray, " draw"],
    high: Float[np.ndarray, " draw"],
    at_low: Float[np.ndarray, " draw"],
    at_high: Float[np.ndarray, " draw"],
) -> Float[np.ndarray, " draw"]:
    """A ratio of the bracket at which ``slack`` is at least 0, with one less than 2 ``CLOSE`` above it where it is not.

    The ITP method (Oliveira and Takahashi 2020, doi:10.1145/3423597) with kappa_2 = 2: the secant's crossing, moved
    towards the middle of the bracket and never farther from it than leaves bisection's worst case plus ``SPARE``
    probes. A smooth ``slack`` takes eight where bisection takes 23. Probes end when every draw is there; where a value
    is infinite or no number, halves are taken.
    """
    width = float(np.max(high - low))
    most = math.ceil(math.log2(width / (2 * CLOSE))) + SPARE if width > 2 * CLOSE else 0
    for probe in range(most):
        half = 0.5 * (high - low)
        if np.all(half <= CLOSE):
            break
        middle = 0.5 * (low + high)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            secant = (at_low * high - at_high * low) / (at_low - at_high)
        secant = np.where(np.isfinite(secant), np.clip(secant, low, high), middle)
        away = middle - secant
        # at least CLOSE, so that a crossing met by rounding is bracketed by the next probe
        pull = np.minimum(np.maximum(PULL * (high - low) ** 2 / width, CLOSE), np.abs(away))
        pulled = secant + np.sign(away) * pull
        reach = np.maximum(CLOSE * 2.0 ** (most - probe) - half, 0.0)
        place = np.clip(pulled, middle - reach, middle + reach)
        found = slack(place)
        good = found >= 0
        low, high = np.where(good, place, low), np.where(good, high, place)
        at_low, at_high = np.where(good, found, at_low), np.where(good, at_high, found)
    return low


def least(
    loss: Value, grid: Float[np.ndarray, " grid"]
) -> tuple[Float[np.ndarray, " draw"], Bool[np.ndarray, " draw"], Bool[np.ndarray, " draw"]]:
    """Ratio of least ``loss`` between the ends of ``grid``, per draw; and whether it is the first or the last of them.

    ``loss`` maps ratios of shape (grid, 1) or (draw,) to losses of shape (grid, draw) or (draw,). The least grid point
    is refined between its neighbours by golden section, to 1e-9 of a grid step or what rounding leaves of a flat
    minimum; no convexity is assumed beyond the grid.

    Raises ValueError where a loss is not a number, or infinite throughout.
    """
    on_grid = loss(grid[:, None])
    if np.isnan(on_grid).any() or not np.isfinite(on_grid.min(axis=0)).all():
        raise ValueError("a loss is no number somewhere in the range of ratios: look at the draws of the fit")
    best = np.argmin(on_grid, axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(SECTIONS):
        # the half that is kept brings one of its two inner points along
        keep = at_left < at_right
        low, high = np.where(keep, low, left), np.where(keep, right, high)
        probe = np.where(keep, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_probe = loss(probe)
        left, right = np.where(keep, probe, right), np.where(keep, left, probe)
        at_left, at_right = np.where(keep, at_probe, at_right), np.where(keep, at_left, at_probe)
    value = 0.5 * (low + high)
    inside = loss(value)
    first = (value - grid[0] < AT_AN_END) | (on_grid[0] < inside)
    last = ~first & ((grid[-1] - value < AT_AN_END) | (on_grid[-1] < inside))
    return np.where(first, grid[0], np.where(last, grid[-1], value)), first, last

"""The largest ratio that qualifies, and the ratio of least loss, for every draw at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

Value = Callable[[Float[np.ndarray, "*grid"]], Float[np.ndarray, "*grid"]]
Qualifies = Callable[[Float[np.ndarray, "*grid"]], Bool[np.ndarray, "*grid"]]

GRID = np.linspace(0.0, 1.0, 129)
HALVINGS = 24
GOLDEN = (math.sqrt(5) - 1) / 2
SECTIONS = 36
AT_AN_END = 1e-6
"""Ratio within which a minimum counts as lying at an end of the range."""


def largest_ratio(
    qualifies: Qualifies,
) -> tuple[Float[np.ndarray, " draw"], Bool[np.ndarray, " draw"], Bool[np.ndarray, " draw"]]:
    """Largest ratio in [0, 1] at which ``qualifies`` holds, per draw; and whether none or every ratio does.

    ``qualifies`` maps ratios of shape (grid, 1) or (draw,) to booleans of shape (grid, draw) or (draw,). No
    monotonicity is assumed beyond the grid of 1/128: the largest qualifying grid point is refined towards its
    neighbour by bisection to 5e-10. Where none qualifies the value is 0.
    """
    on_grid = qualifies(GRID[:, None])
    none, every = np.asarray(~on_grid.any(axis=0)), np.asarray(on_grid.all(axis=0))
    last = np.where(none, 0, len(GRID) - 1 - np.argmax(on_grid[::-1], axis=0))
    low, high = GRID[last], GRID[np.minimum(last + 1, len(GRID) - 1)]
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        good = qualifies(middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return np.where(none, 0.0, np.where(on_grid[-1], 1.0, low)), none, every


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

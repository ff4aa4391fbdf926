"""When a loss stops rising: the last turn of a slope from rising to falling, for many curves at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

Slope = Callable[[Float[np.ndarray, "*asked"]], Float[np.ndarray, "*grid"]]

STEPS = 129
"""Places at which the slope is looked at before bisection."""
HALVINGS = 40


class Turning(NamedTuple):
    """By curve: the tokens after which it no longer rises up to a horizon."""

    tokens: Float[np.ndarray, " curve"]
    """inf where it still rises at the horizon, 0 where it falls all the way"""
    none: Bool[np.ndarray, " curve"]
    """it still rises at the horizon"""
    start: Bool[np.ndarray, " curve"]
    """it falls all the way"""


def turning_of(slope: Slope, first: float, horizon: float) -> Turning:
    """The last change of sign of ``slope`` from positive to not positive between ``first`` and ``horizon`` tokens.

    ``slope`` maps tokens of shape (grid, 1) or (curve,) to slopes of shape (grid, curve) or (curve,); only its sign
    counts. The slope is looked at on a grid of 129 tokens, even in their logarithm, and the last turn on it is refined
    by bisection to a relative 1e-10; two turns between neighbours of the grid are not seen. For a curve with one
    maximum this is it, and T0 <= T is the same as slope(T) <= 0; for any other the slope is not positive from T0 on.

    Raises ValueError unless 0 < first < horizon < inf.
    """
    if not (0 < first < horizon < np.inf):
        raise ValueError(f"expected tokens 0 < first < horizon, both finite, got first {first} and horizon {horizon}")
    grid = np.geomspace(first, horizon, STEPS)
    rises = np.asarray(slope(grid[:, None])) > 0
    none, start = np.array(rises[-1]), np.asarray(~rises.any(axis=0))
    last = np.where(start | none, 0, STEPS - 1 - np.argmax(rises[::-1], axis=0))
    low, high = np.log(grid[last]), np.log(grid[np.minimum(last + 1, STEPS - 1)])
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        up = np.asarray(slope(np.exp(middle))) > 0
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return Turning(np.where(none, np.inf, np.where(start, 0.0, np.exp(high))), none, start)

"""The largest ratio that qualifies, for every draw at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

Qualifies = Callable[[Float[np.ndarray, "*grid"]], Bool[np.ndarray, "*grid"]]

GRID = np.linspace(0.0, 1.0, 129)
HALVINGS = 24


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

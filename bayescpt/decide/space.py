"""What may be chosen: the settings of one final run, as a table of actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayescpt.ask.losses import check_setting
from bayescpt.data.table import Table

RATIOS = 129
"""Ratios from 0 to 1: steps of 1/128."""
FLOPS_PER_TOKEN = 6.0
"""C = 6 N D: forward and backward pass by parameters, as everywhere in this field."""
SIZES = 25
COLUMNS = ("size", "tokens", "ratio")


def grid_of_ratios(count: int = RATIOS) -> np.ndarray:
    """Evenly spaced ratios, both ends among them."""
    return np.linspace(0.0, 1.0, count)


def ratios(size: float, tokens: float, ratio: Sequence[float] | None = None) -> pd.DataFrame:
    """Ratios at one size and token budget.

    Args:
        ratio: those that are on offer; all from 0 to 1 in steps of 1/128 without.

    Examples:
        >>> from bayescpt.decide import ratios
        >>> ratios(size=1.5e9, tokens=20e9, ratio=[0.1, 0.3])
                   size        tokens  ratio
        0  1.500000e+09  2.000000e+10    0.1
        1  1.500000e+09  2.000000e+10    0.3
    """
    check_setting(size, tokens)
    offered = grid_of_ratios() if ratio is None else checked_ratios(ratio)
    return _frame(size=float(size), tokens=float(tokens), ratio=offered)


def domain_limited(size: float, domain_tokens: float, ratio: Sequence[float] | None = None) -> pd.DataFrame:
    """Ratios of runs that read ``domain_tokens`` once each: D = D_d / r, so that a small share makes a long run.

    Raises ValueError on impossible settings, a ratio of 0 among them.

    Examples:
        >>> from bayescpt.decide import domain_limited
        >>> domain_limited(size=1.5e9, domain_tokens=2e9, ratio=[0.1, 0.5])
                   size        tokens  ratio
        0  1.500000e+09  2.000000e+10    0.1
        1  1.500000e+09  4.000000e+09    0.5
    """
    check_setting(size, domain_tokens)
    offered = grid_of_ratios()[1:] if ratio is None else checked_ratios(ratio)
    if (offered == 0).any():
        raise ValueError("at a ratio of 0 no run reads the domain tokens: leave it out")
    return _frame(size=float(size), tokens=domain_tokens / offered, ratio=offered)


def under_compute(
    flops: float, table: Table, sizes: Sequence[float] | None = None, ratio: Sequence[float] | None = None
) -> pd.DataFrame:
    """Sizes and ratios that spend ``flops``: D = C / (6 N) (D-CPT's usage 3, and jointly with the ratio).

    Args:
        sizes: those of the bases at hand; without, 25 from the table's smallest to ten times its largest. Those stay
            whose run is at least as long as the table's first checkpoint.

    Raises ValueError where no run is that long, and on impossible settings.

    Examples:
        >>> from bayescpt.decide import under_compute
        >>> under_compute(6e12, table, sizes=[1e6, 1e7], ratio=[0.5])
                 size     tokens  ratio
        0   1000000.0  1000000.0    0.5
        1  10000000.0   100000.0    0.5
    """
    if not (np.isfinite(flops) and flops > 0):
        raise ValueError(f"expected a positive number of FLOPs to spend, got {flops}")
    if sizes is None:
        offered = np.geomspace(table.size.min(), 10 * table.size.max(), SIZES)
    else:
        offered = np.asarray(list(sizes), dtype=float)
        for one in offered:
            check_setting(one, flops)
    long_enough = flops / (FLOPS_PER_TOKEN * offered) >= table.tokens.min()
    if not long_enough.any():
        least = FLOPS_PER_TOKEN * offered.min() * table.tokens.min()
        raise ValueError(
            f"{flops:.3g} FLOPs do not pay for a run as long as the table's first checkpoint at the smallest size "
            f"({least:.3g}): spend more, or name smaller sizes"
        )
    offered = offered[long_enough]
    shares = grid_of_ratios(33) if ratio is None else checked_ratios(ratio)
    size, share = (axis.ravel() for axis in np.meshgrid(offered, shares, indexing="ij"))
    return _frame(size=size, tokens=flops / (FLOPS_PER_TOKEN * size), ratio=share)


def check_actions(actions: pd.DataFrame) -> None:
    """Raise ValueError unless actions are settings of runs, at least one of them."""
    missing = [name for name in COLUMNS if name not in actions]
    if missing:
        raise ValueError(f"actions have no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
    if actions.empty:
        raise ValueError("there is nothing to choose from: expected at least one action")
    checked_ratios(actions["ratio"].to_list())
    for size, tokens in actions[["size", "tokens"]].drop_duplicates().itertuples(index=False):
        check_setting(size, tokens)


def checked_ratios(values: Sequence[float]) -> np.ndarray:
    """Ratios as an array. Raises ValueError unless there is one, and all lie in [0, 1]."""
    found = np.asarray(list(values), dtype=float)
    if not len(found) or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"expected ratios within [0, 1], at least one; got {list(values)}")
    return found


def _frame(**columns: float | np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(columns)[list(COLUMNS)].reset_index(drop=True)

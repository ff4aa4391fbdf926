"""The posterior of a ratio: a histogram inside [0, 1] and, at its ends, the probability that sits on them."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from bayescpt.report import plots

BINS = 100
WIDTH = 0.03
"""Width of the bars at the ends, in ratio; they stand outside [0, 1]."""
ROOM = 0.075
"""Ratio beyond the ends that the axis shows."""


def posterior_panel(axes: Axes, answer: xr.Dataset, colour: str = plots.RATIO, filled: bool = True) -> Axes:
    """Posterior of a largest ratio (ask/answer.py) as probabilities that sum to 1.

    Steps: probability of each hundredth of [0, 1] among draws with a ratio inside. Hatched bars beyond the ends: of the
    draws in which no ratio qualifies (left of 0) and in which every one does (right of 1). Upright line: the median.

    Args:
        answer: one or several may be drawn into the same axes, each in a ``colour`` of its own.
        filled: else the outline alone, so that another posterior beneath is seen.
    """
    value, none, every = (answer[name].values for name in ("value", "none", "every"))
    inside = value[~none & ~every]
    heights, edges = np.histogram(inside, bins=BINS, range=(0.0, 1.0))
    if filled:
        axes.stairs(heights / len(value), edges, color=colour, fill=True, alpha=plots.BAR)
    axes.stairs(heights / len(value), edges, color=colour, linewidth=1.6)
    for at, share in ((-ROOM / 2, none.mean()), (1 + ROOM / 2, every.mean())):
        if share > 0:
            axes.bar(at, share, WIDTH, color=colour, alpha=plots.BAR, hatch="///", edgecolor="white", linewidth=0)
    axes.axvline(float(np.median(value)), color=colour, linewidth=1.4, linestyle="--")
    axes.set_xlim(-ROOM, 1 + ROOM)
    axes.set_ylim(bottom=0)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.set_xlabel("share of domain data (%)", fontsize=plots.LABEL)
    axes.set_ylabel("probability (%)", fontsize=plots.LABEL)
    return axes

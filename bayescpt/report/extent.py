"""A map of what is extrapolation: the rows in the plane of size and tokens, and the run that is asked about."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bayescpt.data.table import Table
from bayescpt.report import plots
from bayescpt.report.units import count


def extent_panel(axes: Axes, table: Table, size: float, tokens: float) -> Axes:
    """Size against tokens, both on log axes: dots where the table has rows, a star at the run that is asked about.

    Tinted: the range of the rows, within which the law interpolates.

    Args:
        size: parameters; tokens: of the run.
    """
    places = np.unique(np.stack([table.tokens, table.size], axis=1), axis=0)
    (left, low), (right, high) = places.min(axis=0), places.max(axis=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.add_patch(
        Rectangle((left, low), right - left, high - low, color=plots.LAW, alpha=plots.LIGHT, linewidth=0, zorder=0)
    )
    axes.plot(places[:, 0], places[:, 1], "o", color=plots.MEASURED, markersize=4, alpha=0.6, zorder=2)
    axes.plot([right, tokens], [high, size], color=plots.BUDGET, linewidth=1, linestyle="--", zorder=1)
    axes.plot(tokens, size, "*", color=plots.BUDGET, markersize=17, zorder=3)
    axes.set_xlim(*_with_room(min(left, tokens), max(right, tokens)))
    axes.set_ylim(*_with_room(min(low, size), max(high, size)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if axis is axes.yaxis else (1, 3), numticks=8))
        axis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("CPT tokens (log scale)", fontsize=plots.LABEL)
    axes.set_ylabel("non-embedding parameters\n(log scale)", fontsize=plots.LABEL)
    return axes


def _with_room(first: float, last: float) -> tuple[float, float]:
    """Limits of a log axis around a span, which may be a point."""
    room = max((last / first) ** 0.08, 1.3)
    return first / room, last * room

"""The Pareto front of general against domain loss, with bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from bayescpt.report import plots

MARKS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Ratios at which intervals are drawn and named."""
CLEAR = (0.12, 0.07)
"""Width and height of a name, as parts of the axes."""
EFFICIENT = 0.5
"""Probability of being efficient from which a mark is filled."""


def front_panel(
    axes: Axes,
    front: xr.Dataset,
    since: float = 0.0,
    until: float = 1.0,
    base: float | None = None,
    limit: float | None = None,
    chosen: float | None = None,
) -> Axes:
    """Domain loss against general loss over ratios (decide/front.py), nats per token.

    Line: medians over ratios. Crosses at some ratios: 90 % intervals of either expected loss; filled where no other
    ratio is better in both with a probability of at least a half. Star: the ratio nearest to ``chosen``.

    Args:
        since, until: ratios that the axes have to hold: towards 0 the domain loss leaves every scale, towards 1 the
            general loss.
        base: general loss of the base; limit: the general loss that a budget allows.
    """
    ratio = front["ratio"].values
    general, domain = (front[name].transpose("quantile", "ratio").values for name in ("general", "domain"))
    axes.plot(general[1], domain[1], color=plots.BASE, linewidth=1.2, zorder=1)
    shown = (ratio >= since - 1e-9) & (ratio <= until + 1e-9)
    marks = [at for mark in MARKS if shown[at := int(np.abs(ratio - mark).argmin())]]
    for at in marks:
        _cross(axes, general[:, at], domain[:, at], ratio[at], bool(front["p_efficient"][at] >= EFFICIENT))
    if chosen is not None:
        at = int(np.abs(ratio - chosen).argmin())
        axes.plot(general[1, at], domain[1, at], "*", color=plots.BUDGET, markersize=15, zorder=4)
    for value, colour, stroke in ((base, plots.BASE, ":"), (limit, plots.BUDGET, "--")):
        if value is not None:
            axes.axvline(value, color=colour, linestyle=stroke, linewidth=1.5, zorder=0)
    _limits(axes.set_xlim, general[:, shown], (base, limit))
    _limits(axes.set_ylim, domain[:, shown], ())
    _names(axes, general[1, marks], domain[1, marks], ratio[marks])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("general loss (nats/token)", fontsize=plots.LABEL)
    axes.set_ylabel("domain loss (nats/token)", fontsize=plots.LABEL)
    return axes


def _cross(axes: Axes, general: np.ndarray, domain: np.ndarray, ratio: float, efficient: bool) -> None:
    colour = plots.ratio_colour(ratio)
    axes.plot(general[[0, 2]], domain[[1, 1]], color=colour, linewidth=1.4, alpha=plots.BAR, zorder=2)
    axes.plot(general[[1, 1]], domain[[0, 2]], color=colour, linewidth=1.4, alpha=plots.BAR, zorder=2)
    face = colour if efficient else "white"
    axes.plot(general[1], domain[1], "o", color=colour, markerfacecolor=face, markersize=6, zorder=3)


def _names(axes: Axes, general: np.ndarray, domain: np.ndarray, ratio: np.ndarray) -> None:
    """Ratios beside their marks, but for those whose name would cover the last one."""
    last: np.ndarray | None = None
    for x, y, share in zip(general, domain, ratio, strict=True):
        place = (axes.transData + axes.transAxes.inverted()).transform((x, y))
        if last is not None and (np.abs(place - last) < CLEAR).all():
            continue
        last = place
        text = f"{share:.0%}".replace("%", " %")
        halo = [withStroke(linewidth=2.5, foreground="white")]
        axes.annotate(text, (x, y), (6, 5), textcoords="offset points", fontsize=9, path_effects=halo, zorder=5)


def _limits(set_limits: Any, values: np.ndarray, others: tuple[float | None, ...]) -> None:
    seen = np.append(values.ravel(), [value for value in others if value is not None])
    low, high = float(seen.min()), float(seen.max())
    room = 0.06 * (high - low) if high > low else 0.1
    set_limits(low - room, high + 2 * room)

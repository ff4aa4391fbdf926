"""Drawing only: a panel takes matplotlib axes and the numbers to show, and gives the axes back.

Colours are those of Okabe and Ito (2008) and the map viridis, which people with any colour vision can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from bayescpt.ask import summary
from bayescpt.report.units import count
from bayescpt.schema import Target

LAW, BUDGET, RATIO, CRITICAL = "#0072B2", "#D55E00", "#E69F00", "#009E73"
MEASURED, BASE = "#222222", "#555555"
LABEL = 11
"""Points of the axis labels."""
SHARES_A_LINE = 6
"""Of the key of a token panel."""
DARK, LIGHT, BAR = 0.35, 0.15, 0.7
"""Opacity of the band of the expected loss, of that of a new run, and of the bars of the answers."""


def ratio_colour(ratio: float) -> Any:
    """The colour of a ratio in [0, 1]; the pale end of viridis is left out, for it is hard to see on white."""
    return colormaps["viridis"](0.9 * ratio)


def draw_curve(axes: Axes, x: Any, curve: pd.DataFrame, colour: Any) -> Axes:
    """Posterior median, 90 % band of the expected loss (dark) and of a new run (light), nats per token, over ``x``."""
    axes.fill_between(x, curve["pred_q05"], curve["pred_q95"], color=colour, alpha=LIGHT, linewidth=0)
    axes.fill_between(x, curve["q05"], curve["q95"], color=colour, alpha=DARK, linewidth=0)
    axes.plot(x, curve["q50"], color=colour, linewidth=1.6)
    return axes


def draw_base(axes: Axes, base_loss: float, max_forgetting: float | None) -> Axes:
    """The base's loss as a dotted line and, where a budget is given, the loss that it allows as a dashed one."""
    axes.axhline(base_loss, color=BASE, linestyle=":", linewidth=1.5)
    if max_forgetting is not None:
        axes.axhline(base_loss + max_forgetting, color=BUDGET, linestyle="--", linewidth=1.5)
    return axes


def ratio_panel(axes: Axes, rows: pd.DataFrame, curve: pd.DataFrame, tokens: float, target: Target) -> Axes:
    """Loss against ratio after ``tokens`` tokens.

    Args:
        rows: measured at those tokens, columns ratio and loss; curve: columns ratio and those of the posterior summary.
    """
    draw_curve(axes, curve["ratio"], curve, LAW)
    axes.plot(rows["ratio"], rows["loss"], "o", color=MEASURED, markersize=4.5, zorder=3)
    axes.set_xlim(-0.02, 1.02)
    # Towards 100 % the general loss leaves every scale on which the rest could still be read.
    seen = curve[curve["ratio"] <= max(0.5, float(rows["ratio"].max()) if len(rows) else 1.0) + 0.02]
    low = min(float(seen["pred_q05"].min()), float(rows["loss"].min()) if len(rows) else np.inf)
    high = max(float(seen["pred_q95"].max()), float(rows["loss"].max()) if len(rows) else -np.inf)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    axes.set_xlabel("share of domain data (%)", fontsize=LABEL)
    axes.set_ylabel(f"{target} loss at {count(tokens)} tokens\n(nats/token)", fontsize=LABEL)
    return axes


def intervals_on_ratio(axes: Axes, ratio: xr.Dataset, critical: xr.Dataset) -> Axes:
    """Two bars at the foot of a ratio panel: 90 % interval of the optimal ratio and of the CMR, medians as ticks."""
    low, high = axes.get_ylim()
    # Room below the curves, so that the bars hide nothing.
    foot = low - 0.18 * (high - low)
    axes.set_ylim(foot, high)
    transform = axes.get_xaxis_transform()
    for place, answer, colour, stroke in ((0.09, ratio, RATIO, "-"), (0.025, critical, CRITICAL, "--")):
        said = summary(answer)
        # A posterior that sits on one value still has to be seen.
        ends = [said["q05"], max(said["q95"], said["q05"] + 0.005)]
        top = place + 0.05
        axes.fill_between(ends, place, top, transform=transform, color=colour, alpha=BAR, linewidth=0)
        middle = [said["q50"]] * 2
        axes.plot(middle, [place, top], transform=transform, color=MEASURED, linewidth=2)
        axes.plot(middle, [top, 1], transform=transform, color=colour, linestyle=stroke, linewidth=1.2, zorder=0)
    return axes


def token_panel(axes: Axes, rows: pd.DataFrame, curves: pd.DataFrame, target: Target) -> Axes:
    """Loss against tokens on a log axis, one colour a ratio.

    Args:
        rows: measured, columns run_ratio, tokens and loss; curves: columns ratio, tokens and those of the summary.
    """
    for ratio, curve in curves.groupby("ratio"):
        colour = ratio_colour(float(ratio))
        draw_curve(axes, curve["tokens"], curve, colour)
        mine = rows[np.isclose(rows["run_ratio"], float(ratio))]
        axes.plot(mine["tokens"], mine["loss"], "o", color=colour, markersize=3.5, zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("CPT tokens (log scale)", fontsize=LABEL)
    axes.set_ylabel(f"{target} loss\n(nats/token)", fontsize=LABEL)
    return axes


def share_key(axes: Axes, ratios: Sequence[float]) -> Axes:
    """Above a token panel, what share of domain data each colour is."""
    lines = [Line2D([], [], color=ratio_colour(r), linewidth=4, label=f"{r:.0%}".replace("%", " %")) for r in ratios]
    columns = min(len(lines), SHARES_A_LINE)
    axes.legend(
        handles=lines,
        ncols=columns,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        frameon=False,
        fontsize=9,
        handlelength=0.8,
        handletextpad=0.4,
        columnspacing=0.9,
    )
    return axes

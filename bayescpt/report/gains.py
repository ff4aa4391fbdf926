"""What candidate runs would bring against what they cost."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from bayescpt.design import NextRuns
from bayescpt.report import plots


def gains_panel(axes: Axes, found: NextRuns) -> Axes:
    """Gain of every candidate alone against its cost on a log axis, coloured by ratio; rings: the runs chosen.

    The gain is in the unit of the acquisition, nats per token of expected regret for the default one.
    """
    table = found.candidates
    colours = [plots.ratio_colour(float(ratio)) for ratio in table["ratio"]]
    axes.scatter(table["cost"], table["gain"], c=colours, s=22, zorder=2)
    for place, run in enumerate(found.chosen.itertuples(), 1):
        cost, alone = _alone(found, run)
        axes.plot(cost, alone, "o", markersize=13, markerfacecolor="none", color=plots.BUDGET, mew=2, zorder=3)
        # to either side in turn: runs that differ by their seed alone lie on one another
        aside = (8, 6) if place % 2 else (-14, 6)
        axes.annotate(str(place), (cost, alone), aside, textcoords="offset points", color=plots.BUDGET)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=8))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=min(0.0, float(table["gain"].min())))
    axes.set_xlabel("cost of the run (FLOPs, log scale)", fontsize=plots.LABEL)
    axes.set_ylabel(f"gain of the run alone\n({found.unit})", fontsize=plots.LABEL)
    return axes


def _alone(found: NextRuns, run: object) -> tuple[float, float]:
    """Cost and gain of a chosen run before any other was chosen."""
    table = found.candidates
    same = np.ones(len(table), bool)
    for name in ("domain", "size", "ratio", "tokens", "seed", "trunk_ratio"):
        same &= (table[name] == getattr(run, name)).to_numpy()
    alone = table[same].iloc[0]
    return float(alone["cost"]), float(alone["gain"])

"""Intervals of one ratio in several domains side by side, with what the population says of a domain never seen."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from bayescpt.ask import summary
from bayescpt.report import plots
from bayescpt.report.units import percent

APART = 0.19
"""Distance of the two bars of a domain from its line, in lines."""
THICK = 0.3
ROOM = 0.16
"""Ratio on either side of [0, 1] that is left for the probabilities of the ends."""


def intervals_panel(
    axes: Axes,
    ratio: Mapping[str, xr.Dataset],
    critical: Mapping[str, xr.Dataset],
    population: tuple[xr.Dataset, xr.Dataset] | None = None,
    marked: tuple[str, ...] = (),
) -> Axes:
    """90 % intervals and medians of the optimal ratio (upper bar) and of the CMR (lower bar) by domain.

    Beside [0, 1] stands how probable it is that no ratio (left) or every ratio (right) qualifies, where it is.

    Args:
        ratio, critical: answers by domain, drawn from the top.
        population: both answers for a domain that the table does not have, drawn as a band over all and as the last
            line.
        marked: domains whose names are bold.
    """
    names = list(ratio)
    pairs = [(ratio[name], critical[name]) for name in names]
    if population is not None:
        said = summary(population[0])
        axes.axvspan(said["q05"], said["q95"], color=plots.RATIO, alpha=plots.LIGHT, linewidth=0, zorder=0)
        axes.axvline(said["q50"], color=plots.RATIO, linewidth=1, linestyle=":", zorder=0)
        pairs.append(population)
        axes.axhline(len(names) - 0.5, color=plots.BASE, linewidth=0.8)
    for place, pair in enumerate(pairs):
        for answer, shift, colour in zip(pair, (-APART, APART), (plots.RATIO, plots.CRITICAL), strict=True):
            _bar(axes, summary(answer), place + shift, colour)
    axes.set_yticks(range(len(pairs)), [*names, "a new domain"][: len(pairs)])
    for place, label in enumerate(axes.get_yticklabels()):
        label.set_parse_math(False)
        label.set_fontweight("bold" if place < len(names) and names[place] in marked else "normal")
        label.set_fontstyle("normal" if place < len(names) else "italic")
    axes.set_ylim(len(pairs) - 0.4, -0.6)
    axes.set_xlim(-ROOM, 1 + ROOM)
    for end in (0.0, 1.0):
        axes.axvline(end, color=plots.BASE, linewidth=0.8)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    axes.set_xlabel("share of domain data (%)", fontsize=plots.LABEL)
    axes.tick_params(axis="y", length=0)
    return axes


def _bar(axes: Axes, said: dict[str, float], place: float, colour: str) -> None:
    # a posterior that sits on one value still has to be seen
    width = max(said["q95"] - said["q05"], 0.005)
    left = min(said["q05"], 1 - width)
    axes.barh(place, width, THICK, left=left, color=colour, alpha=plots.BAR, linewidth=0)
    axes.plot([said["q50"]] * 2, [place - THICK / 2, place + THICK / 2], color=plots.MEASURED, linewidth=2)
    for share, at, side in ((said["p_none"], -0.02, "right"), (said["p_all"], 1.02, "left")):
        if share > 0:
            axes.text(at, place, percent(share), ha=side, va="center", fontsize=8, color=plots.BASE)

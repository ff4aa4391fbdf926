"""What every action of a plan would do: the odds that it keeps the budget, and what it would regret."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from bayescpt.decide import Plan
from bayescpt.report import plots

NEAR = 0.4
"""Ratios of at least this part of the chosen one are sure to be on the scale of regrets."""


def odds_panel(axes: Axes, plan: Plan) -> Axes:
    """Probability that the budget holds over ratios at the size of the plan; dashed: the confidence asked for.

    The region in which it holds less often is shaded. Dot: the action of the plan.
    """
    rows = _at_size(plan)
    axes.plot(rows["ratio"], rows["p_allowed"], color=plots.LAW, linewidth=1.8)
    axes.axhline(plan.confidence, color=plots.BUDGET, linestyle="--", linewidth=1.3)
    _marks(axes, plan, float(plan.action["p_allowed"]), rows)
    axes.set_ylim(-0.04, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    axes.set_ylabel("budget held (%)", fontsize=plots.LABEL)
    return axes


def regret_panel(axes: Axes, plan: Plan) -> Axes:
    """Expected regret of every ratio at the size of the plan, nats per token.

    What the best action of each draw would bring more, in the mean: that of the plan (dot) plus what an action is
    expected to bring less than it. Dashed where the budget does not hold with the confidence asked, so that less
    regret is no merit. Tinted: the ratios that are equally good as far as rows can tell.
    """
    rows = _at_size(plan)
    least = float(plan.regret.mean())
    regret = (least + plan.action["utility"] - rows["utility"]).to_numpy()
    allowed = rows["allowed"].to_numpy()
    axes.plot(rows["ratio"], regret, color=plots.LAW, linewidth=1.4, linestyle="--")
    axes.plot(rows["ratio"], np.where(allowed, regret, np.nan), color=plots.LAW, linewidth=2)
    low, high = plan.tied_ratios
    if high > low:
        axes.axvspan(low, high, color=plots.CRITICAL, alpha=plots.DARK, linewidth=0, zorder=0)
    _marks(axes, plan, least, rows)
    # without domain data the regret leaves every scale on which the rest could still be read
    near = rows["ratio"].to_numpy() >= NEAR * plan.action["ratio"]
    top, bottom = float(regret[near].max()), min(float(regret[near].min()), 0.0)
    axes.set_ylim(bottom - 0.06 * (top - bottom), top + 0.06 * (top - bottom))
    axes.set_ylabel("expected regret\n(nats/token)", fontsize=plots.LABEL)
    return axes


def _at_size(plan: Plan) -> pd.DataFrame:
    """The actions at the size of the chosen one, by ratio."""
    rows = plan.actions[np.isclose(plan.actions["size"], plan.action["size"])]
    return rows.sort_values("ratio")


def _marks(axes: Axes, plan: Plan, height: float, rows: pd.DataFrame) -> None:
    """The action of the plan, the ratios that are not allowed, and the axis of ratios."""
    ratio, forbidden = rows["ratio"].to_numpy(), ~rows["allowed"].to_numpy()
    axes.fill_between(
        ratio, 0, 1, where=forbidden, transform=axes.get_xaxis_transform(), color=plots.BASE, alpha=0.1, linewidth=0
    )
    axes.plot(plan.action["ratio"], height, "o", color=plots.BUDGET, markersize=8, zorder=4)
    axes.axvline(plan.action["ratio"], color=plots.BUDGET, linewidth=1, zorder=0)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    axes.set_xlabel("share of domain data (%)", fontsize=plots.LABEL)

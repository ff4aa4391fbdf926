"""The trade of general against domain loss."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from bayescpt.decide import pareto_front
from bayescpt.fit import Fit, Mixture
from bayescpt.report import plots
from bayescpt.report.curves import base_loss
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Pictures, Section, Words
from bayescpt.report.html.decided import Decision
from bayescpt.report.html.picture import picture
from bayescpt.report.pareto import front_panel
from bayescpt.report.units import decided_share, share
from bayescpt.schema import GENERAL

KEY = (
    ("dot", plots.LAW, "a share that is efficient"),
    ("ring", plots.LAW, "one that another beats in both"),
    ("star", plots.BUDGET, "the decision"),
    ("dotted", plots.BASE, "general loss of the base"),
    ("dashed", plots.BUDGET, "that plus the forgetting budget"),
)
NEAR, FAR = 0.4, 0.9
"""Pictures reach from this part of the decision to the largest measured share, but no further than this one."""


def trade(fit: Fit | Mixture, decisions: Mapping[str, Decision], asked: Asked) -> Section:
    """A Pareto front for every domain."""
    pictures = []
    for name, one in decisions.items():
        front = pareto_front(fit, name, asked.size, asked.tokens)
        base = base_loss(fit, name, asked.size, GENERAL)
        mine = fit.table.domain == fit.table.domains.index(name)
        measured = float(fit.table.ratio[mine].max()) if mine.any() else 1.0
        draw = partial(
            front_panel,
            front=front,
            since=NEAR * one.ratio,
            until=max(min(measured, FAR), one.ratio),
            base=base,
            limit=None if base is None else base + asked.nats(base),
            chosen=one.ratio,
        )
        efficient = front["ratio"].values[front["p_efficient"].values >= 0.5]
        span = f"{share(efficient.min())} to {share(efficient.max())}" if len(efficient) else "none"
        middle = front.sel(quantile=0.5)
        at = int(np.abs(front["ratio"].values - one.ratio).argmin())
        alt = (
            f"{name}: domain loss against general loss over shares of domain data. At the decision, "
            f"{decided_share(one.ratio)}, the general loss is {float(middle['general'][at]):.3f} and the domain loss "
            f"{float(middle['domain'][at]):.3f} nats per token; efficient shares: {span}."
        )
        pictures.append(picture(draw, alt, title=name))
    text = (
        "Every share of domain data is a point: further left it forgets less, further down it has learned more of the "
        "domain. Where the curve bends back, less domain data would do better in both."
    )
    caption = (
        f"Expected losses at the end of {asked.run}: medians over all shares, with 90 % intervals of either loss at "
        "some of them, whose percentages stand beside."
    )
    return Section(
        "trade", "What domain loss costs in general loss", "Trade-off", [Words(text), Pictures(pictures, caption, KEY)]
    )

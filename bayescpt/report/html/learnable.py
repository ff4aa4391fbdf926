"""How learnable each domain is, by what its first steps show."""

from __future__ import annotations

import numpy as np

from bayescpt.data.learnability import Statistic, early_of, early_tokens, paper_statistics
from bayescpt.fit import Fit, Mixture
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Cell, Grid, Section, Words, cells
from bayescpt.report.units import count
from bayescpt.schema import GENERAL

TRAITS = {"start": "Start (z)", "gain": "Gain (z)", "cost": "Cost (z)"}


def learnable(fit: Fit | Mixture, asked: Asked) -> Section:
    """Early statistics of the domains asked about, and their learnability where the model has one."""
    table = fit.table
    at = early_tokens(table)
    columns = ["Domain", "Base's loss", "Early fall", "Early forgetting"]
    start, fall, _ = paper_statistics(table)
    statistics = [start, fall, _in_percent(early_of(table, GENERAL, at).change())]
    rows = []
    for name in asked.domains:
        code = table.domains.index(name)
        rows.append(cells(name, *(_cell(one, code, place == 2) for place, one in enumerate(statistics))))
    learned = [one for one in ([fit] if isinstance(fit, Fit) else fit.members.values()) if one.model.hierarchy.early]
    if learned:
        columns += TRAITS.values()
        draws = learned[0].posterior["learnability"].stack(sample=("chain", "draw"))
        for row in rows:
            z = draws.sel(domain=row[0].text, trait=list(TRAITS)).transpose("trait", "sample").values
            row += [Cell(f"{one.mean():+.2f}", f"± {one.std():.2f}") for one in z]
    text = (
        f"What an even mix brings and costs in the first {count(at)} tokens of a run (2.5 % of the longest), averaged "
        "over bases and ratios. A domain that falls fast early is learned with a small share; one that costs little "
        "general loss early can be given a large one."
    )
    aside = (
        "Base's loss: nats per token on the domain's own set before training. Early fall: nats per token of it in "
        "these tokens (k1 and k2 of Cross-Domain D-CPT). Early forgetting: rise of the general loss that domain data "
        "cause, in per cent. Below each: its standard error."
    )
    if learned:
        aside += (
            " z: the model's learnability, in standard deviations over domains: loss at the start, early fall, early "
            "forgetting."
        )
    caption = "Early statistics by domain, with standard errors."
    return Section(
        "learnability",
        "How learnable the domains are",
        "Learnability",
        [
            Words(text),
            Grid(
                caption,
                columns,
                rows,
            ),
            Words(aside, aside=True),
        ],
    )


def _in_percent(statistic: Statistic) -> Statistic:
    return Statistic(100 * np.expm1(statistic.value), 100 * np.exp(statistic.value) * statistic.se)


def _cell(statistic: Statistic, code: int, percent: bool) -> Cell:
    value, se = float(statistic.value[code]), float(statistic.se[code])
    if np.isnan(value):
        return Cell("unknown", "no rows tell")
    return Cell(f"{value:+.2f}\u00a0%", f"± {se:.2f}") if percent else Cell(f"{value:.2f}", f"± {se:.2f}")

"""The two ratios of every domain beside each other, with what the population says of a new one: what pooling did."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayescpt.ask import critical_ratio, ratio_under_budget, summary
from bayescpt.fit import Fit, Mixture
from bayescpt.report import plots
from bayescpt.report.answers import Answers
from bayescpt.report.curves import base_loss
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Block, Cell, Grid, Pictures, Section, Words
from bayescpt.report.html.picture import Picture, picture
from bayescpt.report.intervals import intervals_panel
from bayescpt.report.posteriors import posterior_panel
from bayescpt.report.tables import percent
from bayescpt.report.units import share
from bayescpt.schema import GENERAL

NEW = "a new domain"
HEIGHT, FOOT = 0.42, 0.7
"""Inches of a line of the intervals and of their axis."""
KEY = (
    ("bar", plots.RATIO, "optimal ratio, 90 %"),
    ("bar", plots.CRITICAL, "CMR, 90 %"),
    ("tick", plots.MEASURED, "median"),
)
LOW = (4.4, 2.6)
"""Inches of a posterior."""
POSTERIOR_KEY = (("band", plots.RATIO, "optimal ratio"), ("line", plots.CRITICAL, "CMR"))
POSTERIORS = (
    "Posteriors of both ratios. Dashed: medians. Hatched bars beyond the ends: how probable it is that no share, or "
    "every share, qualifies."
)
MEANINGS = {
    "none": "Domains were not pooled: each was fitted by itself, and the line of a new domain is the prior's.",
    "complete": "All domains share one law (complete pooling), so that they differ by their bases alone.",
}


def ratios_of(fit: Fit | Mixture, asked: Asked) -> dict[str, Answers]:
    """Both ratios for every domain of the table and for a new one."""
    new = NEW
    while new in fit.table.domains:
        new += " "
    return {name: _answers(fit, name, asked) for name in (*fit.table.domains, new)}


def _answers(fit: Fit | Mixture, domain: str, asked: Asked) -> Answers:
    budget, place = asked.budget, (domain, asked.size, asked.tokens)
    nats = budget.max_forgetting
    if budget.relative:
        nats = asked.nats(base_loss(fit, domain, asked.size, GENERAL) or 1.0)
    return Answers(
        *place,
        max_forgetting=nats,
        ratio=ratio_under_budget(fit, *place, budget.max_forgetting, budget.relative),
        critical=critical_ratio(fit, *place, tolerance=nats),
        accepted=None if fit.passed else fit.accepted,
    )


def pooled(fit: Fit | Mixture, answers: Mapping[str, Answers], asked: Asked) -> Section:
    """Intervals of all domains, how much narrower than a new domain's, and posteriors of those asked about."""
    *names, new = answers
    ratio = {name: answers[name].ratio for name in names}
    critical = {name: answers[name].critical for name in names}
    population = answers[new].ratio, answers[new].critical
    said = {name: summary(answer) for name, answer in (*ratio.items(), (new, population[0]))}
    alt = "Optimal ratio with 90 % interval by domain: " + "; ".join(
        f"{name} {share(one['q50'])} ({share(one['q05'])} to {share(one['q95'])})" for name, one in said.items()
    )
    draw = partial(intervals_panel, ratio=ratio, critical=critical, population=population, marked=_marked(names, asked))
    size = (4.4, HEIGHT * (len(names) + 1) + FOOT)
    caption = (
        f"All domains of the table for {asked.run}, within {asked.limit}. Beside the axis: how probable it is that no "
        "share (left) or every share (right) qualifies. Tinted, and last line: what the population of domains says of "
        "one that was never trained on. A decision lies below its median here: it is to hold with the confidence asked "
        "for."
    )
    blocks: list[Block] = [
        Words(_what_pooling_did(fit, said, new)),
        Pictures([picture(draw, alt, size=size)], caption, KEY, form="single"),
        _table(answers, said, new),
    ]
    blocks.append(Pictures([_posterior(answers[name]) for name in asked.domains], POSTERIORS, POSTERIOR_KEY))
    return Section("ratios", "Optimal ratio and CMR, and what pooling did", "Ratios", blocks)


def _marked(names: list[str], asked: Asked) -> tuple[str, ...]:
    """The domains asked about, where that are not all of them."""
    return asked.domains if len(asked.domains) < len(names) else ()


def _what_pooling_did(fit: Fit | Mixture, said: Mapping[str, dict[str, float]], new: str) -> str:
    members = [fit] if isinstance(fit, Fit) else list(fit.members.values())
    poolings = {member.model.hierarchy.name for member in members}
    if len(poolings) == 1 and (only := next(iter(poolings))) in MEANINGS:
        return MEANINGS[only]
    wide = said[new]["q95"] - said[new]["q05"]
    own = {name: one["q95"] - one["q05"] for name, one in said.items() if name != new}
    widest = max(own, key=lambda name: own[name])
    text = (
        f"Domains borrow from one another through a population that is learned with them (pooling "
        f"{', '.join(sorted(poolings))}). From the population alone the 90 % interval of the optimal ratio would be "
        f"{100 * wide:.0f} points wide; with rows of their own that of the domains is at most {100 * own[widest]:.0f} "
        f"({widest})."
    )
    factors = [factor for member in members if (factor := pooling_factors(member)) is not None]
    if factors:
        low, middle, high = np.quantile(np.concatenate(factors), [0.0, 0.5, 1.0])
        text += (
            " The pooling factor of the law's coordinates (Gelman and Pardoe 2006; 0: every domain by its own rows, "
            f"1: all by the population) lies between {max(low, 0.0):.2f} and {high:.2f}, with a median of "
            f"{max(middle, 0.0):.2f}."
        )
    return text


def pooling_factors(fit: Fit) -> np.ndarray | None:
    """1 - V_j(E[e_j]) / E[V_j(e_j)] by target and coordinate, with e_j a domain's distance from the population's mean.

    Without a refit, from the draws. None where no such mean is in the draws, or there is one domain.
    """
    hierarchy, posterior = fit.model.hierarchy, fit.posterior
    if "population" not in posterior or hierarchy.common or hierarchy.early or posterior.sizes["domain"] < 2:
        return None
    away: xr.DataArray = posterior["coordinates"] - posterior["population"]
    draws = ("chain", "draw")
    explained = away.mean(draws).var("domain")
    return (1 - explained / away.var("domain").mean(draws)).values.ravel()


def _table(answers: Mapping[str, Answers], said: Mapping[str, dict[str, float]], new: str) -> Grid:
    wide = said[new]["q95"] - said[new]["q05"]
    rows = []
    for name, answer in answers.items():
        both = said[name], summary(answer.critical)
        narrow = (both[0]["q95"] - both[0]["q05"]) / wide if wide > 0 else 1.0
        width = Cell("-") if name == new else Cell(f"{100 * narrow:.0f}\u00a0%")
        rows.append([Cell(NEW if name == new else name), *(_interval(one) for one in both), width])
    return Grid(
        "Shares of domain data: medians with 90 % intervals and, where there is any, the probability that no share or "
        "that every share qualifies. Width left: of the interval of the optimal ratio, as a part of that of a new "
        "domain.",
        ("Domain", "Optimal ratio", "CMR", "Width left"),
        rows,
    )


def _interval(said: Mapping[str, float]) -> Cell:
    ends = [f"{name} {percent(said[key])}" for name, key in (("none", "p_none"), ("all", "p_all")) if said[key] > 0]
    return Cell(share(said["q50"]), f"{share(said['q05'])} to {share(said['q95'])}\n{', '.join(ends)}".strip())


def _posterior(answer: Answers) -> Picture:
    def draw(axes: Axes) -> None:
        posterior_panel(axes, answer.ratio, plots.RATIO)
        posterior_panel(axes, answer.critical, plots.CRITICAL, filled=False)

    ratio, critical = summary(answer.ratio), summary(answer.critical)
    alt = (
        f"{answer.domain}: posterior of the optimal ratio, median {share(ratio['q50'])}, and of the CMR, median "
        f"{share(critical['q50'])}; no share qualifies with probability {ratio['p_none']:.2f} and "
        f"{critical['p_none']:.2f}."
    )
    return picture(draw, alt, title=answer.domain, size=LOW)

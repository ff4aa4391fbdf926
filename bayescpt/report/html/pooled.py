"""The two ratios of every domain beside each other, with what the population says of a new one: what pooling did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayescpt.ask import critical_ratio, ratio_under_budget, summary
from bayescpt.fit import Fit, Mixture, UnreliableFit
from bayescpt.report import plots
from bayescpt.report.answers import Answers
from bayescpt.report.curves import base_loss
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Block, Cell, Grid, Pictures, Section, Words
from bayescpt.report.html.picture import Picture, picture
from bayescpt.report.intervals import intervals_panel
from bayescpt.report.posteriors import posterior_panel
from bayescpt.report.units import odds, percent, share
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
    "none": "Domains were not pooled: each was fitted by itself.",
    "complete": "All domains share one law (complete pooling), so that they differ by their bases alone.",
}
PRIOR_LINE = " The line of a new domain is the prior's."


@dataclass(frozen=True)
class Ratios:
    """Both ratios by domain.

    Args:
        known: of the domains of the table.
        new: of one that was never trained on; None where the law cannot be asked about such a one.
        why: what it lacks then.
    """

    known: Mapping[str, Answers]
    new: Answers | None
    why: str = ""


def ratios_of(fit: Fit | Mixture, asked: Asked) -> Ratios:
    """Both ratios for every domain of the table, and for a new one where the law can be asked about it."""
    new = NEW
    while new in fit.table.domains:
        new += " "
    known = {name: _answers(fit, name, asked) for name in fit.table.domains}
    try:
        return Ratios(known, _answers(fit, new, asked))
    except UnreliableFit:
        raise
    except ValueError as error:
        return Ratios(known, None, str(error))


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


def pooled(fit: Fit | Mixture, ratios: Ratios, asked: Asked) -> Section:
    """Intervals of all domains, how much narrower than a new domain's, and posteriors of those asked about."""
    names = list(ratios.known)
    ratio = {name: one.ratio for name, one in ratios.known.items()}
    critical = {name: one.critical for name, one in ratios.known.items()}
    population = None if ratios.new is None else (ratios.new.ratio, ratios.new.critical)
    said = {name: summary(answer) for name, answer in ratio.items()}
    newcomer = None if population is None else summary(population[0])
    alt = "Optimal ratio with 90 % interval by domain: " + "; ".join(
        f"{name} {share(one['q50'])} ({share(one['q05'])} to {share(one['q95'])})"
        for name, one in (*said.items(), *([] if newcomer is None else [(NEW, newcomer)]))
    )
    draw = partial(intervals_panel, ratio=ratio, critical=critical, population=population, marked=_marked(names, asked))
    size = (4.4, HEIGHT * (len(names) + (population is not None)) + FOOT)
    last = (
        "Tinted, and last line: what the population of domains says of one that was never trained on. "
        if population is not None
        else ""
    )
    caption = (
        f"All domains of the table for {asked.run}, within {asked.limit}. Beside the axis: how probable it is that no "
        f"share (left) or every share (right) qualifies. {last}A decision lies below its median here: it is to hold "
        "with the confidence asked for."
    )
    blocks: list[Block] = [
        Words(_what_pooling_did(fit, said, newcomer)),
        Pictures([picture(draw, alt, size=size)], caption, KEY, form="single"),
        _table(ratios, said, newcomer),
    ]
    if ratios.why:
        blocks.insert(1, Words(f"There is no line of a domain that was never trained on: {ratios.why}.", aside=True))
    blocks.append(Pictures([_posterior(ratios.known[name]) for name in asked.domains], POSTERIORS, POSTERIOR_KEY))
    return Section("ratios", "Optimal ratio and CMR, and what pooling did", "Ratios", blocks)


def _marked(names: list[str], asked: Asked) -> tuple[str, ...]:
    """The domains asked about, where that are not all of them."""
    return asked.domains if len(asked.domains) < len(names) else ()


def _what_pooling_did(
    fit: Fit | Mixture, said: Mapping[str, dict[str, float]], newcomer: Mapping[str, float] | None
) -> str:
    members = [fit] if isinstance(fit, Fit) else list(fit.members.values())
    poolings = {member.model.hierarchy.name for member in members}
    if len(poolings) == 1 and (only := next(iter(poolings))) in MEANINGS:
        return MEANINGS[only] + (PRIOR_LINE if only == "none" and newcomer is not None else "")
    text = (
        "Domains borrow from one another through a population that is learned with them (pooling "
        f"{', '.join(sorted(poolings))})."
    )
    if newcomer is not None:
        own = {name: one["q95"] - one["q05"] for name, one in said.items()}
        widest = max(own, key=lambda name: own[name])
        text += (
            " From the population alone the 90 % interval of the optimal ratio would be "
            f"{100 * (newcomer['q95'] - newcomer['q05']):.0f} points wide; with rows of their own that of the domains "
            f"is at most {100 * own[widest]:.0f} ({widest})."
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


def _table(ratios: Ratios, said: Mapping[str, dict[str, float]], newcomer: Mapping[str, float] | None) -> Grid:
    rows = []
    for name, answer in ratios.known.items():
        row = [Cell(name), _interval(said[name]), _interval(summary(answer.critical))]
        if newcomer is not None:
            wide = newcomer["q95"] - newcomer["q05"]
            narrow = (said[name]["q95"] - said[name]["q05"]) / wide if wide > 0 else 1.0
            row.append(Cell(f"{100 * narrow:.0f}\u00a0%"))
        rows.append(row)
    caption = (
        "Shares of domain data: medians with 90 % intervals and, where there is any, the probability that no share or "
        "that every share qualifies."
    )
    columns = ("Domain", "Optimal ratio", "CMR")
    if newcomer is None or ratios.new is None:
        return Grid(caption, columns, rows)
    rows.append([Cell(NEW), _interval(newcomer), _interval(summary(ratios.new.critical)), Cell("-")])
    caption += " Width left: of the interval of the optimal ratio, as a part of that of a new domain."
    return Grid(caption, (*columns, "Width left"), rows)


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
        f"{share(critical['q50'])}; no share qualifies with probability {odds(ratio['p_none'])} and "
        f"{odds(critical['p_none'])}."
    )
    return picture(draw, alt, title=answer.domain, size=LOW)

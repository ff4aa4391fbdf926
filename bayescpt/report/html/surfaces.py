"""Fitted losses over the measured ones: against the ratio and along the run, by domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from bayescpt.fit import Fit, Mixture
from bayescpt.report import plots
from bayescpt.report.answers import Answers
from bayescpt.report.curves import along_ratio, along_tokens, base_loss, measured
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Block, Heading, Key, Pictures, Section, Words
from bayescpt.report.html.decided import Decision, sentence
from bayescpt.report.html.picture import Picture, picture
from bayescpt.report.units import count, share
from bayescpt.schema import GENERAL, TARGETS, Target

KEY = (
    ("dot", plots.MEASURED, "measured"),
    ("line", plots.LAW, "median of the expected loss"),
    ("band", plots.LAW, "dark: 90 % of the expected loss; light: of a new run"),
    ("dotted", plots.BASE, "base model"),
    ("dashed", plots.BUDGET, "forgetting budget"),
    ("bar", plots.RATIO, "optimal ratio, 90 %"),
    ("bar", plots.CRITICAL, "CMR, 90 %"),
)
INTRODUCTION = (
    "Of each domain: losses at the end of the run against the share of domain data, then along the run, a colour for "
    "each measured share. The optimal ratio is the largest share with which the general loss ends within the budget; "
    "with the critical mixture ratio (CMR) it has besides turned downwards by the end of the run."
)
NEAR, FAR = 0.02, 0.95
"""Shares between which losses are on the scale where no row is: towards 0 the domain
loss leaves every scale, towards 1 the general loss."""


class Place(NamedTuple):
    """Where the rows are that a domain's pictures show."""

    size: float
    tokens: float


def surfaces(
    fit: Fit | Mixture, decisions: Mapping[str, Decision], answers: Mapping[str, Answers], asked: Asked
) -> Section:
    """Four pictures a domain at the measured size nearest to the one asked; two more where no row is of that size."""
    blocks: list[Block] = [Words(INTRODUCTION), Key(KEY)]
    for name, one in decisions.items():
        blocks += [Heading(name), Words(sentence(one, asked))]
        place = nearest(fit, name, asked)
        if place is None:
            blocks.append(Words("The table has no training rows of this domain: the others answer for it."))
            continue
        places = [place] if _same(place, asked) else [place, Place(asked.size, asked.tokens)]
        against = [[_against_share(fit, answers[name], at, asked, target) for target in TARGETS] for at in places]
        along = [_along_run(fit, name, place, asked, target) for target in TARGETS]
        pictures = [*against[0], *(one for one in along if one is not None), *(against[1] if against[1:] else ())]
        caption = f"{name}: {count(place.size)} parameters, {count(place.tokens)} tokens, the nearest rows there are"
        caption += f"; then {asked.run}, where there are none." if len(places) > 1 else "."
        blocks.append(Pictures(pictures, caption, form="pairs"))
    return Section("losses", "Losses against share and tokens", "Losses", blocks)


def nearest(fit: Fit | Mixture, domain: str, asked: Asked) -> Place | None:
    """Size and tokens of the rows of a domain that are nearest to the question, on log scales; None without rows."""
    table = fit.table
    mine = table.domain == table.domains.index(domain)
    if not mine.any():
        return None
    size = _nearest(table.size[mine], asked.size)
    return Place(size, _nearest(table.tokens[mine & np.isclose(table.size, size, rtol=1e-9)], asked.tokens))


def _nearest(values: np.ndarray, wanted: float) -> float:
    return float(values[np.abs(np.log(values / wanted)).argmin()])


def _against_share(fit: Fit | Mixture, answer: Answers, place: Place, asked: Asked, target: Target) -> Picture:
    """Loss at the end of a run; with the bars of both ratios where it is the run that they are of."""
    rows = measured(fit.table, answer.domain, place.size, target)
    rows = rows[np.isclose(rows["tokens"], place.tokens)]
    curve = along_ratio(fit, answer.domain, place.size, place.tokens, target)

    def draw(axes: Axes) -> None:
        plots.ratio_panel(axes, rows, curve, place.tokens, target)
        if rows.empty:
            # without rows nothing else says what the scale has to hold
            seen = curve[curve["ratio"].between(NEAR, FAR)]
            low, high = float(seen["pred_q05"].min()), float(seen["pred_q95"].max())
            axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        _base(axes, fit, answer.domain, place.size, target, asked)
        if _same(place, asked):
            plots.intervals_on_ratio(axes, answer.ratio, answer.critical)

    at = {name: curve["q50"].iloc[place] for name, place in (("none", 0), ("even", len(curve) // 2), ("all", -1))}
    alt = (
        f"{answer.domain}, {target} loss of {count(place.size)} parameters after {count(place.tokens)} tokens: "
        f"{at['none']:.2f} nats per token without domain data, {at['even']:.2f} at an even mix, {at['all']:.2f} with "
        f"nothing else; {len(rows)} measured losses."
    )
    return picture(draw, alt)


def _along_run(fit: Fit | Mixture, domain: str, place: Place, asked: Asked, target: Target) -> Picture | None:
    """Loss along the run for each measured share; None where no loss of the target was measured."""
    rows = measured(fit.table, domain, place.size, target)
    if rows.empty:
        return None
    own = np.unique(rows["run_ratio"])
    first, last = float(rows["tokens"].min()), max(float(rows["tokens"].max()), asked.tokens)
    curves = along_tokens(fit, domain, place.size, own, first, last, target)

    def draw(axes: Axes) -> None:
        plots.token_panel(axes, rows, curves, target)
        plots.share_key(axes, own.tolist())
        _base(axes, fit, domain, place.size, target, asked)

    alt = (
        f"{domain}, {target} loss of {count(place.size)} parameters along the run from {count(first)} to {count(last)} "
        f"tokens, one curve for each of the shares {', '.join(map(share, own))}."
    )
    return picture(draw, alt)


def _same(place: Place, asked: Asked) -> bool:
    return bool(np.isclose(place.size, asked.size, rtol=1e-9) and np.isclose(place.tokens, asked.tokens))


def _base(axes: Axes, fit: Fit | Mixture, domain: str, size: float, target: Target, asked: Asked) -> None:
    base = base_loss(fit, domain, size, target)
    if base is not None:
        plots.draw_base(axes, base, asked.nats(base) if target == GENERAL else None)

"""The next proxy runs: the verdict for a space of candidates, or how to get one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.colors import to_hex

from bayescpt.design import Cost, NextRuns, candidates, cost_of, next_runs
from bayescpt.design.decision import Question
from bayescpt.design.files import SpaceFile
from bayescpt.design.select import DRAWS, STOP
from bayescpt.fit import Fit, Mixture
from bayescpt.report import plots
from bayescpt.report.gains import gains_panel
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Block, Code, Grid, Pictures, Section, Words, cells
from bayescpt.report.html.picture import picture
from bayescpt.report.units import count, share

RUNS = 4
"""Runs that a report proposes at most."""


@dataclass(frozen=True)
class Further:
    """What to run next.

    Args:
        budget: FLOPs for all runs together.
        cost: where the costs come from.
    """

    question: Question
    budget: float
    found: NextRuns
    cost: Cost


def further_of(fit: Fit | Mixture, file: SpaceFile, budget: float) -> Further:
    """The verdict of design/select.py for the decision that the space names.

    Args:
        budget: FLOPs for all runs together.

    Raises ValueError where the budget pays for nothing, or nothing is on offer.
    """
    asked, thin = file.question, fit.thinned(DRAWS)
    cost = cost_of(fit.table)
    offered = candidates(file.space, fit.table, cost)
    values = asked.values(thin, asked.actions(fit.table))
    return Further(asked, budget, next_runs(thin, offered, values, budget, count=RUNS), cost)


def _share(run: dict[str, Any]) -> str:
    """The share of a run; of a branch those before and after, and where it leaves."""
    if not run["phase_part"]:
        return share(run["ratio"])
    return f"{share(run['trunk_ratio'])}, after {count(run['start'])} tokens {share(run['phase_ratio'])}"


def further(known: Further | None, asked: Asked, path: str) -> Section:
    """The verdict, its runs and what the others would bring; without a space, how to get one.

    Args:
        path: of the fit, for the command.
    """
    title, short = "The next proxy runs", "Next runs"
    if known is None:
        blocks: list[Block] = [
            Words(
                "This report was made without a space of candidate runs. Describe what you could train in a file "
                "SPACE.yaml (its form: docs/decisions.md), and the runs that are worth their cost for this decision, "
                "or the verdict that none is, are found with"
            ),
            Code(f"bayescpt next {path} --space SPACE.yaml --budget FLOPS -o RUNS.yaml"),
            Words("With the same two options this report shows them.", aside=True),
        ]
        return Section("next", title, short, blocks)
    found, question = known.found, known.question
    if found.verdict == STOP:
        head = f"Stop: {found.reason}"
    else:
        ended = "" if found.reason.endswith("as asked") else f"; {found.reason}"
        head = f"Run what stands in the table, from the top{ended}"
    text = (
        f"{head}. For {question.domain}, {count(question.size)} parameters and "
        f"{count(question.tokens)} tokens, the expected regret is {found.regret:.4f} nats per token as of now; "
        f"{len(found.candidates)} candidates, {known.budget:.3g} FLOPs to spend; costs {known.cost.says()}."
    )
    blocks = [Words(text)]
    other = question.domain not in asked.domains or (question.size, question.tokens) != (asked.size, asked.tokens)
    if other or question.phase_ratios or question.base_loss is not None:
        blocks.append(Words("The space names a decision of its own, which is not one of this report.", aside=True))
    if len(found.chosen):
        rows = [
            cells(
                str(place),
                str(run["domain"]),
                count(run["size"]),
                _share(run),
                count(run["tokens"]),
                str(run["seed"]),
                f"{run['cost']:.3g}",
                f"{run['regret_fall']:.4f}",
            )
            for place, run in enumerate(found.chosen.to_dict("records"), 1)
        ]
        columns = ("Run", "Domain", "Parameters", "Share", "Tokens", "Seed", known.cost.unit, "Fall of the regret")
        caption = (
            "The runs to train, in order; falls of the expected regret in nats per token, each given those before."
        )
        if (found.chosen["trunk_cost"] > 0).sum() > 1:
            caption += " Branches of one trunk pay for it once: the first in full."
        blocks.append(Grid(caption, columns, rows, stacked=True))
    alt = (
        f"Gain of {len(found.candidates)} candidate runs against their cost in FLOPs; the best alone brings "
        f"{found.candidates['gain'].max():.2g} {found.unit}."
    )
    caption = (
        "What each candidate would bring by itself, against what it costs by itself. Numbers: the runs of the table."
    )
    key = (
        ("dot", to_hex(plots.ratio_colour(0.0)), "little domain data"),
        ("dot", to_hex(plots.ratio_colour(1.0)), "much"),
        ("ring", plots.BUDGET, "chosen"),
    )
    blocks.append(Pictures([picture(partial(gains_panel, found=found), alt)], caption, key, form="single"))
    return Section("next", title, short, blocks)

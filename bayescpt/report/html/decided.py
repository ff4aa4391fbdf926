"""The decision: one sentence with its odds, then a table by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bayescpt.ask.horizon import Horizon, horizon
from bayescpt.decide import Plan, plan, ratios
from bayescpt.decide.plan import FLAT, NONE
from bayescpt.decide.trust import cautions, trust
from bayescpt.fit import Fit, Mixture, UnreliableFit
from bayescpt.report import plots, regret
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Block, Cell, Grid, Items, Pictures, Section, Words, cells
from bayescpt.report.html.picture import Picture, stacked
from bayescpt.report.units import at_least, count, decided_share, odds, times

HOW = (
    "The share is that of domain tokens in the stream. Budget held: probability that the expected general loss ends "
    "within the budget, and below it that one measured run does. Regret: nats per token that knowing the truth would "
    "bring, in the mean and, in brackets, below which 95 % of the draws lie. Equally good: shares that differ by less "
    "than two runs of one setting, or that are better with a probability of at least 0.1. Runner-up: the best share "
    "that is no neighbour. Monte Carlo optimism: by how much the expected loss is flattered because the same draws "
    "choose and judge, which more draws would mend; it says nothing of a law or a posterior that is wrong. Shares and "
    "odds are rounded down."
)


@dataclass(frozen=True)
class Decision:
    """A plan, and how far it lies beyond the rows."""

    plan: Plan
    place: Horizon

    @property
    def ratio(self) -> float:
        """Share of domain data that is chosen, or the safest where none keeps the budget."""
        return float(self.plan.action["ratio"])


def decisions_of(fit: Fit | Mixture, asked: Asked) -> dict[str, Decision]:
    """The plan of every domain.

    Raises UnreliableFit where a check failed and nobody accepted that, and ValueError where domains cannot be decided,
    with what is wrong with any of them.
    """
    found, faults = {}, []
    for domain in asked.domains:
        try:
            chosen = plan(fit, domain, ratios(asked.size, asked.tokens), asked.budget, asked.confidence)
            found[domain] = Decision(chosen, horizon(fit.table, domain, asked.size, asked.tokens))
        except UnreliableFit:
            raise
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("\n".join(dict.fromkeys(faults)))
    return found


def sentence(decision: Decision, asked: Asked) -> str:
    """The decision for one domain with its odds."""
    made, action = decision.plan, decision.plan.action
    held = f"with probability {odds(action['p_allowed'])}"
    within = f"within {asked.limit} of the base's"
    if made.status == NONE:
        return (
            f"No share of {made.domain} data keeps the general loss {within} with probability {asked.confidence:g}: "
            f"the safest, {decided_share(decision.ratio)}, does so {held}."
        )
    if made.status == FLAT:
        low, high = made.tied_ratios
        return (
            f"Shares of {made.domain} data from {_span(low, high)} are equally good as far as these rows can tell; at "
            f"{decided_share(decision.ratio)} the general loss ends {within} {held}."
        )
    return f"Train on {decided_share(decision.ratio)} {made.domain} data: the general loss then ends {within} {held}."


def lead(decisions: Mapping[str, Decision], asked: Asked) -> str:
    """The decision for all domains in one sentence with its odds."""
    if len(decisions) == 1:
        return sentence(next(iter(decisions.values())), asked)
    able = sorted((one.ratio, name) for name, one in decisions.items() if one.plan.status != NONE)
    what = f"a share of domain data that keeps the general loss within {asked.limit} of the base's"
    sure = f"with probability {asked.confidence:g} or more"
    if not able:
        safest = max(decisions.values(), key=lambda one: one.plan.action["p_allowed"])
        return (
            f"None of {len(decisions)} domains has {what} {sure}; {safest.plan.domain} comes closest, "
            f"{decided_share(safest.ratio)} with probability {odds(safest.plan.action['p_allowed'])}."
        )
    lacking = [name for name, one in decisions.items() if one.plan.status == NONE]
    few, many = able[0], able[-1]
    span = " to ".join(dict.fromkeys(f"{decided_share(ratio)} ({name})" for ratio, name in (few, many)))
    if not lacking:
        least = min(one.plan.action["p_allowed"] for one in decisions.values())
        return (
            f"Train on {span} domain data in {len(able)} domains: the general loss then ends within {asked.limit} of "
            f"the base's with probability {at_least(least)}, in each of them by itself."
        )
    return f"{len(able)} of {len(decisions)} domains have {what} {sure}: {span}; none does for {', '.join(lacking)}."


def decided(decisions: Mapping[str, Decision], asked: Asked) -> Section:
    """The table by domain, what another share would do, and what to mind."""
    columns = (
        "Domain",
        "Share of domain data",
        "Budget held",
        "Domain loss",
        "Regret",
        "Equally good",
        "Runner-up",
        "Monte Carlo optimism",
        "Beyond the rows",
    )
    caption = f"The decision by domain: {asked.run}, forgetting at most {asked.limit}. Losses in nats per token."
    rows = [_row(one) for one in decisions.values()]
    blocks: list[Block] = [Grid(caption, columns, rows, stacked=True, words=(5, 6, 8))]
    blocks += [Items(lines)] if (lines := _cautions(decisions)) else []
    blocks += [Words(HOW, aside=True), _pictures(decisions, asked)]
    return Section("decision", "The decision, domain by domain", "Decision", blocks)


def _row(decision: Decision) -> list[Cell]:
    made, action = decision.plan, decision.plan.action
    state = {NONE: "none holds the budget: the safest", FLAT: "one of many"}.get(made.status, "")
    low, high = made.tied_ratios
    regret_of = made.summary()["regret"]
    rival = None if made.runner_up is None else made.actions.iloc[made.runner_up]
    return cells(
        made.domain,
        Cell(decided_share(decision.ratio), state, "fail" if made.status == NONE else "chosen"),
        Cell(odds(action["p_allowed"]), f"one run {odds(made.p_allowed_run)}"),
        Cell(f"{action['domain']:.3f}", f"{action['domain_q05']:.3f} to {action['domain_q95']:.3f}"),
        Cell(f"{regret_of['mean']:.4f}", f"({regret_of['q95']:.4f})"),
        Cell(_span(low, high), "tied") if high > low else Cell("no other", "it stands out"),
        Cell("none")
        if rival is None
        else Cell(
            decided_share(rival["ratio"]),
            f"{action['utility'] - rival['utility']:.3f} worse, better with probability {odds(rival['p_better'])}"
            + (", tied" if rival["tied"] else ""),
        ),
        f"{made.optimism:.4f}".replace("-0.0000", "0.0000"),
        beyond(decision.place),
    )


def _span(low: float, high: float) -> str:
    return f"{decided_share(low)} to {decided_share(high)}"


def beyond(place: Horizon) -> Cell:
    """How far a question lies beyond the rows, in multiples."""
    parts = [
        f"{name} {times(factor)}" for name, factor in (("size", place.size), ("tokens", place.tokens)) if factor > 1
    ]
    return Cell(", ".join(parts), "extrapolation", "review") if parts else Cell("no", "within the rows")


def _cautions(decisions: Mapping[str, Decision]) -> list[str]:
    """What to know before acting on the table, each once."""
    found = [line[0].upper() + line[1:] + "." for one in decisions.values() for line in trust(one.place)]
    found += [f"{name}: {line}." for name, one in decisions.items() for line in cautions(one.plan)]
    return list(dict.fromkeys(found))


def _pictures(decisions: Mapping[str, Decision], asked: Asked) -> Pictures:
    caption = (
        "What another share would do. Above: the odds that the budget holds. Below: the regret to be expected, which "
        f"runs dashed where the budget does not hold with probability {asked.confidence:g}."
    )
    key = (
        ("dot", plots.BUDGET, "the decision"),
        ("dashed", plots.BUDGET, "confidence asked for"),
        ("band", plots.CRITICAL, "equally good"),
        ("band", plots.BASE, "budget not held with that confidence"),
    )
    return Pictures([_odds_and_regret(one) for one in decisions.values()], caption, key)


def _odds_and_regret(decision: Decision) -> Picture:
    made = decision.plan
    alt = (
        f"{made.domain}: probability that the budget holds and expected regret over shares of domain data. At "
        f"{decided_share(decision.ratio)} they are {odds(made.action['p_allowed'])} and {made.regret.mean():.4f} nats "
        "per token."
    )
    panels = partial(regret.odds_panel, plan=made), partial(regret.regret_panel, plan=made)
    return stacked(panels, alt, title=made.domain)


def settings(asked: Asked) -> Sequence[str]:
    """What was asked, in short, for the head of the page."""
    taken = [f"{count(asked.size)} parameters", f"{count(asked.tokens)} tokens"]
    return [*taken, f"forgetting at most {asked.limit}", f"confidence {asked.confidence:g}"]

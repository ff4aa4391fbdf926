"""``bayescpt plan``: the one run to train, with its odds, what it may regret, and what would do as well."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.answers import check_domain, load
from bayescpt.cli.files import check_output, write_frame
from bayescpt.cli.options import (
    Accept,
    BaseLoss,
    Debug,
    Domain,
    FitFile,
    Json,
    MaxForgetting,
    Weights,
    bounded,
    count,
    counts,
    forgetting,
)
from bayescpt.cli.options import weights as weights_of
from bayescpt.cli.plan_space import Asked, actions_of, check, numbers, retained_set, share_limits
from bayescpt.cli.plan_words import draw
from bayescpt.cli.predict import also
from bayescpt.cli.session import Gather, Session, session

if TYPE_CHECKING:
    import pandas as pd

    from bayescpt.decide import Objective
    from bayescpt.fit import Fit, Mixture


def plan(
    fit: FitFile,
    domain: Domain,
    size: Annotated[
        str | None, typer.Option(metavar="N", help="Non-embedding parameters of the run: 1.5B; without --flops.")
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(metavar="T", help="Tokens of the run, all sources together: 20B; without --flops.")
    ] = None,
    flops: Annotated[
        float | None,
        typer.Option(metavar="C", help="FLOPs to spend, 6 x size x tokens: size and tokens are chosen too."),
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(metavar="N,...", help="Sizes of the bases at hand, with --flops: 400M,1.5B.")
    ] = None,
    domain_tokens: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="Domain tokens that exist. Alone: each is read once, and the run is as long as they last. With "
            "--tokens, under the law `repeated`: they are read again.",
        ),
    ] = None,
    lr: Annotated[
        str | None,
        typer.Option(metavar="LR,...", help="Learning rates to choose from, under the law `trajectory`: 1e-4,3e-4."),
    ] = None,
    anneal: Annotated[
        str | None, typer.Option(metavar="PART,...", help="Parts of the run that anneal to 0 at its end: 0,0.2.")
    ] = None,
    phase_ratios: Annotated[
        str | None,
        typer.Option(
            metavar="R,...", help="Shares of the domain in a last phase, to choose from, under the law `phased`: 0.5,1."
        ),
    ] = None,
    phase_parts: Annotated[
        str | None, typer.Option(metavar="PART,...", help="Parts of the run that the last phase may be: 0.05,0.2.")
    ] = None,
    mixtures: Annotated[
        bool, typer.Option("--mixtures", help="Choose the shares of all sources, under a law of many sources.")
    ] = False,
    share_limit: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE=LOW:HIGH", help="Bounds of a source's share; repeatable.")
    ] = None,
    retain: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FIT.nc:X",
            help="Another set that is not to be forgotten: a fit whose general loss is that on it, and its budget; "
            "repeatable.",
        ),
    ] = None,
    max_forgetting: MaxForgetting = None,
    weights: Weights = None,
    confidence: Annotated[
        float | None, typer.Option(metavar="P", help="Probability with which the forgetting budget is to hold: 0.9.")
    ] = None,
    base_loss: BaseLoss = None,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="OUT", help="Every action with its odds, CSV or Parquet.")
    ] = None,
    accept: Accept = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """The best run under a forgetting budget or for stated weights: its ratio, its odds, its regret, its rivals."""
    with session(json, debug) as say:
        from bayescpt.data.read import CSV_SUFFIXES, PARQUET_SUFFIXES

        gather = Gather()
        asked = {
            name: gather(count, f"--{name}", text)
            for name, text in (("size", size), ("tokens", tokens))
            if text is not None
        }
        scarce = None if domain_tokens is None else gather(count, "--domain-tokens", domain_tokens)
        offered = None if sizes is None else gather(counts, "--sizes", sizes)
        rates = None if lr is None else gather(numbers, "--lr", lr, 0.0)
        falls = None if anneal is None else gather(numbers, "--anneal", anneal, 0.0, 1.0)
        late = (
            None
            if phase_ratios is None
            else gather(numbers, "--phase-ratios", phase_ratios, 0.0, math.nextafter(1.0, 2.0))
        )
        parts = (
            None
            if phase_parts is None
            else gather(numbers, "--phase-parts", phase_parts, math.nextafter(0.0, 1.0), 1.0)
        )
        limits = gather(share_limits, "--share-limit", share_limit or [])
        given = {
            "size": size,
            "tokens": tokens,
            "flops": flops,
            "sizes": sizes,
            "domain-tokens": domain_tokens,
            "lr": lr,
            "anneal": anneal,
            "phase-ratios": phase_ratios,
            "phase-parts": phase_parts,
            "mixtures": mixtures or None,
            "share-limit": share_limit,
            "retain": retain,
            "max-forgetting": max_forgetting,
            "weights": weights,
        }
        gather(check, [name for name, value in given.items() if value is not None])
        if flops is not None:
            gather(bounded, "--flops", flops, 0, math.inf, False)
        if confidence is not None:
            gather(bounded, "--confidence", confidence, 0, 1, False)
            if max_forgetting is None:
                gather.fault("--confidence is that of a forgetting budget: state --max-forgetting, or leave it out")
        budget = None if max_forgetting is None else gather(forgetting, "--max-forgetting", max_forgetting)
        worth = None if weights is None else gather(weights_of, "--weights", weights)
        if base_loss is not None:
            gather(bounded, "--base-loss", base_loss, 0, math.inf, False)
        path = None if out is None else gather(check_output, out, [fit], CSV_SUFFIXES + PARQUET_SUFFIXES)
        found = gather(load, fit, accept, say)
        gather(check_domain, "--domain", domain, found)
        from bayescpt.decide.plan import CONFIDENCE
        from bayescpt.decide.retained import faults_of

        others = [gather(retained_set, "--retain", text, lambda path: load(path, accept, say)) for text in retain or []]
        gather.done()
        from bayescpt.decide import DomainLoss, ForgettingBudget, RetainedBudgets, WeightedLoss

        wanted: Objective
        if budget is None:
            wanted = DomainLoss() if worth is None else WeightedLoss(*worth)
        elif others:
            wanted = RetainedBudgets(ForgettingBudget(*budget), others)
            for fault in faults_of(others, domain, found):
                gather.fault(f"--retain: {fault}")
            gather.done()
        else:
            wanted = ForgettingBudget(*budget)
        space = Asked(
            asked.get("size"),
            asked.get("tokens"),
            flops,
            offered,
            scarce,
            rates,
            falls,
            late,
            parts,
            mixtures,
            limits,
        )
        actions = actions_of(found, domain, space)
        _tell(found, domain, actions, wanted, CONFIDENCE if confidence is None else confidence, base_loss, path, say)


def _tell(
    found: Fit | Mixture,
    domain: str,
    actions: pd.DataFrame,
    wanted: Objective,
    confidence: float,
    base_loss: float | None,
    path: Any,
    say: Session,
) -> None:
    from bayescpt.ask.horizon import horizon, warnings
    from bayescpt.decide.phases import cautions_of_phase
    from bayescpt.decide.plan import plan as choose
    from bayescpt.decide.trust import cautions, trust

    base = None if base_loss is None else {"general": base_loss}
    chosen = choose(found, domain, actions, wanted, confidence, base)
    place = horizon(found.table, domain, chosen.action["size"], chosen.action["tokens"])
    for line in warnings([place]):
        say.warn(line)
    for line in cautions(chosen) + cautions_of_phase(chosen.action, found.table, domain):
        say.warn(line)
    told = chosen.summary() | {"trust": trust(place)} | place.fields() | also(found) | {"method": found.method}
    if path is not None:
        write_frame(chosen.actions, path)
        say.note(f"{len(chosen.actions)} actions written to {path}")
    say.result(told, lambda console: draw(told, console))

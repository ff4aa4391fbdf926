"""``bayescpt plan``: the one run to train, with its odds, what it may regret, and what would do as well."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.answers import load
from bayescpt.cli.check import short
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
from bayescpt.cli.predict import also
from bayescpt.cli.session import Gather, Session, session

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from bayescpt.decide import Objective
    from bayescpt.fit import Fit, Mixture

BELOW_ZERO = 0.01
"""Part of the draws with a loss that cannot be, from which a plan is warned of."""


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
        typer.Option(metavar="X", help="Domain tokens that exist, each read once: the run is as long as they last."),
    ] = None,
    max_forgetting: MaxForgetting = None,
    weights: Weights = None,
    confidence: Annotated[
        float, typer.Option(metavar="P", help="Probability with which the forgetting budget is to hold.")
    ] = 0.9,
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
        asked = {name: gather(count, f"--{name}", text) for name, text in (("size", size), ("tokens", tokens)) if text}
        scarce = None if domain_tokens is None else gather(count, "--domain-tokens", domain_tokens)
        offered = None if sizes is None else gather(counts, "--sizes", sizes)
        gather(_one_space, asked, flops, sizes, domain_tokens)
        if flops is not None:
            gather(bounded, "--flops", flops, 0, math.inf, False)
        gather(bounded, "--confidence", confidence, 0, 1, False)
        budget = None if max_forgetting is None else gather(forgetting, "--max-forgetting", max_forgetting)
        worth = None if weights is None else gather(weights_of, "--weights", weights)
        if max_forgetting is not None and weights is not None:
            gather.fault("expected one of --max-forgetting and --weights, got both")
        if max_forgetting is None and weights is None and domain_tokens is None:
            gather.fault(
                "say what is wanted: --max-forgetting or --weights (or --domain-tokens, for domain loss alone)"
            )
        if base_loss is not None:
            gather(bounded, "--base-loss", base_loss, 0, math.inf, False)
        path = None if out is None else gather(check_output, out, [fit], CSV_SUFFIXES + PARQUET_SUFFIXES)
        found = gather(load, fit, accept, say)
        gather.done()
        from bayescpt.decide import DomainLoss, ForgettingBudget, WeightedLoss

        wanted: Objective
        if budget is not None:
            wanted = ForgettingBudget(*budget)
        else:
            wanted = DomainLoss() if worth is None else WeightedLoss(*worth)
        actions = _actions(found, asked, flops, offered, scarce)
        _tell(found, domain, actions, wanted, confidence, base_loss, path, say)


def _one_space(asked: dict[str, float], flops: float | None, sizes: str | None, domain_tokens: str | None) -> None:
    """Raise ValueError unless what may be chosen is stated in one way."""
    if flops is not None and (asked or domain_tokens is not None):
        raise ValueError("--flops chooses size and tokens: leave out --size, --tokens and --domain-tokens")
    if flops is None and sizes is not None:
        raise ValueError("--sizes are chosen from under --flops: state them, or one --size")
    if flops is None and "size" not in asked:
        raise ValueError("state the --size of the run, or --flops to choose it")
    if flops is None and ("tokens" in asked) == (domain_tokens is not None):
        raise ValueError("state the --tokens of the run, or the --domain-tokens that exist, not both")


def _actions(
    found: Fit | Mixture,
    asked: dict[str, float],
    flops: float | None,
    sizes: list[float] | None,
    domain_tokens: float | None,
) -> pd.DataFrame:
    from bayescpt.decide import domain_limited, ratios, under_compute

    if flops is not None:
        return under_compute(flops, found.table, sizes)
    if domain_tokens is not None:
        return domain_limited(asked["size"], domain_tokens)
    return ratios(asked["size"], asked["tokens"])


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
    from bayescpt.decide.plan import plan as choose
    from bayescpt.decide.trust import trust

    base = None if base_loss is None else {"general": base_loss}
    chosen = choose(found, domain, actions, wanted, confidence, base)
    place = horizon(found.table, domain, chosen.action["size"], chosen.action["tokens"])
    for line in warnings([place]):
        say.warn(line)
    if chosen.action["tokens"] < found.table.tokens.min():
        first = short(found.table.tokens.min())
        say.warn(f"the run ends before the table's first checkpoint ({first} tokens): no row is near")
    if chosen.p_below_zero > BELOW_ZERO:
        say.warn(f"{chosen.p_below_zero:.0%} of the draws have a loss below zero: too far from the rows to be believed")
    told = chosen.summary() | {"trust": trust(place)} | place.fields() | also(found) | {"method": found.method}
    if path is not None:
        write_frame(chosen.actions, path)
        say.note(f"{len(chosen.actions)} actions written to {path}")
    say.result(told, lambda console: draw(told, console))


def draw(told: dict[str, Any], console: Console) -> None:
    """A plan for a person: the decision first, in one sentence."""
    for line in (decision(told), *_reasons(told)):
        console.print(line, soft_wrap=True)


def decision(told: dict[str, Any]) -> str:
    """The decision in one sentence with its odds."""
    action = told["action"]
    run = f"{short(action['size'])} parameters for {short(action['tokens'])} tokens"
    low, high = told["equally_good"]["low"], told["equally_good"]["high"]
    if told["status"] == "none":
        return (
            f"No run on offer keeps the general loss within its budget with probability {told['confidence']:g}: "
            f"the safest, ratio {action['ratio']:.3f} at {run}, does so with {action['p_allowed']:.2f}."
        )
    held = f"; the budget holds with probability {action['p_allowed']:.2f}" if "rise" in action else ""
    if told["status"] == "flat":
        sized = f"{short(action['size'])} parameters"
        return f"Ratios {low:.2f} to {high:.2f} at {sized} are equally good as far as these rows can tell{held}."
    return f"Train {told['domain']} at ratio {action['ratio']:.3f}, {run}{held}."


def _reasons(told: dict[str, Any]) -> list[str]:
    action, regret = told["action"], told["regret"]
    lines = [f"  wanted: {told['objective']}"]
    for name in ("domain", "general", "rise"):
        if name in action:
            what = "rise of the general loss" if name == "rise" else f"{name} loss"
            band = f"90% interval {action[f'{name}_q05']:.4f} to {action[f'{name}_q95']:.4f}"
            lines.append(f"  expected {what}: {action[name]:.4f} nats, {band}")
    if "rise" in action:
        lines.append(f"  probability that one measured run keeps the budget: {told['p_allowed_run']:.2f}")
    lines.append(f"  regret against knowing the truth: mean {regret['mean']:.4f}, 95% below {regret['q95']:.4f} nats")
    low, high = told["equally_good"]["low"], told["equally_good"]["high"]
    if told["status"] == "chosen" and high > low:
        lines.append(f"  equally good as far as these rows can tell: ratios {low:.3f} to {high:.3f}")
    small, large = told["equally_good"]["sizes"]
    if large > small:
        lines.append(f"  sizes among the equally good: {short(small)} to {short(large)} parameters")
    rival = told["runner_up"]
    if rival is not None:
        lines.append(
            f"  runner-up: ratio {rival['ratio']:.3f}, {short(rival['size'])} parameters, "
            f"{action['utility'] - rival['utility']:.4f} nats worse, better with probability {rival['p_better']:.2f}"
            f"{' (a tie)' if rival['tied'] else ''}"
        )
    lines += [f"  {line}" for line in told["trust"]]
    lines += [f"  {name}: {told[name]}" for name in ("accepted",) if name in told]
    return lines

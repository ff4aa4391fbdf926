"""``bayescpt cmr`` and ``bayescpt ratio``: a largest ratio, with its interval and how far it is from the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.check import short
from bayescpt.cli.fit import LOOK
from bayescpt.cli.options import (
    Accept,
    BaseLoss,
    Debug,
    Domain,
    FitFile,
    Json,
    MaxForgetting,
    Size,
    Tokens,
    Weights,
    bounded,
    count,
    forgetting,
)
from bayescpt.cli.options import weights as weights_of
from bayescpt.cli.session import Gather, InputError, Session, session
from bayescpt.data.faults import Fault
from bayescpt.data.names import fault_of_name

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from bayescpt.fit import Fit, Mixture


def load(path: str, accept: str | None, say: Session) -> Fit | Mixture:
    """The fit or mixture at ``path``, allowed to answer.

    Raises InputError where a check failed and nobody accepted that.
    """
    from bayescpt.fit import UnreliableFit
    from bayescpt.fit import load as read

    fit = read(path)
    caveats(fit, say)
    if fit.method == "laplace":
        say.warn(f"{path}: {LOOK}")
    if fit.passed:
        if accept is not None:
            say.note(f"{path} passed its checks; --accept is not needed and has no effect")
        return fit
    if accept is None:
        failed = [Fault("unreliable_fit", f"{one.name}: {one.message}") for one in fit.checks if not one.passed]
        raise InputError(f"{path}: {UnreliableFit(fit.checks)}", failed)
    say.warn(f"{path} failed its checks; accepted: {accept}")
    return fit.accept(accept)


def caveats(fit: Fit | Mixture, say: Session) -> None:
    """What the rows of ``fit`` cannot teach goes with every answer from it."""
    from bayescpt.data.overview import overview

    told = [one for one in overview(fit.table).findings if one.level.value == "FAIL"]
    for code in dict.fromkeys(one.code for one in told):
        mine = [one for one in told if one.code == code]
        more = f" And {len(mine) - 1} more of the kind (bayescpt check)." if len(mine) > 1 else ""
        say.warn(f"of the rows behind this answer: {mine[0].message}{more}")


def check_domain(option: str, domain: str, fit: Fit | Mixture | None) -> None:
    """Raise ValueError where this is no name, or nearly one of the table of ``fit``; without a fit the first alone."""
    if fault := fault_of_name(domain, () if fit is None else fit.table.domains):
        raise ValueError(f"{option}: {fault}")


def cmr(
    fit: FitFile,
    domain: Domain,
    size: Size,
    tokens: Tokens,
    tolerance: Annotated[float, typer.Option(metavar="NATS", help="Rise of the general loss that is allowed.")] = 0.05,
    multiplier: Annotated[
        float,
        typer.Option(metavar="LAMBDA", help="Weight of the general loss against the domain's in the turning point."),
    ] = math.inf,
    base_loss: BaseLoss = None,
    accept: Accept = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Critical mixture ratio: the largest that keeps the general loss within tolerance and past its turning point."""
    with session(json, debug) as say:
        gather = Gather()
        numbers = gather(count, "--size", size), gather(count, "--tokens", tokens)
        gather(bounded, "--tolerance", tolerance, 0)
        gather(bounded, "--multiplier", multiplier, 0, math.inf, False, True)
        if base_loss is not None:
            gather(bounded, "--base-loss", base_loss, 0, math.inf, False)
        found = gather(load, fit, accept, say)
        gather(check_domain, "--domain", domain, found)
        gather.done()
        from bayescpt.ask import critical_ratio

        _tell(found, critical_ratio(found, domain, *numbers, tolerance, multiplier, base_loss), {}, say)


def ratio(
    fit: FitFile,
    domain: Domain,
    size: Size,
    tokens: Annotated[
        str | None,
        typer.Option(
            metavar="T", help="Tokens of the run, all sources together: 20B, 500M. Needed but for --domain-tokens."
        ),
    ] = None,
    max_forgetting: MaxForgetting = None,
    weights: Weights = None,
    domain_tokens: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="Domain tokens that exist: the ratio of least domain loss, each read once; with --tokens, repeated.",
        ),
    ] = None,
    base_loss: BaseLoss = None,
    accept: Accept = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """The largest ratio under a forgetting budget, the best one for stated weights, or under limited domain data."""
    with session(json, debug) as say:
        gather = Gather()
        parameters = gather(count, "--size", size)
        run = None if tokens is None else gather(count, "--tokens", tokens)
        budget = None if max_forgetting is None else gather(forgetting, "--max-forgetting", max_forgetting)
        worth = None if weights is None else gather(weights_of, "--weights", weights)
        scarce = None if domain_tokens is None else gather(count, "--domain-tokens", domain_tokens)
        if base_loss is not None:
            gather(bounded, "--base-loss", base_loss, 0, math.inf, False)
        gather(_one_question, tokens, max_forgetting, weights, domain_tokens, base_loss)
        found = gather(load, fit, accept, say)
        gather(check_domain, "--domain", domain, found)
        gather.done()
        from bayescpt.ask import ratio_of_least_loss, ratio_under_budget, ratio_under_limited_data

        if budget is not None:
            assert run is not None
            answer = ratio_under_budget(found, domain, parameters, run, *budget, base_loss)
            _tell(found, answer, {"relative": True} if budget[1] else {}, say)
        elif worth is not None:
            assert run is not None
            base = None if base_loss is None else {"general": base_loss}
            _tell(found, ratio_of_least_loss(found, domain, parameters, run, *worth, base), {}, say)
        else:
            assert scarce is not None
            _tell(found, ratio_under_limited_data(found, domain, parameters, scarce, run), {}, say)


def _one_question(
    tokens: str | None,
    max_forgetting: str | None,
    weights: str | None,
    domain_tokens: str | None,
    base_loss: float | None,
) -> None:
    options = {"--max-forgetting": max_forgetting, "--weights": weights, "--domain-tokens": domain_tokens}
    asked = [name for name, value in options.items() if value is not None]
    if len(asked) != 1:
        got = " and ".join(asked) or "none"
        raise ValueError(f"expected exactly one of {', '.join(options)}, got {got}")
    if domain_tokens is None and tokens is None:
        raise ValueError(f"{asked[0]} asks about the end of a run: state its --tokens too")
    if domain_tokens is not None and base_loss is not None:
        raise ValueError("--base-loss is the general loss of the base, which --domain-tokens does not ask about")


def _tell(fit: Fit | Mixture, answer: xr.Dataset, extra: dict[str, Any], say: Session) -> None:
    from bayescpt.ask import summary
    from bayescpt.ask.horizon import horizon, warnings

    told = summary(answer)
    # domain tokens that are read once make the longer a run, the smaller their share
    longest = told["tokens"] if told["tokens"] is not None else told["domain_tokens"] / told["q05"]
    place = horizon(fit.table, told["domain"], told["size"], longest)
    for line in warnings([place]):
        say.warn(line)
    accepted = {} if fit.accepted is None else {"accepted": fit.accepted}
    if fit.method == "laplace":
        extra = extra | {"method": fit.method}
    question = str(answer.attrs["question"])
    everything = told | extra | place.fields() | accepted
    say.result(everything, lambda console: draw(question, everything, console))


def averaged(weights: Mapping[str, float], made: str) -> str:
    """What an answer of a mixture is averaged over, in words."""
    return f"averaged over {', '.join(f'{name} {weight:.2f}' for name, weight in weights.items())} ({made})"


def draw(question: str, told: dict[str, Any], console: Console) -> None:
    """A ratio with its interval, for a person."""
    lines = [
        f"{question}: {told['domain']}, size {short(told['size'])}, {_run(told)}",
        f"  median {told['q50']:.3f}, 90% interval {told['q05']:.3f} to {told['q95']:.3f}, mean {told['mean']:.3f}",
        _ends(told),
    ]
    if "weights" in told:
        lines.append(f"  {averaged(told['weights'], told['weights_by'])}")
    lines += [f"  {name}: {told[name]}" for name in ("note", "method", "accepted") if name in told]
    for line in lines:
        console.print(line, soft_wrap=True)


def _run(told: dict[str, Any]) -> str:
    if "domain_tokens" in told:
        exist = f"{short(told['domain_tokens'])} domain tokens"
        return f"{exist}, each read once" if told["tokens"] is None else f"tokens {short(told['tokens'])}, {exist}"
    if "weights_of_losses" in told:
        worth = told["weights_of_losses"]
        return f"tokens {short(told['tokens'])}, {worth['general']:g} x general + {worth['domain']:g} x domain loss"
    limit = (
        f"{100 * told['tolerance']:.4g}% of the base's loss" if told.get("relative") else f"{told['tolerance']:g} nats"
    )
    return f"tokens {short(told['tokens'])}, within {limit}"


def _ends(told: dict[str, Any]) -> str:
    if "weights_of_losses" in told:
        return f"  probability that it is no domain data {told['p_none']:.3f}, nothing else {told['p_all']:.3f}"
    if "domain_tokens" in told:
        least = f", that it is the smallest one searched {told['p_none']:.3f}"
        return f"  probability that all of the run is best domain data {told['p_all']:.3f}{least}"
    return f"  probability that no ratio qualifies {told['p_none']:.3f}, that every ratio does {told['p_all']:.3f}"

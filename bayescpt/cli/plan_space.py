"""What ``bayescpt plan`` may choose from, as the command line says it: ratios, sizes, rates, mixtures."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayescpt.cli.options import forgetting

if TYPE_CHECKING:
    import pandas as pd

    from bayescpt.decide import Retained
    from bayescpt.fit import Fit, Mixture


@dataclass(frozen=True)
class Asked:
    """The options, read; None where one was not given.

    Args:
        size, tokens: of the run; flops: to choose them under; sizes: of the bases at hand.
        domain_tokens: that exist.
        lr, anneal: learning rates, and parts of the run that anneal.
        phase_ratio, phase_part: shares and lengths of a last phase.
        mixtures: whether the shares of all sources are chosen; limits: least and largest share by source.
    """

    size: float | None = None
    tokens: float | None = None
    flops: float | None = None
    sizes: Sequence[float] | None = None
    domain_tokens: float | None = None
    lr: Sequence[float] | None = None
    anneal: Sequence[float] | None = None
    phase_ratio: Sequence[float] | None = None
    phase_part: Sequence[float] | None = None
    mixtures: bool = False
    limits: Mapping[str, tuple[float, float]] | None = None


def check(given: Collection[str]) -> None:
    """Raise ValueError unless the options that were given say in one way what may be chosen."""
    faults = []
    if "flops" in given and not {"size", "tokens", "domain-tokens"}.isdisjoint(given):
        faults.append("--flops chooses size and tokens: leave out --size, --tokens and --domain-tokens")
    if "flops" not in given:
        if "sizes" in given:
            faults.append("--sizes are chosen from under --flops: state them, or one --size")
        if "size" not in given:
            faults.append("state the --size of the run, or --flops to choose it")
        if {"tokens", "domain-tokens"}.isdisjoint(given):
            faults.append("state the --tokens of the run, or the --domain-tokens that exist")
    if "anneal" in given and "lr" not in given:
        faults.append("--anneal needs the --lr from which the rate falls")
    if len({"phase-ratios", "phase-parts"} & set(given)) == 1:
        faults.append("--phase-ratios and --phase-parts go together: the shares of a last phase, and how long it is")
    if "phase-ratios" in given and not {"mixtures", "domain-tokens"}.isdisjoint(given):
        faults.append("--phase-ratios are of runs of two sources that read new text: leave out what else is asked")
    if "mixtures" in given and not {"flops", "domain-tokens"}.isdisjoint(given):
        faults.append("--mixtures are of one run: state its --size and --tokens alone")
    if "share-limit" in given and "mixtures" not in given:
        faults.append("--share-limit is for --mixtures")
    if "retain" in given and "max-forgetting" not in given:
        faults.append("--retain goes with --max-forgetting, the budget of the general loss")
    if {"max-forgetting", "weights"} <= set(given):
        faults.append("expected one of --max-forgetting and --weights, got both")
    if {"max-forgetting", "weights", "domain-tokens"}.isdisjoint(given):
        faults.append("say what is wanted: --max-forgetting or --weights (or --domain-tokens, for domain loss alone)")
    if faults:
        raise ValueError("; ".join(faults))


def actions_of(found: Fit | Mixture, domain: str, asked: Asked) -> pd.DataFrame:
    """Every action on offer. Raises ValueError where the fit cannot tell them apart, or none is possible."""
    from bayescpt.decide import domain_limited, on_simplex, ratios, under_compute, with_phases, with_rates

    if asked.flops is not None:
        actions = under_compute(asked.flops, found.table, asked.sizes)
    else:
        assert asked.size is not None  # as checked
        if asked.mixtures:
            assert asked.tokens is not None
            sources = found.table.sources
            if not sources:
                raise ValueError("--mixtures: the table has no share_<source> columns, so that its streams have two")
            actions = on_simplex(asked.size, asked.tokens, sources, domain, limits=asked.limits)
        elif asked.tokens is None:
            assert asked.domain_tokens is not None
            actions = domain_limited(asked.size, asked.domain_tokens)
        else:
            actions = ratios(asked.size, asked.tokens)
            if asked.domain_tokens is not None:
                needs(found, "domain_tokens", "--tokens beside --domain-tokens", "repeated")
                actions = actions.assign(domain_tokens=asked.domain_tokens)
    if asked.lr is not None:
        needs(found, "lr_sum", "--lr", "trajectory")
        actions = with_rates(actions, found.table, asked.lr, asked.anneal or (0.0,))
    if asked.phase_ratio is not None:
        assert asked.phase_part is not None  # as checked
        needs(found, "phase_part", "--phase-ratios", "phased")
        actions = with_phases(actions, found.table, asked.phase_ratio, asked.phase_part)
    return actions


def needs(found: Fit | Mixture, statement: str, option: str, law: str) -> None:
    """Raise ValueError unless every law of the fit looks at what is chosen."""
    from bayescpt.fit import Mixture
    from bayescpt.model.covariates import statements_of

    fits = found.members.values() if isinstance(found, Mixture) else [found]
    blind = [fit.model.law.name for fit in fits if statement not in statements_of(fit.model.law)]
    if blind:
        raise ValueError(f"{option}: the law {', '.join(blind)} does not look at that; fit with --law {law}")


def numbers(option: str, text: str, low: float, high: float = math.inf) -> list[float]:
    """Several numbers, separated by commas. Raises ValueError unless all lie in [low, high), each named once."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(low <= value < high for value in values) or len(set(values)) < len(values):
        bound = f" and below {high:g}" if high < math.inf else ""
        raise ValueError(f"{option}: expected numbers of at least {low:g}{bound}, each once, got '{text}'")
    return values


def share_limits(option: str, texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Least and largest share by source from SOURCE=LOW:HIGH. Raises ValueError naming all that are none."""
    found, faults = {}, []
    for text in texts:
        name, _, span = text.partition("=")
        low, _, high = span.partition(":")
        try:
            limits = float(low), float(high)
        except ValueError:
            limits = (math.nan, math.nan)
        if not (name and 0 <= limits[0] <= limits[1] <= 1):
            faults.append(f"{option}: expected SOURCE=LOW:HIGH within [0, 1] such as code=0:0.2, got '{text}'")
        if name in found:
            faults.append(f"{option}: '{name}' is bounded twice")
        found[name] = limits
    if faults:
        raise ValueError("; ".join(faults))
    return found


def retained_set(option: str, text: str, load: Callable[[str], Fit | Mixture]) -> Retained:
    """A set that is not to be forgotten, from NAME=FIT.nc:BUDGET; ``load`` reads the fit.

    Raises ValueError on any other text.
    """
    from bayescpt.decide import Retained

    name, _, rest = text.partition("=")
    path, _, budget = rest.rpartition(":")
    if not (name and path):
        raise ValueError(
            f"{option}: expected NAME=FIT.nc:BUDGET such as code=code.nc:0.02 or code=code.nc:1%, got '{text}'"
        )
    limit = forgetting(f"{option} {name}", budget)
    return Retained(name, load(path), *limit)

"""Models held to rows that they have not seen, and the mixture of them that foresees best."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bayescpt.data.table import Table
from bayescpt.fit.compare import Say, comparison
from bayescpt.fit.fit import NUTS, Fit
from bayescpt.fit.held_out import check_folds_of, hold_out
from bayescpt.fit.mixture import Mixture
from bayescpt.fit.run import (
    DEFAULT_NOISE,
    DEFAULT_POOLING,
    check_method,
    check_rows,
    model_of,
    posterior,
    tell_unlearnable,
)
from bayescpt.laws import Law
from bayescpt.model.model import Model
from bayescpt.settings import SamplerSettings

LEAST_WEIGHT = 1e-3
"""A model with less than this part of the draws is left out of a mixture."""


def _silent(line: str) -> None:
    pass


@dataclass(frozen=True)
class Comparison:
    """Models side by side.

    Args:
        frame: see :func:`bayescpt.fit.compare.comparison`; ``failed_fits`` counts those that failed their checks.
        by: how rows were held out.
        whole: fits to all rows by model, where one was made on the way.
    """

    frame: pd.DataFrame
    by: str
    whole: Mapping[str, Fit]


def models_of(
    laws: str | Sequence[str | Law],
    pooling: str | Sequence[str] = DEFAULT_POOLING,
    noise: str | Sequence[str] = DEFAULT_NOISE,
    use_se: bool = False,
) -> dict[str, Model]:
    """Every law with every pooling and every noise, by the name law/pooling/noise.

    Raises ValueError naming every unknown part and those on offer.
    """
    poolings, noises = ([part] if isinstance(part, str) else part for part in (pooling, noise))
    parts = itertools.product([laws] if isinstance(laws, str) else laws, poolings, noises)
    models = [model_of(*each, use_se=use_se) for each in parts]
    return {f"{model.law.name}/{model.hierarchy.name}/{model.noise.name}": model for model in models}


def compare(
    table: Table,
    laws: str | Sequence[str | Law],
    pooling: str | Sequence[str] = DEFAULT_POOLING,
    noise: str | Sequence[str] = DEFAULT_NOISE,
    by: str = "run",
    method: str = NUTS,
    seed: int = 0,
    settings: SamplerSettings | None = None,
    say: Say = _silent,
    use_se: bool = False,
) -> Comparison:
    """Laws, poolings and noises side by side, by what they say of rows that they have not seen; ``bayescpt compare``.

    Args:
        laws, pooling, noise: names; each law with each pooling and each noise.
        by: what is held out: ``run``, ``ratio``, ``size``, ``domain`` or ``tokens``.
        method, seed, settings, use_se: of every fit, as in :func:`bayescpt.fit.fit`.
        say: told before every model and every refit.

    Raises ValueError for unknown parts, and where the rows cannot carry a law or cannot be held out that way.

    Examples:
        >>> from bayescpt import compare
        >>> found = compare(table, ["memory", "two_term"], pooling="partial", by="size")  # doctest: +SKIP
        >>> found.frame[["model", "elpd", "difference", "difference_se", "weight"]]  # doctest: +SKIP
    """
    tell_unlearnable(table)
    return compare_models(table, models_of(laws, pooling, noise, use_se), by, method, seed, settings, say)


def compare_models(
    table: Table,
    models: Mapping[str, Model],
    by: str = "run",
    method: str = NUTS,
    seed: int = 0,
    settings: SamplerSettings | None = None,
    say: Say = _silent,
) -> Comparison:
    """Hold every model to the same held-out rows; ``models`` by name, see :func:`models_of`, the rest as in
    :func:`compare`.

    Raises ValueError where the rows cannot carry one of the laws, or cannot be held out that way.
    """
    check_method(method)
    for model in models.values():
        check_rows(table, model)
        check_folds_of(table, model, by)
    judged = {}
    for name, model in models.items():
        say(f"{name}, by {by}")
        judged[name] = hold_out(table, model, by, method, seed, settings or SamplerSettings(), say)
    frame = comparison({name: one.held for name, one in judged.items()})
    frame["failed_fits"] = [judged[name].failed for name in frame["model"]]
    return Comparison(frame, by, {name: one.whole for name, one in judged.items() if one.whole is not None})


def stacked(
    found: Comparison,
    table: Table,
    models: Mapping[str, Model],
    method: str = NUTS,
    seed: int = 0,
    settings: SamplerSettings | None = None,
    say: Say = _silent,
) -> Mixture:
    """The mixture by the stacking weights of a comparison of ``models`` on ``table``; the rest as in :func:`compare`.

    Models with a weight below 0.001 are left out. The others are fitted to all rows where the comparison has not done
    it.
    """
    weights = {str(row["model"]): float(row["weight"]) for row in found.frame.to_dict("records")}
    weights = {name: weight for name, weight in weights.items() if weight >= LEAST_WEIGHT}
    members = {}
    for name in weights:
        whole = found.whole.get(name)
        if whole is None:
            say(f"{name}, all rows")
            whole = posterior(table, models[name], method, seed, settings)
        members[name] = whole
    total = sum(weights.values())
    return Mixture(
        members=members,
        weights={name: weight / total for name, weight in weights.items()},
        seed=seed,
        made=f"stacking of log predictive densities, held out by {found.by}",
        comparison=found.frame,
    )


def average(
    table: Table,
    laws: str | Sequence[str | Law],
    pooling: str | Sequence[str] = DEFAULT_POOLING,
    noise: str | Sequence[str] = DEFAULT_NOISE,
    by: str = "run",
    method: str = NUTS,
    seed: int = 0,
    settings: SamplerSettings | None = None,
    say: Say = _silent,
    use_se: bool = False,
) -> Mixture:
    """Laws compared by what they foresee, and averaged: a mixture that every question can be asked of.

    Weights are those of the mixture with the largest sum of log predictive densities of held-out rows (stacking, Yao et
    al. 2018, 1704.02030). What is held out says what they are good for: ``run`` weighs what foresees one more run like
    those of the table, ``size`` what foresees a size that was not run, and so the next scale; ``tokens`` the end of
    runs from their first third, ``domain`` a new domain, ``ratio`` a new ratio.

    Args:
        laws, pooling, noise: names; each law with each pooling and each noise.
        by: what is held out.
        method, seed, settings, use_se: as in :func:`bayescpt.fit.fit`.
        say: told before every model and every refit.

    Raises ValueError for unknown parts, and where the rows cannot carry a law or cannot be held out that way.

    Examples:
        >>> from bayescpt import average
        >>> mixture = average(table, ["memory", "two_term"], by="tokens")  # doctest: +SKIP
        >>> mixture.weights  # doctest: +SKIP
    """
    models = models_of(laws, pooling, noise, use_se)
    tell_unlearnable(table)
    found = compare_models(table, models, by, method, seed, settings, say)
    return stacked(found, table, models, method, seed, settings, say)

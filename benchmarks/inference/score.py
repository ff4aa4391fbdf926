"""What draws are worth: effective sample size and R-hat of parameters, and of the answers that are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import arviz_base
import arviz_stats
import numpy as np
import xarray as xr

from bayescpt.ask import critical_ratio, ratio_under_budget
from bayescpt.data.table import Table
from bayescpt.fit.fit import Fit
from bayescpt.fit.run import model_of
from bayescpt.fit.tree import tree_of
from bayescpt.model.layout import reference_of
from bayescpt.schema import TARGETS
from benchmarks.inference.simulate import LAW, NOISE, POOLING

PARAMETERS = ("coordinates", "population", "spread", "base_sd", "run_sd", "noise_typical", "log_noise_sd")
PARAMETERS += ("noise_sd", "noise_memory", "noise_share_exponent", "noise_early")
BUDGET = 0.05
"""nats per token, of the optimal ratio and of the CMR"""
MOVES = 1e-9
"""Standard deviation below which an answer is the same in all draws, at a border of [0, 1]."""


def answers(table: Table, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Draws (chain, draw) of optimal ratio and CMR by domain, at the largest size and budget, from draws of the sites.

    A contender's draws are put into a fit of this package, so that all are asked by the same code.
    """
    model = model_of(LAW, POOLING, NOISE).on(table)
    layout, reference = model.layout(table), reference_of(table)
    chains, draws = found["run_sd"].shape[:2]
    sites = dict(found)
    sites.setdefault("noise_sd", np.exp(sites["log_noise_sd"]) if "log_noise_sd" in sites else sites["noise_sd"])
    tree = tree_of(model, table, layout, reference, sites, {}, told=False)
    fitted = Fit(model=model, table=table, reference=reference, tree=tree, checks=(), seed=1, method="laplace")
    result = {}
    for domain in table.domains:
        setting = (domain, float(table.size.max()), float(table.tokens.max()), BUDGET)
        base = base_loss(table, domain)
        for name, question in (("ratio", ratio_under_budget), ("cmr", critical_ratio)):
            answer = question(fitted, *setting, base_loss=base)
            result[f"{name}[{domain}]"] = answer["value"].to_numpy().reshape(chains, draws)
    return result


def base_loss(table: Table, domain: str) -> float:
    """The base's general loss that the questions state: such that about an even mix uses the budget up."""
    mine = (table.domain == table.domains.index(domain)) & (table.target == TARGETS.index("general"))
    mine &= (table.size == table.size.max()) & (table.tokens == table.tokens.max()) & np.isclose(table.ratio, 0.5)
    return float(table.loss[mine].mean()) - BUDGET


def worst(draws: Mapping[str, np.ndarray]) -> tuple[float, str, float]:
    """Least bulk ESS, the quantity that has it, and the largest R-hat. Quantities that never move are left out."""
    data = arviz_base.dict_to_dataset(
        {k: v for k, v in draws.items() if v.std() > MOVES}, sample_dims=["chain", "draw"]
    )
    ess: xr.Dataset = arviz_stats.ess(data, method="bulk")
    least = {str(name): float(values.min()) for name, values in ess.items()}
    name = min(least, key=least.__getitem__)
    r_hat = max(float(values.max()) for values in arviz_stats.rhat(data).values())
    return least[name], name, r_hat


def score(table: Table, found: Mapping[str, np.ndarray], seconds: float) -> dict[str, Any]:
    """One line of the table: worst quantities, and effective draws a second of the whole process.

    Raises ValueError for a contender that was stopped before its warm-up was over.
    """
    if min(found["run_sd"].shape[:2]) < 4:
        raise ValueError("no draws after the warm-up")
    parameters = {name: found[name] for name in PARAMETERS if name in found}
    ess, name, r_hat = worst(parameters)
    asked = answers(table, found)
    ess_asked, name_asked, _ = worst(asked)
    return {
        "seconds": seconds,
        "draws": int(np.prod(found["run_sd"].shape[:2])),
        "ess": ess,
        "worst": name,
        "r_hat": r_hat,
        "ess_asked": ess_asked,
        "worst_asked": name_asked,
        "divergences": int(found["diverging"].sum()),
        "steps": float(found["n_steps"].mean()),
        "whole": bool(found["whole"]),
        "per_second": ess / seconds,
        "per_second_asked": ess_asked / seconds,
        "quantiles": {
            name: [float(q) for q in np.quantile(values, (0.05, 0.5, 0.95))] for name, values in asked.items()
        },
    }

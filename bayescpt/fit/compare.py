"""Laws and hierarchies side by side, by what they say of runs they have not seen."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from bayescpt.data.table import Table
from bayescpt.fit.fit import LAPLACE, Fit
from bayescpt.fit.folds import folds_of
from bayescpt.fit.foresight import ENOUGH, foreseen, variance_of_mean
from bayescpt.fit.sample import Sampler

K_BELOW = 0.7
"""Pareto k-hat up to which importance sampling stands in for a refit (Vehtari et al. 2024, 1507.02646)."""
STEPS = 2000


Refit = Callable[[Table, Sampler], Fit]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Held:
    """What one model says of every run that was held out of it.

    Args:
        density: log predictive density of each run, in nats.
        refits: number of fits made besides the first.
        fold: which runs were held out together, by number; each by itself without.
        variance: of the sum of ``density``, from there being so many draws of each fit and no more.
        thin: number of runs that rest on fewer than :data:`bayescpt.fit.foresight.ENOUGH` effective draws.
    """

    density: Float[np.ndarray, " run"]
    refits: int
    fold: Int[np.ndarray, " run"] | None = None
    variance: float = 0.0
    thin: int = 0


def leave_one_run_out(fit: Fit, sampler: Sampler, refit: Refit, say: Say) -> Held:
    """PSIS-LOO over runs: importance weights from the fit to all of them, a refit where they cannot be trusted.

    Of a fit by ``laplace`` every run is left out by a refit: its draws come from a normal around a mode that has seen
    the run, which importance weights do not undo.

    A run is left out as a whole, since its checkpoints are not independent; runs share the effect of their base, which
    is not left out with them (Vehtari et al. 2017, 1507.04544).

    Args:
        fit: on all rows.
        sampler: that made it.
        refit: makes a fit on other rows.
        say: told before every refit.
    """
    import arviz_stats  # a second, which only this needs

    with warnings.catch_warnings():
        # what it warns of, high k-hat, is mended below
        warnings.simplefilter("ignore", UserWarning)
        found = arviz_stats.loo(fit.told, var_name="run_loss", pointwise=True)
    density, k_hat = np.array(found.elpd_i.values), np.asarray(found.pareto_k.values)
    table = fit.table
    names = fit.told["log_likelihood"].to_dataset()["run"].to_numpy()
    poor = ~(k_hat < K_BELOW) | (fit.method == LAPLACE)
    bad, thin = np.flatnonzero(poor), 0
    variance = _variance_by_weights(fit, ~poor)
    for place in bad:
        say(f"run {names[place]} again: k-hat {k_hat[place]:.2f}")
        mine = table.run == table.runs.index(str(names[place]))
        again = refit(table.select(~mine), sampler)
        found = foreseen(again, table.select(mine))
        density[place] = found.density[np.unique(table.run[mine])][0]
        variance, thin = variance + found.variance, thin + int(np.nansum(found.effective < ENOUGH))
    return Held(density, len(bad), variance=variance, thin=thin)


def _variance_by_weights(fit: Fit, kept: Bool[np.ndarray, " run"]) -> float:
    """Of the sum of log predictive densities by importance sampling: each is less the log of a mean of 1 / density."""
    inverse = -fit.told["log_likelihood"].to_dataset()["run_loss"].transpose("chain", "draw", "run").values[..., kept]
    weights = np.exp(inverse - inverse.max(axis=(0, 1), initial=-np.inf))
    return variance_of_mean((weights / weights.mean(axis=(0, 1))).sum(axis=-1))


def leave_folds_out(table: Table, by: str, sampler: Sampler, refit: Refit, say: Say) -> Held:
    """Exact refits without each fold; the runs that were held out, or the held-out ends of runs, count one by one.

    Args:
        table: all rows.
        by: how to fold, one of :data:`bayescpt.fit.folds.FOLDS`.
        sampler: for the refits.
        refit: makes a fit on other rows.
        say: told before every refit.

    Raises ValueError where the rows cannot be held out that way.
    """
    folds = folds_of(table, by)
    density, member = np.full(len(table.runs), np.nan), np.zeros(len(table.runs), int)
    variance, thin = 0.0, 0
    for number, fold in enumerate(folds):
        say(f"without {fold.name}")
        held = table.select(fold.held)
        found = foreseen(refit(table.select(~fold.held), sampler), held)
        there = ~np.isnan(found.density)
        density[there], member[there] = found.density[there], number
        variance, thin = variance + found.variance, thin + int((found.effective[there] < ENOUGH).sum())
    there = ~np.isnan(density)
    return Held(density[there], len(folds), member[there], variance, thin)


def stacking_weights(density: Float[np.ndarray, "run model"]) -> Float[np.ndarray, " model"]:
    """Weights of the mixture of models with the largest sum of log predictive densities (Yao et al. 2018, 1704.02030).

    By expectation maximisation, which climbs this concave objective from anywhere inside the simplex.
    """
    relative = np.exp(density - density.max(axis=1, keepdims=True))
    weights = np.full(density.shape[1], 1 / density.shape[1])
    for _ in range(STEPS):
        shares = weights * relative
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights


def comparison(held: dict[str, Held]) -> pd.DataFrame:
    """One row a model, the best first.

    Columns: ``elpd`` (sum of log predictive densities, nats), ``difference`` to the best, and their standard errors
    over ``folds``, whose runs were foreseen by one fit and are not independent (none where there is one fold alone);
    ``simulation_se``, which is the standard error of ``elpd`` for there being so many draws and no more, and ``thin``,
    the runs that rest on fewer than 50 effective draws; stacking ``weight``, ``refits``.
    """
    names = list(held)
    density = np.stack([held[name].density for name in names], axis=1)
    runs = len(density)
    fold = held[names[0]].fold
    together = np.unique(np.arange(runs) if fold is None else fold, return_inverse=True)[1]
    folds = int(together.max()) + 1
    total = density.sum(axis=0)
    best = density[:, [int(np.argmax(total))]]

    def error(values: Float[np.ndarray, "run model"]) -> Float[np.ndarray, " model"]:
        if folds == 1:
            return np.full(values.shape[1], np.nan)
        sums = np.zeros((folds, values.shape[1]))
        np.add.at(sums, together, values)
        return np.asarray(np.sqrt(folds) * sums.std(axis=0, ddof=1))

    frame = pd.DataFrame(
        {
            "model": names,
            "runs": runs,
            "folds": folds,
            "elpd": total,
            "elpd_se": error(density),
            "difference": (density - best).sum(axis=0),
            "difference_se": error(density - best),
            "simulation_se": [math.sqrt(held[name].variance) for name in names],
            "thin": [held[name].thin for name in names],
            "weight": stacking_weights(density),
            "refits": [held[name].refits for name in names],
        }
    )
    return frame.sort_values("elpd", ascending=False, ignore_index=True)

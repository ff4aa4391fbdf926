"""Laws and hierarchies side by side, by what they say of runs they have not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.fit.fit import Fit
from bayescpt.fit.folds import folds_of
from bayescpt.fit.foresight import expected_density, run_densities
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
    """

    density: Float[np.ndarray, " run"]
    refits: int


def leave_one_run_out(fit: Fit, sampler: Sampler, refit: Refit, say: Say) -> Held:
    """PSIS-LOO over runs: importance weights from the fit to all of them, a refit where they cannot be trusted.

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
    bad = np.flatnonzero(~(k_hat < K_BELOW))
    for place in bad:
        say(f"run {names[place]} again: k-hat {k_hat[place]:.2f}")
        mine = table.run == table.runs.index(str(names[place]))
        again = refit(table.select(~mine), sampler)
        density[place] = expected_density(run_densities(again, table.select(mine)))[np.unique(table.run[mine])][0]
    return Held(density, len(bad))


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
    density = np.full(len(table.runs), np.nan)
    for fold in folds:
        say(f"without {fold.name}")
        held = table.select(fold.held)
        found = expected_density(run_densities(refit(table.select(~fold.held), sampler), held))
        density[~np.isnan(found)] = found[~np.isnan(found)]
    return Held(density[~np.isnan(density)], len(folds))


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

    Columns: ``elpd`` (sum of log predictive densities, nats) and its standard error over runs, ``difference`` to the
    best with the standard error of that difference, stacking ``weight``, ``refits``.
    """
    names = list(held)
    density = np.stack([held[name].density for name in names], axis=1)
    runs = len(density)
    total = density.sum(axis=0)
    best = density[:, [int(np.argmax(total))]]

    def error(values: Float[np.ndarray, "run model"]) -> Float[np.ndarray, " model"]:
        return np.sqrt(runs) * values.std(axis=0, ddof=1) if runs > 1 else np.full(values.shape[1], np.nan)

    frame = pd.DataFrame(
        {
            "model": names,
            "runs": runs,
            "elpd": total,
            "elpd_se": error(density),
            "difference": (density - best).sum(axis=0),
            "difference_se": error(density - best),
            "weight": stacking_weights(density),
            "refits": [held[name].refits for name in names],
        }
    )
    return frame.sort_values("elpd", ascending=False, ignore_index=True)

"""One model, held-out rows: fits as many times as that takes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from bayescpt.data.learnability import traits_of
from bayescpt.data.table import Table
from bayescpt.fit.compare import Held, Say, leave_folds_out, leave_one_run_out
from bayescpt.fit.fit import NUTS, Fit
from bayescpt.fit.folds import folds_of
from bayescpt.fit.run import check_rows, posterior
from bayescpt.fit.sample import Sampler
from bayescpt.model.covariates import covariates_of
from bayescpt.model.model import Model
from bayescpt.settings import SamplerSettings

ACCEPTED = "one fit of a comparison; how many failed is told beside it"


class Judged(NamedTuple):
    """A model held to rows that it has not seen."""

    held: Held
    failed: int
    """fits that failed their checks"""
    whole: Fit | None
    """the fit to all rows, where one was made"""


def check_foresight(model: Model, by: str) -> None:
    """Raise ValueError where ``model`` cannot be held to account run by run without refits.

    Early rows that a hierarchy reads as statistics have no density, so a run's would be that of its later rows alone.
    """
    if by == "run" and model.hierarchy.early:
        raise ValueError(
            f"pooling {model.hierarchy.name} reads the first rows of runs as statistics, so it has no density of whole "
            "runs by importance sampling: hold out otherwise (--by ratio, size or tokens)"
        )


def check_folds_of(table: Table, model: Model, by: str) -> None:
    """Raise ValueError where rows cannot be held out that way, or where ``model`` could not be fitted without a fold or
    asked for it: before hours of fits that come first."""
    law = model.law.on(table.sources)
    for fold in folds_of(table, by):
        if by == "run":  # few of these are ever refitted, and what a run needs is known from the others
            break
        try:
            known = table.select(~fold.held)
            check_rows(known, model)
            covariates_of(table.select(fold.held), law, known)
            if model.hierarchy.early:
                traits_of(known)
        except ValueError as error:
            which = f"{law.name}/{model.hierarchy.name}"
            raise ValueError(f"{which} cannot be held to rows held out by {by} ({fold.name}): {error}") from error


def hold_out(
    table: Table, model: Model, by: str, method: str, seed: int, settings: SamplerSettings, say: Say
) -> Judged:
    """What ``model`` says of every run held out of it.

    Args:
        table: all rows.
        model: law, hierarchy and noise.
        by: how rows are held out, one of :data:`bayescpt.fit.folds.FOLDS`; ``run`` goes by importance sampling.
        method: how a fit is made.
        seed: of the fits.
        settings: of the sampler.
        say: told before every refit.

    Raises ValueError where the rows cannot carry the law or cannot be held out that way.
    """
    check_foresight(model, by)
    model = model.on(table)
    sampler = Sampler(model, settings)
    failed = 0

    def refit(rows: Table, sampler: Sampler) -> Fit:
        nonlocal failed
        found = posterior(rows, model, method, seed, settings, sampler if method == NUTS else None)
        failed += not found.passed
        return found if found.passed else found.accept(ACCEPTED)

    if by == "run":
        whole = refit(table, sampler)
        held = leave_one_run_out(whole, sampler, refit, say)
        return Judged(held, failed, replace(whole, accepted=None))
    return Judged(leave_folds_out(table, by, sampler, refit, say), failed, None)

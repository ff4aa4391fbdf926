"""Learning rates along a run: their sum S1 and the annealing area S2 (2505.07796)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float

from bayescpt.data.table import Table
from bayescpt.model.covariates.base import Covariate, Question, column_of, on_grid, stated_number


class LrSum(Covariate):
    """S1, the sum of learning rates since the base.

    At a question: what is stated as ``lr_sum``, which along the run then grows in proportion to the tokens, as at a
    constant rate. Else the table's own path, see :func:`constant_path`.
    """

    name = "lr_sum"
    meaning = "S1: sum of learning rates over the steps since the base"
    statement = "lr_sum"
    setting = True

    def of_rows(self, table: Table) -> Float[np.ndarray, " row"]:
        values = column_of(table, self.name, "the sum of learning rates since the base, S1")
        if not values.max() > 0:
            raise ValueError("lr_sum is 0 in every row: expected the sum of learning rates of all steps since the base")
        return values

    def asked(self, question: Question) -> Float[np.ndarray, "*grid"]:
        stated = stated_number(question, self.statement, "a sum of learning rates of at least 0", zero=True)
        return on_grid(self._path(question) if stated is None else stated, question)

    def along(self, question: Question) -> Float[np.ndarray, "*grid"]:
        if self.statement in question.stated:
            return self.asked(question)
        return super().along(question)

    def _path(self, question: Question) -> Float[np.ndarray, "*grid"]:
        tokens, path = constant_path(question.table, question.size)
        last = (path[-1] - path[-2]) / (tokens[-1] - tokens[-2])
        beyond = np.maximum(question.tokens - tokens[-1], 0.0)
        return np.asarray(np.interp(question.tokens, tokens, path) + last * beyond)


class LrAnneal(Covariate):
    """S2, the annealing area since the base: what is stated as ``lr_anneal``, else 0, that of a constant rate.

    Along the run it is held: a slope is that among runs that are annealed as much.
    """

    name = "lr_anneal"
    meaning = "S2: annealing area since the base"
    statement = "lr_anneal"
    setting = True

    def of_rows(self, table: Table) -> Float[np.ndarray, " row"]:
        values = column_of(table, self.name, "the annealing area since the base, S2; 0 at a constant rate")
        if values.min() < 0:
            raise ValueError(
                f"lr_anneal is below 0 in {int((values < 0).sum())} rows: expected the area of falls of the learning "
                "rate after its peak alone (a warm-up adds nothing)"
            )
        return values

    def asked(self, question: Question) -> Float[np.ndarray, "*grid"]:
        stated = stated_number(question, self.statement, "an annealing area of at least 0", zero=True)
        return on_grid(0.0 if stated is None else stated, question)

    def along(self, question: Question) -> Float[np.ndarray, "*grid"]:
        return on_grid(0.0, question)


@lru_cache(maxsize=32)
def constant_path(table: Table, size: float) -> tuple[Float[np.ndarray, " knot"], Float[np.ndarray, " knot"]]:
    """Tokens and S1 along the runs of the table that do not anneal: those of the size nearest to ``size``.

    Between two checkpoints of any of them the rate per token is the median over the runs that have both; S1 is its
    integral from 0, so that it is linear in tokens between checkpoints and never falls. Where all runs have one
    schedule this is their S1. A table without ``lr_anneal`` is taken to have no annealed run.

    Raises ValueError where every run anneals.
    """
    path = column_of(table, "lr_sum", "the sum of learning rates since the base, S1")
    constant = constant_rows(table, size)
    knots = np.unique(np.append(table.tokens[constant], 0.0))
    rises = []
    for run in np.unique(table.run[constant]):
        mine = np.flatnonzero(constant & (table.run == run))
        mine = mine[np.argsort(table.tokens[mine], kind="stable")]
        own = np.interp(knots, np.append(0.0, table.tokens[mine]), np.append(0.0, path[mine]), right=np.nan)
        rises.append(np.diff(own))
    integral = np.append(0.0, np.cumsum(np.nanmedian(rises, axis=0)))
    for shared in (knots, integral):
        shared.flags.writeable = False
    return knots, integral


def constant_rows(table: Table, size: float) -> Bool[np.ndarray, " row"]:
    """Rows of the runs that do not anneal, of the size nearest to ``size`` that has any.

    Raises ValueError where every run anneals.
    """
    path = column_of(table, "lr_sum", "the sum of learning rates since the base, S1")
    annealed = np.zeros(len(table), bool) if table.lr_anneal is None else table.lr_anneal > SAME * path.max()
    constant = ~np.isin(table.run, table.run[annealed])
    if not constant.any():
        raise ValueError(
            "every run of the table anneals, so that its rows do not say what S1 a run at a constant rate has: state "
            "lr_sum and lr_anneal of the run that is asked about"
        )
    distance = np.abs(np.log(table.size / size))
    return constant & np.isclose(distance, distance[constant].min(), rtol=0, atol=SAME)


SAME = 1e-9
"""Relative difference below which learning rates and sizes count as equal."""

"""What a law may ask of every point besides size, tokens, share and base: from the rows, and at a question's point.

A law names what it needs (:attr:`bayescpt.laws.base.Law.covariates`). To add a covariate, write its class and name it
in ``ALL``. At a question a statement of the user wins; without one the run is taken to be as the table's were.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.laws import Law


class Question(NamedTuple):
    """Where a covariate is asked for."""

    table: Table
    domain: str
    size: float
    tokens: float | Float[np.ndarray, "*grid"]
    """tokens of the run, one number or one for every ratio"""
    ratio: Float[np.ndarray, "*grid"]
    """share of domain tokens"""
    stated: Mapping[str, Any]
    """what the user says of the run, by name"""


class Covariate(ABC):
    """One covariate. Subclasses are final and hold no state."""

    name: ClassVar[str]
    meaning: ClassVar[str]
    statement: ClassVar[str]
    """name of what a user may state at a question"""

    @abstractmethod
    def of_rows(self, table: Table) -> Float[np.ndarray, " row *own"]:
        """Values of the training rows. Raises ValueError where the table does not give them."""

    @abstractmethod
    def asked(self, question: Question) -> Float[np.ndarray, "*grid *own"]:
        """Values at the ratios of a question; without a statement of the user, of a run as the table's were."""

    def along(self, question: Question) -> Float[np.ndarray, "*grid *own"]:
        """Derivative by log tokens along the run, at the ratios of a question: here by a central difference."""
        after, before = (self.asked(question._replace(tokens=question.tokens * np.exp(step))) for step in (STEP, -STEP))
        return (after - before) / (2 * STEP)


STEP = 1e-4
"""Of central differences, in e-folds of tokens."""


def column_of(table: Table, name: str, use: str) -> Float[np.ndarray, " row"]:
    """An optional column of the contract. Raises ValueError where the table lacks it."""
    values = getattr(table, name)
    if values is None:
        raise ValueError(f"the column {name} is needed ({use}) and is not given, or not in every row: add it")
    return values


def stated_number(question: Question, name: str, wanted: str, zero: bool) -> float | None:
    """A number that the user states, None where nothing is stated.

    Raises ValueError, saying what is ``wanted``, unless it is finite and positive, or 0 where that is allowed.
    """
    if name not in question.stated:
        return None
    value = question.stated[name]
    number = isinstance(value, int | float | np.number) and np.isfinite(value)
    if not (number and (value > 0 or (zero and value == 0))):
        raise ValueError(f"{name} must be {wanted}, got {value}")
    return float(value)


def on_grid(value: Any, question: Question) -> Float[np.ndarray, "*grid"]:
    """``value`` at every ratio of the question."""
    return np.broadcast_to(np.asarray(value, dtype=float), question.ratio.shape)


class DomainEpochs(Covariate):
    """How often the domain corpus has been read: r D / U, U the stated ``domain_tokens``; 0 where none are stated."""

    name = "domain_epochs"
    meaning = "how often the domain corpus has been read"
    statement = "domain_tokens"

    def of_rows(self, table: Table) -> Float[np.ndarray, " row"]:
        return column_of(table, self.name, "how often the domain corpus was repeated")

    def asked(self, question: Question) -> Float[np.ndarray, "*grid"]:
        unique = stated_number(question, self.statement, "a positive number of tokens", zero=False)
        return on_grid(0.0 if unique is None else question.ratio * question.tokens / unique, question)


class LrSum(Covariate):
    """S1, the sum of learning rates since the base.

    At a question: what is stated as ``lr_sum``, which along the run then grows in proportion to the tokens, as at a
    constant rate. Else the table's own path, see :func:`constant_path`.
    """

    name = "lr_sum"
    meaning = "S1: sum of learning rates over the steps since the base"
    statement = "lr_sum"

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
    annealed = np.zeros(len(table), bool) if table.lr_anneal is None else table.lr_anneal > SAME * path.max()
    constant = ~np.isin(table.run, table.run[annealed])
    if not constant.any():
        raise ValueError(
            "every run of the table anneals, so that its rows do not say what S1 a run at a constant rate has: state "
            "lr_sum and lr_anneal of the run that is asked about"
        )
    distance = np.abs(np.log(table.size / size))
    constant &= np.isclose(distance, distance[constant].min(), rtol=0, atol=SAME)
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


SAME = 1e-9
"""Relative difference below which learning rates and sizes count as equal."""

ALL: tuple[Covariate, ...] = (DomainEpochs(), LrSum(), LrAnneal())
COVARIATES: dict[str, Covariate] = {covariate.name: covariate for covariate in ALL}


def covariates_of(table: Table, law: Law) -> dict[str, Float[np.ndarray, " row *own"]]:
    """What ``law`` needs of the training rows of ``table``, by name.

    Raises ValueError naming everything that the table does not give.
    """
    found, faults = {}, []
    for name in law.covariates:
        try:
            found[name] = COVARIATES[name].of_rows(table)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError(f"the law '{law.name}' cannot be fitted to these rows: " + "; ".join(faults))
    return found


def statements_of(law: Law) -> tuple[str, ...]:
    """What may be stated of a run that ``law`` is asked about."""
    return tuple(COVARIATES[name].statement for name in law.covariates)


def refuse_statements(law: Law, stated: Mapping[str, Any]) -> None:
    """Raise ValueError where something is stated that ``law`` does not look at."""
    known = statements_of(law)
    strange = [name for name in stated if name not in known]
    if strange:
        raise ValueError(
            f"the law '{law.name}' does not look at {', '.join(strange)}; it can be told "
            f"{', '.join(known) or 'nothing of a run besides size, tokens and ratio'}"
        )

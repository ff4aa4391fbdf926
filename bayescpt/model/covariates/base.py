"""What a covariate is: known from rows, and at a question's point."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.schema import DOMAIN, Target


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
    target: Target = DOMAIN


class Covariate(ABC):
    """One covariate. Subclasses are final and hold no state."""

    name: ClassVar[str]
    meaning: ClassVar[str]
    statement: ClassVar[str | None]
    """name of what a user may state at a question, if anything"""
    setting: ClassVar[bool] = False
    """whether that is a number that may be chosen for a run"""

    @abstractmethod
    def of_rows(self, table: Table) -> Float[np.ndarray, " row *own"]:
        """Values of the training rows. Raises ValueError where the table does not give them."""

    def foreseen(self, table: Table, known: Table) -> Float[np.ndarray, " row *own"]:
        """Values of rows that a law was not fitted on; what they say of a domain is known from ``known`` alone."""
        return self.of_rows(table)

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

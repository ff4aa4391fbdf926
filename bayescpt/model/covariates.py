"""What a law may ask of every point besides size, tokens, share and base: from the rows, and at a question's point.

A law names what it needs (:attr:`bayescpt.laws.base.Law.covariates`). To add a covariate, write its class and name it
in ``ALL``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
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
    tokens: float
    ratio: Float[np.ndarray, "*grid"]
    """share of domain tokens"""
    stated: Mapping[str, Any]
    """what the user says of the run, by name"""


class Covariate(ABC):
    """One covariate. Subclasses are final and hold no state."""

    name: ClassVar[str]
    meaning: ClassVar[str]

    @abstractmethod
    def of_rows(self, table: Table) -> Float[np.ndarray, " row *own"]:
        """Values of the training rows. Raises ValueError where the table does not give them."""

    @abstractmethod
    def asked(self, question: Question) -> Float[np.ndarray, "*grid *own"]:
        """Values at the ratios of a question; without a statement of the user, of a run as the table's were."""


def column_of(table: Table, name: str, use: str) -> Float[np.ndarray, " row"]:
    """An optional column of the contract. Raises ValueError where the table lacks it."""
    values = getattr(table, name)
    if values is None:
        raise ValueError(f"the column {name} is needed ({use}) and is not given, or not in every row: add it")
    return values


class DomainEpochs(Covariate):
    """How often the domain corpus has been read: r D / U, U the stated ``domain_tokens``; 0 where none are stated."""

    name = "domain_epochs"
    meaning = "how often the domain corpus has been read"

    def of_rows(self, table: Table) -> Float[np.ndarray, " row"]:
        return column_of(table, self.name, "how often the domain corpus was repeated")

    def asked(self, question: Question) -> Float[np.ndarray, "*grid"]:
        tokens = question.stated.get("domain_tokens", np.inf)
        if not tokens > 0:
            raise ValueError(f"domain_tokens must be a positive number of tokens, got {tokens}")
        return question.ratio * question.tokens / tokens


ALL: tuple[Covariate, ...] = (DomainEpochs(),)
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

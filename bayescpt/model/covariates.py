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

from bayescpt.data.learnability import relative, typical
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

    def foreseen(self, table: Table, known: Table) -> Float[np.ndarray, " row *own"]:
        """Values of rows that a law was not fitted on; what they say of a domain is known from ``known`` alone."""
        return self.of_rows(table)

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


class Learnability(Covariate):
    """Loss of the base on the domain, k1, and its early fall, k2, over their geometric means over the table's domains.

    They are numbers of a domain, the same for all of its rows: see :func:`bayescpt.data.learnability.relative`. A
    question may state them in nats per token, ``learnability=(k1, k2)``, for a domain that the table does not have.
    """

    name = "learnability"
    meaning = "loss of the base on the domain and its early fall, over their typical values"
    statement = "learnability"
    statistics: ClassVar[tuple[str, ...]] = ("k1", "k2")

    def of_rows(self, table: Table) -> Float[np.ndarray, " row statistic"]:
        return self.foreseen(table, table)

    def foreseen(self, table: Table, known: Table) -> Float[np.ndarray, " row statistic"]:
        present, row = np.unique(table.domain, return_inverse=True)
        return relative(known, self.statistics, [table.domains[code] for code in present])[row]

    def asked(self, question: Question) -> Float[np.ndarray, "*grid statistic"]:
        shape = (*question.ratio.shape, len(self.statistics))
        if self.statement not in question.stated:
            return np.broadcast_to(relative(question.table, self.statistics, [question.domain])[0], shape)
        stated = np.atleast_1d(np.asarray(question.stated[self.statement], float))
        if stated.shape != (len(self.statistics),) or not (np.isfinite(stated) & (stated > 0)).all():
            raise ValueError(
                f"{self.statement} must be {', '.join(self.statistics)} in nats per token, all positive, "
                f"got {question.stated[self.statement]}"
            )
        return np.broadcast_to(stated / typical(question.table, self.statistics), shape)


class LearnabilityBend(Learnability):
    """Second difference of the early loss, k3 = L(0) - 2 L(2.5 %) + L(5 %), over its geometric mean over domains."""

    name = "learnability_bend"
    meaning = "how the early fall of the domain loss slows down, over its typical value"
    statement = "learnability_bend"
    statistics = ("k3",)


ALL: tuple[Covariate, ...] = (DomainEpochs(), Learnability(), LearnabilityBend())
COVARIATES: dict[str, Covariate] = {covariate.name: covariate for covariate in ALL}


def covariates_of(table: Table, law: Law, known: Table | None = None) -> dict[str, Float[np.ndarray, " row *own"]]:
    """What ``law`` needs of the rows of ``table``, by name; ``known`` is the table it was fitted on, if another.

    Raises ValueError naming everything that the table does not give.
    """
    found, faults = {}, []
    for name in law.covariates:
        try:
            covariate = COVARIATES[name]
            found[name] = covariate.of_rows(table) if known is None else covariate.foreseen(table, known)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError(f"the law '{law.name}' cannot be fitted to these rows: " + "; ".join(faults))
    return found

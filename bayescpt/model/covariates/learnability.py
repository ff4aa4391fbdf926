"""How learnable a domain is, by its early curve, as the Cross-Domain D-CPT law asks for it (2406.01375, 3.2)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from bayescpt.data.learnability import paper_statistics
from bayescpt.data.table import Table
from bayescpt.model.covariates.base import Covariate, Question


class Learnability(Covariate):
    """Loss of the base on the domain, k1, and its early fall, k2, over their geometric means over the table's domains.

    They are numbers of a domain, the same for all of its rows: see :func:`bayescpt.data.learnability.paper_statistics`.
    A question may state them in nats per token, ``learnability=(k1, k2)``, for a domain that the table does not have.
    """

    name = "learnability"
    meaning = "loss of the base on the domain and its early fall, over their typical values"
    statement = "learnability"
    statistics: ClassVar[tuple[str, ...]] = ("k1", "k2")
    positive: ClassVar[tuple[str, ...]] = ("k1",)
    needed: ClassVar[str] = (
        "base losses (tokens = 0) of its domain target, and a checkpoint near 2.5 % of the table's longest run in one "
        "of its runs with domain data"
    )

    def of_rows(self, table: Table) -> Float[np.ndarray, " row statistic"]:
        return self.foreseen(table, table)

    def foreseen(self, table: Table, known: Table) -> Float[np.ndarray, " row statistic"]:
        names = [table.domains[code] for code in np.unique(table.domain)]
        of_name = dict(zip(names, self._of_domains(known, names), strict=True))
        of_code = np.stack([of_name.get(name, np.full(len(self.statistics), np.nan)) for name in table.domains])
        return of_code[table.domain]

    def asked(self, question: Question) -> Float[np.ndarray, "*grid statistic"]:
        if self.name in question.stated:
            stated = np.atleast_1d(np.asarray(question.stated[self.name], float))
            if stated.shape != (len(self.statistics),) or not (stated > 0).all():
                raise ValueError(
                    f"{self.name} must be {', '.join(self.statistics)} in nats per token, all positive, "
                    f"got {question.stated[self.name]}"
                )
            value = stated / self._typical(question.table)
        else:
            (value,) = self._of_domains(question.table, [question.domain])
        return np.broadcast_to(value, (*question.ratio.shape, len(self.statistics)))

    def _all(self, table: Table) -> Float[np.ndarray, "domain statistic"]:
        found = dict(zip(("k1", "k2", "k3"), paper_statistics(table), strict=True))
        return np.stack([found[name].value for name in self.statistics], axis=-1)

    def _typical(self, table: Table) -> Float[np.ndarray, " statistic"]:
        """Geometric mean over the domains where the statistic is known and positive."""
        values = self._all(table)
        logs = np.log(np.where(values > 0, values, 1.0))
        count = (values > 0).sum(axis=0)
        if (count == 0).any():
            lost = [name for name, none in zip(self.statistics, count == 0, strict=True) if none]
            raise ValueError(f"{self.name}: no domain has {', '.join(lost)}, which needs {self.needed}")
        return np.exp(logs.sum(axis=0) / count)

    def _of_domains(self, table: Table, names: list[str]) -> Float[np.ndarray, "name statistic"]:
        values, typical = self._all(table), self._typical(table)
        of_name = dict(zip(table.domains, values, strict=True))
        unknown = [name for name in names if name not in of_name or np.isnan(of_name[name]).any()]
        if unknown:
            raise ValueError(
                f"{self.name}: {', '.join(self.statistics)} of {', '.join(unknown)} cannot be told from these rows: "
                f"every domain needs {self.needed}"
            )
        found = np.array([of_name[name] for name in names]).reshape(len(names), len(self.statistics))
        for column, statistic in enumerate(self.statistics):
            wrong = [name for name, value in zip(names, found[:, column], strict=True) if value <= 0]
            if wrong and statistic in self.positive:
                raise ValueError(
                    f"{self.name}: {statistic} is not positive for {', '.join(wrong)}: its losses do not slow down "
                    "within 5 % of the longest run, and 1/k3 has no meaning there; fit another law (--law dcpt_cross)"
                )
        return found / typical


class LearnabilityBend(Learnability):
    """Second difference of the early loss, k3 = L(0) - 2 L(2.5 %) + L(5 %), over its geometric mean over domains."""

    name = "learnability_bend"
    meaning = "how the early fall of the domain loss slows down, over its typical value"
    statement = "learnability_bend"
    statistics = ("k3",)
    positive = ("k3",)
    needed = (
        "base losses (tokens = 0) of its domain target, and checkpoints near 2.5 and 5 % of the table's longest run in "
        "runs with domain data"
    )

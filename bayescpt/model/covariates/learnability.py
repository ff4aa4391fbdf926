"""How learnable a domain is, by its early curve, as the Cross-Domain D-CPT law asks for it (2406.01375, 3.2)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from bayescpt.data.learnability import relative, typical
from bayescpt.data.table import Table
from bayescpt.model.covariates.base import Covariate, Question


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

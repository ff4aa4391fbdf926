"""How often a scarce domain corpus has been read."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.model.covariates.base import Covariate, Question, column_of, on_grid, stated_number


class DomainEpochs(Covariate):
    """How often the domain corpus has been read: r D / U, U the stated ``domain_tokens``; 0 where none are stated."""

    name = "domain_epochs"
    meaning = "how often the domain corpus has been read"
    statement = "domain_tokens"
    setting = True

    def of_rows(self, table: Table) -> Float[np.ndarray, " row"]:
        return column_of(table, self.name, "how often the domain corpus was repeated")

    def asked(self, question: Question) -> Float[np.ndarray, "*grid"]:
        unique = stated_number(question, self.statement, "a positive number of tokens", zero=False)
        return on_grid(0.0 if unique is None else question.ratio * question.tokens / unique, question)

"""What a law may ask of every point besides size, tokens, share and base: from the rows, and at a question's point.

A law names what it needs (:attr:`bayescpt.laws.base.Law.covariates`). To add a covariate, write its class and name it
in ``ALL``. At a question a statement of the user wins; without one the run is taken to be as the table's were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.laws import Law
from bayescpt.model.covariates.base import Covariate, Question
from bayescpt.model.covariates.epochs import DomainEpochs
from bayescpt.model.covariates.learnability import Learnability, LearnabilityBend
from bayescpt.model.covariates.phases import PhasePart, PhaseShare
from bayescpt.model.covariates.rates import LrAnneal, LrSum
from bayescpt.model.covariates.shares import OwnSource, Shares, own_share_missing, without_own_share
from bayescpt.schema import TWO_SOURCES

__all__ = [
    "ALL",
    "COVARIATES",
    "STATEMENTS",
    "Covariate",
    "Question",
    "covariates_of",
    "own_share_missing",
    "refuse_statements",
    "statements_of",
    "without_own_share",
]

ALL: tuple[Covariate, ...] = (
    DomainEpochs(),
    LrSum(),
    LrAnneal(),
    PhasePart(),
    PhaseShare(),
    Shares(),
    OwnSource(),
    Learnability(),
    LearnabilityBend(),
)
COVARIATES: dict[str, Covariate] = {covariate.name: covariate for covariate in ALL}
STATEMENTS = frozenset(covariate.statement for covariate in ALL if covariate.setting and covariate.statement)
"""What may be stated of a run as a number of its own: a setting that may be chosen like its ratio."""


def covariates_of(table: Table, law: Law, known: Table | None = None) -> dict[str, Float[np.ndarray, " row *own"]]:
    """What ``law`` needs of the rows of ``table``, by name; ``known`` is the table it was fitted on, if another.

    Raises ValueError naming everything that the table does not give, and where the law is for other sources.
    """
    if law.on(table.sources) != law:
        raise ValueError(
            f"{law!r} is for other sources than the table's ({', '.join(table.sources or TWO_SOURCES)}): "
            "bind it to them (Model.on, Law.on)"
        )
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


def statements_of(law: Law) -> tuple[str, ...]:
    """What may be stated of a run that ``law`` is asked about."""
    return tuple(told for name in law.covariates if (told := COVARIATES[name].statement) is not None)


def refuse_statements(law: Law, stated: Mapping[str, Any]) -> None:
    """Raise ValueError where something is stated that ``law`` does not look at."""
    known = statements_of(law)
    strange = [name for name in stated if name not in known]
    if strange:
        raise ValueError(
            f"the law '{law.name}' does not look at {', '.join(strange)}; it can be told "
            f"{', '.join(known) or 'nothing of a run besides size, tokens and ratio'}"
        )

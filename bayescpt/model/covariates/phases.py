"""A last phase with a mixture of its own: which part of the run it is, and the share of the target's corpus in it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.model.covariates.base import Covariate, Question, column_of, on_grid
from bayescpt.schema import DOMAIN, TARGETS

USE = "when the last mixture of a run began, and its share of the domain; with one throughout 0 and the ratio"
SLACK = 1e-9
"""Rounding of shares."""


class PhasePart(Covariate):
    """Part of the run's tokens that came after the last change of its mixture; 0 with one mixture throughout.

    A question states ``phase_part``, and ``phase_ratio`` with it. Along the run both stay: it asks for runs of other
    lengths with phases in the same proportion.
    """

    name = "phase_part"
    meaning = "part of the run after the last change of its mixture"
    statement = "phase_part"
    setting = True

    def of_rows(self, table: Table) -> Float[np.ndarray, " row"]:
        start = column_of(table, "phase_start", USE)
        return np.where(start > 0, 1 - start / table.tokens, 0.0)

    def asked(self, question: Question) -> Float[np.ndarray, "*grid"]:
        return on_grid(_stated(question)[0], question)


class PhaseShare(Covariate):
    """Share of the target's own corpus since the last change of the mixture; that of the run with one throughout.

    ``phase_ratio`` is stated as the share of the domain, like every ratio.

    Raises ValueError where no share before the phase leads to the ratio of the whole run.
    """

    name = "phase_share"
    meaning = "share of the own corpus since the last change of the mixture"
    statement = "phase_ratio"
    setting = True

    def of_rows(self, table: Table) -> Float[np.ndarray, " row"]:
        late = column_of(table, "phase_ratio", USE)
        ratio = np.where(column_of(table, "phase_start", USE) > 0, late, table.ratio)
        return np.where(table.target == TARGETS.index(DOMAIN), ratio, 1 - ratio)

    def asked(self, question: Question) -> Float[np.ndarray, "*grid"]:
        part, late = _stated(question)
        ratio = question.ratio if part == 0 else on_grid(late, question)
        before = question.ratio - part * ratio
        impossible = (before < -SLACK) | (before > 1 - part + SLACK)
        if impossible.any():
            raise ValueError(
                f"of a run of ratio {question.ratio[impossible].ravel()[0]:g} the last {part:.3g} cannot have the "
                f"ratio {ratio[impossible].ravel()[0]:g}: no share before leads there"
            )
        return ratio if question.target == DOMAIN else 1 - ratio


def _stated(question: Question) -> tuple[float, float]:
    """Part and ratio of the last phase that are stated; 0 and 0 where none is.

    Raises ValueError where only one is stated, or one is no part.
    """
    names = PhasePart.statement, PhaseShare.statement
    given = [name for name in names if name in question.stated]
    if not given:
        return 0.0, 0.0
    faults = [f"{name} must be stated too" for name in names if name not in given]
    for name in given:
        value = question.stated[name]
        inside = isinstance(value, int | float | np.number) and 0 <= value <= 1
        if not inside or (name == PhasePart.statement and value == 1):
            faults.append(f"{name} must be in [0, 1{')' if name == PhasePart.statement else ']'}, got {value}")
    if faults:
        raise ValueError("; ".join(faults))
    return float(question.stated[names[0]]), float(question.stated[names[1]])

"""Findings before the work: what these rows cannot teach, which run would, and rows that a model cannot use at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bayescpt.cli.session import InputError, Session, faults_of
from bayescpt.data.faults import Fault

if TYPE_CHECKING:
    from bayescpt.data import Table
    from bayescpt.data.findings import Finding
    from bayescpt.model.model import Model

SHOWN = 3
"""How many findings of one kind are told before the rest are only counted."""
BASE_FINDINGS = ("no_base_rows", "some_base_rows_missing")


def tell(findings: Sequence[Finding], say: Session) -> None:
    """FAIL and REVIEW findings on stderr, those that fail first."""
    told: Counter[str] = Counter()
    grave = [one for level in ("FAIL", "REVIEW") for one in findings if one.level.value == level]
    for finding in grave:
        told[finding.code] += 1
        if told[finding.code] <= SHOWN:
            say.note(f"{finding.level.value:<6} {finding}")
    for code, count in told.items():
        if count > SHOWN:
            say.note(f"       {code}: and {count - SHOWN} more (bayescpt check shows all)")


def usable(table: Table, model: Model, findings: Sequence[Finding]) -> None:
    """Raise InputError where the rows cannot carry the model, with the finding that says why and what would do."""
    from bayescpt.fit.run import check_rows

    try:
        check_rows(table, model)
    except ValueError as error:
        reasons = [one for one in findings if one.code in BASE_FINDINGS and model.law.needs_base]
        faults = [Fault(one.code, f"{one.message} {one.remedy}") for one in reasons]
        # the findings have been told already
        raise InputError(str(error), faults or faults_of(error)) from error

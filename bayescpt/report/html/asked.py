"""What a report is asked: which domains, at which size and length of run, under which forgetting budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayescpt.ask.losses import check_setting
from bayescpt.data.table import Table
from bayescpt.decide import ForgettingBudget
from bayescpt.decide.plan import CONFIDENCE
from bayescpt.report.units import count

MAX_FORGETTING = 0.05
"""Nats per token."""


@dataclass(frozen=True)
class Asked:
    """The question of a report.

    Args:
        domains: of the table, each once.
        size: parameters; tokens: of the run.
        budget: forgetting that is allowed; confidence: with which it is to hold.
        assumed: which of ``size`` and ``tokens`` nobody stated, so that they are the table's largest.
    """

    domains: tuple[str, ...]
    size: float
    tokens: float
    budget: ForgettingBudget
    confidence: float
    assumed: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        """The run in words."""
        return f"{count(self.size)} parameters trained for {count(self.tokens)} tokens"

    @property
    def limit(self) -> str:
        """The budget in words."""
        eps = self.budget.max_forgetting
        return f"{100 * eps:g}\u00a0% of the base's loss" if self.budget.relative else f"{eps:g} nats per token"

    def nats(self, base: float) -> float:
        """The budget in nats per token above a base of this loss."""
        return self.budget.max_forgetting * (base if self.budget.relative else 1.0)


def asked_of(
    table: Table,
    domains: Sequence[str] = (),
    size: float | None = None,
    tokens: float | None = None,
    max_forgetting: float = MAX_FORGETTING,
    relative: bool = False,
    confidence: float = CONFIDENCE,
) -> Asked:
    """The question; what was not stated is of the table: all domains with rows, the largest size and tokens.

    Raises ValueError naming everything that is wrong: domains that the table does not have, of which there is nothing
    to show, and impossible settings.

    Examples:
        >>> from bayescpt.report import asked_of
        >>> asked_of(table, ["cpp"]).run
        '591k parameters trained for 205k tokens'
    """
    faults = []
    trained = [table.domains[code] for code in np.unique(table.domain)]
    unknown = [repr(name) for name in dict.fromkeys(domains) if name not in table.domains]
    if unknown:
        faults.append(
            f"the table has no domain {', '.join(unknown)}, so that a report has no rows to show; it has "
            f"{', '.join(table.domains)}"
        )
    at = {"size": size, "tokens": tokens}
    assumed = tuple(name for name, value in at.items() if value is None)
    place = [float(getattr(table, name).max()) if value is None else float(value) for name, value in at.items()]
    for check in (
        lambda: check_setting(*place),
        lambda: ForgettingBudget(max_forgetting, relative),
        lambda: _check_confidence(confidence),
    ):
        try:
            check()
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    budget = ForgettingBudget(max_forgetting, relative)
    return Asked(tuple(dict.fromkeys(domains)) or tuple(trained), place[0], place[1], budget, confidence, assumed)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence:g}")

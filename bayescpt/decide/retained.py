"""The least domain loss under a cap on several retained validation sets, each with a fit of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from bayescpt.decide.objective import ForgettingBudget, Objective, Values
from bayescpt.decide.outcomes import outcomes
from bayescpt.fit import Fit, Mixture


@dataclass(frozen=True)
class Retained:
    """A validation set that should not be forgotten: code, say, or mathematics.

    Args:
        name: what it is called.
        fit: to a table of the same runs whose ``general`` loss is that on this set.
        max_forgetting, relative: as of :class:`~bayescpt.decide.ForgettingBudget`.
    """

    name: str
    fit: Fit | Mixture
    max_forgetting: float
    relative: bool = False

    @property
    def budget(self) -> ForgettingBudget:
        """The cap as a forgetting budget."""
        return ForgettingBudget(self.max_forgetting, self.relative)


@dataclass(frozen=True)
class RetainedBudgets(Objective):
    """The least domain loss while L_g and the loss on every retained set end within budgets of their own.

    The margin is the smallest of all: P(margin >= 0) is the probability that all are kept at once. Draws of different
    fits are paired at random, as if what is not known of one set had nothing to do with what is not known of
    another. Sets of which too much is forgotten together are kept together more often than that says, and sets of which
    one suffers where the other is spared less often.

    Args:
        general: budget of the planned fit's own general loss.
        retained: the other sets.

    Raises ValueError where there is none, and where two have one name.
    """

    general: ForgettingBudget
    retained: Sequence[Retained]
    name: ClassVar[str] = "retained"
    needs_base: ClassVar[bool] = True

    def __post_init__(self) -> None:
        names = [one.name for one in self.retained]
        faults = [] if names else ["expected at least one retained set beside the general one"]
        faults += [
            f"two retained sets are called '{name}'" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        for one in self.retained:
            if not 0 <= one.max_forgetting < np.inf:
                faults.append(f"{one.name}: the budget must be a finite number of at least 0, got {one.max_forgetting}")
        if faults:
            raise ValueError("; ".join(faults))

    def enlarged(
        self,
        outcome: xr.Dataset,
        domain: str,
        actions: pd.DataFrame,
        base_loss: Mapping[str, float] | None = None,
        stated: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Adds, by set, what ``general``, ``base`` and ``general_run`` are of the planned fit.

        Raises ValueError where a loss of the base is stated: it is that of one set, and each has its own.
        """
        if base_loss:
            raise ValueError("a stated base loss is that of one validation set: leave it out where there are several")
        draws = outcome.sizes["sample"]
        for one in self.retained:
            own = outcomes(one.fit.thinned(draws), domain, actions, None, stated)
            # in an order of its own: fits of one seed share random numbers. Where it has fewer draws they come again
            order = one.fit.rng("retained", one.name).permutation(own.sizes["sample"])
            order = np.resize(order, draws)
            for part in PARTS:
                outcome[f"{part}:{one.name}"] = (("action", "sample"), own[part].values[:, order], own[part].attrs)
        return outcome

    def utility(self, outcome: xr.Dataset) -> Values:
        return -outcome["domain"].values

    def margin(self, outcome: xr.Dataset) -> Values:
        margins = [margin for margin, _ in self.of_run(outcome)]
        return np.min(margins, axis=0)

    def of_run(self, outcome: xr.Dataset) -> list[tuple[Values, Values]]:
        found = self.general.of_run(outcome)
        for one in self.retained:
            own = xr.Dataset({part: outcome[f"{part}:{one.name}"] for part in PARTS})
            found += one.budget.of_run(own)
        return found

    def spread(self, outcome: xr.Dataset) -> Float[np.ndarray, " action"]:
        return self.general.spread(outcome)

    def says(self) -> str:
        others = [f"{one.budget.limit()} above it on {one.name}" for one in self.retained]
        return f"{self.general.says()}, and no more than {' and '.join(others)}"


PARTS = ("general", "base", "general_run")


def faults_of(retained: Sequence[Retained], domain: str, fit: Fit | Mixture) -> list[str]:
    """What speaks against planning with these fits beside ``fit``: runs of another study, by domain and sizes."""
    found = []
    for one in retained:
        if one.fit.table.digest == fit.table.digest:
            found.append(f"{one.name}: its fit is to the same rows as the one that is planned with; name another set")
        if domain not in one.fit.table.domains:
            found.append(f"{one.name}: its fit has no rows of domain '{domain}' ({', '.join(one.fit.table.domains)})")
        if not np.array_equal(np.unique(one.fit.table.size), np.unique(fit.table.size)):
            found.append(f"{one.name}: its fit has other sizes of model than the one that is planned with")
    return found

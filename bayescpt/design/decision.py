"""What the next run is to serve: the value of every action by draw, and the number that decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.decide.objective import Objective
from bayescpt.decide.outcomes import outcomes
from bayescpt.decide.phases import with_phases
from bayescpt.decide.plan import hindsight
from bayescpt.decide.space import grid_of_ratios, ratios
from bayescpt.fit import Fit, Mixture
from bayescpt.schema import GENERAL

RATIOS = 65
"""Of a decision: steps of 1/64."""


def decision_values(
    fit: Fit | Mixture,
    domain: str,
    actions: pd.DataFrame,
    objective: Objective,
    confidence: float,
    base_loss: Mapping[str, float] | None = None,
    stated: Mapping[str, Any] | None = None,
) -> Float[np.ndarray, "action draw"]:
    """V(a): what every action is worth by draw, such that argmax_a E[V(a)] is the plan.

    Without a constraint V is the utility. Under a chance constraint with confidence c, an action that keeps its margin
    is worth its utility U(a), and one that does not

        V(a) = U(a*) - c / (1 - c) |U(a) - U(a*)|,

    with a* the best of that draw that keeps it: where more domain data always mean more utility and less margin, the
    action of largest E[V] is the largest that keeps its margin with probability c, the quantile that decide/plan.py
    takes; and a constraint that is broken costs in proportion to how far. Where no action of a draw keeps its margin,
    the one that comes closest stands for a*.
    """
    outcome = outcomes(fit, domain, actions, base_loss, stated, with_base=objective.needs_base)
    outcome = objective.enlarged(outcome, domain, actions, base_loss, stated)
    utility, margin = objective.utility(outcome), objective.margin(outcome)
    return values_of(utility, margin, confidence)


def values_of(
    utility: Float[np.ndarray, "action draw"], margin: Float[np.ndarray, "action draw"] | None, confidence: float
) -> Float[np.ndarray, "action draw"]:
    """V by action and draw, see :func:`decision_values`."""
    if margin is None:
        return utility
    best = hindsight(utility, margin)
    return np.where(margin >= 0, utility, best - confidence / (1 - confidence) * np.abs(utility - best))


def deciding_ratio(
    values: Float[np.ndarray, "action draw"], ratio: Float[np.ndarray, " action"]
) -> Float[np.ndarray, " draw"]:
    """The ratio of the action that each draw would take.

    Examples:
        >>> import numpy as np
        >>> from bayescpt.design import deciding_ratio
        >>> deciding_ratio(values=np.array([[-1.0, -1.2], [-1.1, -0.9]]), ratio=np.array([0.1, 0.5]))
        array([0.1, 0.5])
    """
    return ratio[values.argmax(axis=0)]


@dataclass(frozen=True)
class Question:
    """The decision that the next runs are to serve.

    Args:
        domain, size, tokens: of the final run.
        objective: what is wanted of it.
        confidence: with which its constraint is to hold.
        phase_ratios, phase_parts: shares and parts of a last phase that it may have, see decide/phases.py.
        base_loss: general loss of its base in nats per token, where the table has none or the base is another.
    """

    domain: str
    size: float
    tokens: float
    objective: Objective
    confidence: float = 0.9
    phase_ratios: Sequence[float] = ()
    phase_parts: Sequence[float] = ()
    base_loss: float | None = None

    def actions(self, table: Table) -> pd.DataFrame:
        """What the final run may be: ratios, and last phases. Raises ValueError where no row tells of such phases."""
        found = ratios(self.size, self.tokens, list(grid_of_ratios(RATIOS)))
        return with_phases(found, table, self.phase_ratios, self.phase_parts) if self.phase_ratios else found

    def values(self, fit: Fit | Mixture, actions: pd.DataFrame) -> Float[np.ndarray, "action draw"]:
        """What each of ``actions`` is worth by draw, see design/decision.py."""
        base: dict[str, float] | None = None if self.base_loss is None else {GENERAL: self.base_loss}
        return decision_values(fit, self.domain, actions, self.objective, self.confidence, base)

"""What somebody wants of a run: a utility by draw, and what has to hold. To add one, name its class in
``OBJECTIVES`` (decide/__init__.py).

Utilities are negative losses in nats per token, so that regret has that unit too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from bayescpt.ask.weighted import check_weights

Values = Float[np.ndarray, "action sample"]


class Objective(ABC):
    """A utility of outcomes (decide/outcomes.py), and a margin that should not be negative."""

    name: ClassVar[str]
    needs_base: ClassVar[bool] = False
    """whether it looks at the base's loss"""

    @abstractmethod
    def utility(self, outcome: xr.Dataset) -> Values:
        """What every action is worth by draw, nats per token; more is better."""

    def margin(self, outcome: xr.Dataset) -> Values | None:
        """By how much every action keeps what is asked of it, nats per token; None where nothing is asked."""
        return None

    def of_run(self, outcome: xr.Dataset) -> list[tuple[Values, Values]]:
        """For everything that is asked: its margin, and the standard deviation of that of one measured run."""
        margin = self.margin(outcome)
        return [] if margin is None else [(margin, outcome["general_run"].values)]

    def enlarged(
        self,
        outcome: xr.Dataset,
        domain: str,
        actions: pd.DataFrame,
        base_loss: Mapping[str, float] | None = None,
        stated: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Outcomes with what this objective looks at besides; arguments as of :func:`bayescpt.decide.outcomes`."""
        return outcome

    @abstractmethod
    def spread(self, outcome: xr.Dataset) -> Float[np.ndarray, " action"]:
        """Standard deviation of the utility of one measured run around its expectation, as repeated runs show it."""

    @abstractmethod
    def says(self) -> str:
        """In words, as the end of "choose the run with"."""


@dataclass(frozen=True)
class ForgettingBudget(Objective):
    """The least domain loss while L_g <= L_g0 + eps, or <= (1 + eps) L_g0 where ``relative``.

    Args:
        max_forgetting: eps, nats per token or a fraction of the base's loss.

    Examples:
        >>> from bayescpt import ForgettingBudget
        >>> ForgettingBudget(0.03, relative=True).says()
        "the least domain loss while the general loss ends no more than 3% of it above the base's"
    """

    max_forgetting: float
    relative: bool = False
    name: ClassVar[str] = "budget"
    needs_base: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.max_forgetting < np.inf:
            raise ValueError(f"max_forgetting must be a finite number of at least 0, got {self.max_forgetting}")

    def utility(self, outcome: xr.Dataset) -> Values:
        return -outcome["domain"].values

    def margin(self, outcome: xr.Dataset) -> Values:
        base = outcome["base"].values
        limit = base * (1 + self.max_forgetting) if self.relative else base + self.max_forgetting
        return limit - outcome["general"].values

    def spread(self, outcome: xr.Dataset) -> Float[np.ndarray, " action"]:
        return np.median(outcome["domain_run"].values, axis=1)

    def limit(self) -> str:
        """The budget in words."""
        return f"{100 * self.max_forgetting:g}% of it" if self.relative else f"{self.max_forgetting:g} nats"

    def says(self) -> str:
        return f"the least domain loss while the general loss ends no more than {self.limit()} above the base's"


@dataclass(frozen=True)
class WeightedLoss(Objective):
    """The least w_g L_g + w_d L_d.

    Args:
        general, domain: what a nat of either loss is worth. Utilities are in nats: weights are scaled to sum to 1.

    Examples:
        >>> from bayescpt import WeightedLoss
        >>> WeightedLoss(general=1, domain=3).says()
        'the least 0.25 x general + 0.75 x domain loss'
    """

    general: float
    domain: float
    name: ClassVar[str] = "weights"

    def __post_init__(self) -> None:
        check_weights(self.general, self.domain)

    @property
    def _weights(self) -> tuple[float, float]:
        total = self.general + self.domain
        return self.general / total, self.domain / total

    def utility(self, outcome: xr.Dataset) -> Values:
        general, domain = self._weights
        return -(general * outcome["general"].values + domain * outcome["domain"].values)

    def spread(self, outcome: xr.Dataset) -> Float[np.ndarray, " action"]:
        general, domain = self._weights
        both = np.hypot(general * outcome["general_run"].values, domain * outcome["domain_run"].values)
        return np.median(both, axis=1)

    def says(self) -> str:
        general, domain = self._weights
        return f"the least {general:.3g} x general + {domain:.3g} x domain loss"


@dataclass(frozen=True)
class DomainLoss(Objective):
    """The least domain loss, whatever becomes of the general one: under limited domain tokens or a FLOP budget."""

    name: ClassVar[str] = "domain"

    def utility(self, outcome: xr.Dataset) -> Values:
        return -outcome["domain"].values

    def spread(self, outcome: xr.Dataset) -> Float[np.ndarray, " action"]:
        return np.median(outcome["domain_run"].values, axis=1)

    def says(self) -> str:
        return "the least domain loss"

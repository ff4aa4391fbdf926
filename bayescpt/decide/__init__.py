"""From posterior to decision: objectives, plans, the Pareto front."""

from bayescpt.decide.front import pareto_front
from bayescpt.decide.mixtures import on_simplex
from bayescpt.decide.objective import DomainLoss, ForgettingBudget, Objective, WeightedLoss
from bayescpt.decide.outcomes import outcomes
from bayescpt.decide.phases import with_phases
from bayescpt.decide.plan import Plan, plan
from bayescpt.decide.rates import with_rates
from bayescpt.decide.retained import Retained, RetainedBudgets
from bayescpt.decide.space import domain_limited, ratios, under_compute

__all__ = [
    "OBJECTIVES",
    "DomainLoss",
    "ForgettingBudget",
    "Objective",
    "Plan",
    "Retained",
    "RetainedBudgets",
    "WeightedLoss",
    "domain_limited",
    "on_simplex",
    "outcomes",
    "pareto_front",
    "plan",
    "ratios",
    "under_compute",
    "with_phases",
    "with_rates",
]

OBJECTIVES: tuple[type[Objective], ...] = (ForgettingBudget, RetainedBudgets, WeightedLoss, DomainLoss)
"""Every objective on offer."""

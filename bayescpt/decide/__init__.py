"""From posterior to decision: objectives, plans, the Pareto front."""

from bayescpt.decide.front import pareto_front
from bayescpt.decide.objective import OBJECTIVES, DomainLoss, ForgettingBudget, Objective, WeightedLoss
from bayescpt.decide.outcomes import outcomes
from bayescpt.decide.plan import Plan, plan
from bayescpt.decide.space import domain_limited, ratios, under_compute

__all__ = [
    "OBJECTIVES",
    "DomainLoss",
    "ForgettingBudget",
    "Objective",
    "Plan",
    "WeightedLoss",
    "domain_limited",
    "outcomes",
    "pareto_front",
    "plan",
    "ratios",
    "under_compute",
]

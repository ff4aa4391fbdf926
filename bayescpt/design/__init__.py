"""The next proxy runs: candidates and their cost, what each would teach, which to train, and when to stop."""

from bayescpt.design.acquisition import (
    ACQUISITIONS,
    Acquisition,
    InformationGain,
    RegretReduction,
    VarianceReduction,
)
from bayescpt.design.branches import Branches
from bayescpt.design.candidates import Space, candidates
from bayescpt.design.cost import Cost, cost_of
from bayescpt.design.decision import deciding_ratio, decision_values
from bayescpt.design.select import NextRuns, next_runs

__all__ = [
    "ACQUISITIONS",
    "Acquisition",
    "Branches",
    "Cost",
    "InformationGain",
    "NextRuns",
    "RegretReduction",
    "Space",
    "VarianceReduction",
    "candidates",
    "cost_of",
    "deciding_ratio",
    "decision_values",
    "next_runs",
]

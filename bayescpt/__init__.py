"""Plan continual pre-training: which share of domain data, at which size and token budget, and how sure are we.

Public names load on first use, so that ``import bayescpt`` and ``bayescpt --help`` stay fast and free of JAX.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescpt.ask import (
        critical_ratio,
        predict,
        ratio_of_least_loss,
        ratio_under_budget,
        ratio_under_limited_data,
        summarise,
        summary,
        turning_summary,
        turning_time,
    )
    from bayescpt.ask.horizon import horizon
    from bayescpt.ask.ridges import ridges
    from bayescpt.ask.sensitivity import decisions, sensitivity
    from bayescpt.data import Table, TableError
    from bayescpt.data.overview import overview
    from bayescpt.decide import DomainLoss, ForgettingBudget, WeightedLoss, pareto_front, plan
    from bayescpt.fit import Fit, Mixture, SamplerSettings, UnreliableFit, average, fit, load, prior_fit
    from bayescpt.fit.averaging import compare
    from bayescpt.laws import LAWS

__all__ = [
    "LAWS",
    "DomainLoss",
    "Fit",
    "ForgettingBudget",
    "Mixture",
    "SamplerSettings",
    "Table",
    "TableError",
    "UnreliableFit",
    "WeightedLoss",
    "average",
    "compare",
    "critical_ratio",
    "decisions",
    "fit",
    "horizon",
    "load",
    "overview",
    "pareto_front",
    "plan",
    "predict",
    "prior_fit",
    "ratio_of_least_loss",
    "ratio_under_budget",
    "ratio_under_limited_data",
    "ridges",
    "sensitivity",
    "summarise",
    "summary",
    "turning_summary",
    "turning_time",
]

_HOME = {
    "LAWS": "laws",
    "DomainLoss": "decide",
    "Fit": "fit",
    "ForgettingBudget": "decide",
    "Mixture": "fit",
    "SamplerSettings": "fit",
    "Table": "data",
    "TableError": "data",
    "UnreliableFit": "fit",
    "WeightedLoss": "decide",
    "average": "fit",
    "compare": "fit.averaging",
    "critical_ratio": "ask",
    "decisions": "ask.sensitivity",
    "fit": "fit",
    "horizon": "ask.horizon",
    "load": "fit",
    "overview": "data.overview",
    "pareto_front": "decide",
    "plan": "decide",
    "predict": "ask",
    "prior_fit": "fit",
    "ratio_of_least_loss": "ask",
    "ratio_under_budget": "ask",
    "ratio_under_limited_data": "ask",
    "ridges": "ask.ridges",
    "sensitivity": "ask.sensitivity",
    "summarise": "ask",
    "summary": "ask",
    "turning_summary": "ask",
    "turning_time": "ask",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Root(ModuleType):
    """Keeps ``bayescpt.fit`` the function, whichever was imported first.

    The import system binds every submodule to its package, so the subpackage would take the function's name as soon as
    anything imports it. ``import bayescpt.fit.run`` and ``from bayescpt.fit import ...`` do not need that binding.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Root

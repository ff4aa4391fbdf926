"""Answers as tables, pictures and a page; the only place that knows matplotlib. Names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescpt.report.answers import Answers, answers_at
    from bayescpt.report.extent import extent_panel
    from bayescpt.report.figure import domain_figure, save_figure
    from bayescpt.report.gains import gains_panel
    from bayescpt.report.html.asked import Asked, asked_of
    from bayescpt.report.html.page import Report, report
    from bayescpt.report.intervals import intervals_panel
    from bayescpt.report.pareto import front_panel
    from bayescpt.report.posteriors import posterior_panel
    from bayescpt.report.ranks import rank_figure, worst_parameters
    from bayescpt.report.regret import odds_panel, regret_panel
    from bayescpt.report.tables import answers_table

__all__ = [
    "Answers",
    "Asked",
    "Report",
    "answers_at",
    "answers_table",
    "asked_of",
    "domain_figure",
    "extent_panel",
    "front_panel",
    "gains_panel",
    "intervals_panel",
    "odds_panel",
    "posterior_panel",
    "rank_figure",
    "regret_panel",
    "report",
    "save_figure",
    "worst_parameters",
]

_HOME = {
    "Answers": "answers",
    "Asked": "html.asked",
    "Report": "html.page",
    "answers_at": "answers",
    "answers_table": "tables",
    "asked_of": "html.asked",
    "domain_figure": "figure",
    "extent_panel": "extent",
    "front_panel": "pareto",
    "gains_panel": "gains",
    "intervals_panel": "intervals",
    "odds_panel": "regret",
    "posterior_panel": "posteriors",
    "rank_figure": "ranks",
    "regret_panel": "regret",
    "report": "html.page",
    "save_figure": "figure",
    "worst_parameters": "ranks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

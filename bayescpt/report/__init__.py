"""Answers as tables and pictures; the only place that knows matplotlib. Names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescpt.report.answers import Answers, answers_at
    from bayescpt.report.figure import domain_figure, save_figure
    from bayescpt.report.tables import answers_table

__all__ = ["Answers", "answers_at", "answers_table", "domain_figure", "save_figure"]

_HOME = {
    "Answers": "answers",
    "answers_at": "answers",
    "answers_table": "tables",
    "domain_figure": "figure",
    "save_figure": "figure",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

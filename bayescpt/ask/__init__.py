"""The questions. Each is a function of posterior draws with a labelled distribution as its answer."""

from bayescpt.ask.answer import summary
from bayescpt.ask.cmr import critical_ratio
from bayescpt.ask.limited import ratio_under_limited_data
from bayescpt.ask.predict import predict, summarise
from bayescpt.ask.ratio import ratio_under_budget
from bayescpt.ask.turning import turning_summary, turning_time
from bayescpt.ask.weighted import ratio_of_least_loss

__all__ = [
    "critical_ratio",
    "predict",
    "ratio_of_least_loss",
    "ratio_under_budget",
    "ratio_under_limited_data",
    "summarise",
    "summary",
    "turning_summary",
    "turning_time",
]

"""What every question returns: labelled draws with a unit, and the summary that the command line prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

QUANTILES = (0.05, 0.5, 0.95)


def ratio_answer(
    question: str,
    value: Float[np.ndarray, " draw"],
    none: Bool[np.ndarray, " draw"],
    every: Bool[np.ndarray, " draw"],
    **settings: Any,
) -> xr.Dataset:
    """A posterior of a largest admissible ratio, as a Dataset over ``sample``.

    ``value`` is the ratio; a draw in which no ratio qualifies has value 0 and is marked in ``none``, one in which
    every ratio does has value 1 and is marked in ``every``. ``settings`` (domain, size, tokens, ...) become attributes.
    """
    answer = xr.Dataset({"value": ("sample", value), "none": ("sample", none), "every": ("sample", every)})
    answer["value"].attrs = {"unit": "share of domain tokens", "question": question}
    answer.attrs = {"question": question, **settings}
    return answer


def summary(answer: xr.Dataset) -> dict[str, Any]:
    """Settings, mean, 5, 50 and 95 % quantiles, and the probabilities that no ratio or every ratio qualifies.

    Draws without an admissible ratio count as 0 in mean and quantiles: with none admissible, no domain data at all
    comes closest. ``p_none`` says how often.

    Examples:
        >>> from bayescpt import ratio_under_budget, summary
        >>> list(summary(ratio_under_budget(fitted, "cpp", 590720, 204800, max_forgetting=0.05)))
        ['domain', 'size', 'tokens', 'tolerance', 'mean', 'q05', 'q50', 'q95', 'p_none', 'p_all']
    """
    value = answer["value"].values
    low, middle, high = np.quantile(value, QUANTILES)
    settings = {key: setting for key, setting in answer.attrs.items() if key != "question"}
    return {
        **settings,
        "mean": float(value.mean()),
        "q05": float(low),
        "q50": float(middle),
        "q95": float(high),
        "p_none": float(answer["none"].values.mean()),
        "p_all": float(answer["every"].values.mean()),
    }

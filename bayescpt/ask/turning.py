"""The turning time T0(r) of Gu et al. (2024, 2407.17467) as a posterior: when the general loss stops rising."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from bayescpt.ask.answer import QUANTILES
from bayescpt.ask.each import of_each
from bayescpt.ask.losses import Losses
from bayescpt.fit import Fit
from bayescpt.laws.turning import turning_of

SPAN = 1e6
"""The search begins at the horizon over this."""


@of_each
def turning_time(
    fit: Fit,
    domain: str,
    size: float,
    ratio: float,
    multiplier: float = math.inf,
    horizon: float | None = None,
    base_loss: float | None = None,
) -> xr.Dataset:
    """Posterior of T0(r): the tokens after which F = L_d + lambda L_g no longer rises, at one ratio.

    With lambda -> infinity, the default, F is the general loss itself. Draw by draw this is the last turn from rising
    to falling before the horizon, in tokens; inf where F still rises there (marked in ``none``), 0 where it falls from
    the start (marked in ``start``). F falls at T whenever T0(r) <= T <= horizon, and for laws with one maximum only
    then. This is the law's own curve: what a law misses at a base is a line inside the data and a drift beyond, which
    have no turning point. :func:`bayescpt.ask.cmr.critical_ratio`, which asks for dF/dT <= 0 at T, counts their slopes.

    Args:
        size: parameters N; ratio: r in [0, 1]; multiplier: lambda > 0.
        horizon: tokens up to which to look; by default the longest run of the table. Beyond it the law's shape answers.
        base_loss: L_g0 in nats per token, where the table has none or the base is another.

    Returns a Dataset over draws with ``value`` (tokens), ``none`` and ``start``; :func:`turning_summary` sums it up.
    Under a law that cannot rise every draw falls from the start, and attribute ``note`` says so. Raises ValueError on
    impossible settings.

    Examples:
        >>> from bayescpt import turning_summary, turning_time
        >>> said = turning_summary(turning_time(fitted, "cpp", size=590720, ratio=0.5))
        >>> said["q05"] < said["q50"] < said["q95"] < said["horizon"]
        True
        >>> said["p_none"], said["p_start"]
        (0.0, 0.0)
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must be a share of domain tokens within [0, 1], got {ratio}")
    if not multiplier > 0:
        raise ValueError(f"the multiplier lambda must be positive (or infinite), got {multiplier}")
    last = float(fit.table.tokens.max()) if horizon is None else float(horizon)
    losses = Losses(fit, domain, size, last, None if base_loss is None else {"general": base_loss})
    weight = 0.0 if math.isinf(multiplier) else 1.0 / multiplier

    def slope(tokens: Float[np.ndarray, "*asked"]) -> Float[np.ndarray, "*grid"]:
        everywhere = np.broadcast_to(tokens, np.broadcast_shapes(np.shape(tokens), (fit.size,)))
        ratios = np.full(everywhere.shape, float(ratio))
        rising = losses.slope("general", ratios, everywhere, of_law=True)
        return rising + weight * losses.slope("domain", ratios, everywhere, of_law=True) if weight else rising

    value, none, start = turning_of(slope, last / SPAN, last)
    answer = xr.Dataset({"value": ("sample", value), "none": ("sample", none), "start": ("sample", start)})
    question = "turning time of the general loss"
    answer["value"].attrs = {"unit": "tokens", "question": question}
    answer.attrs = {"question": question, "domain": domain, "size": float(size), "ratio": float(ratio), "horizon": last}
    if weight:
        answer.attrs["multiplier"] = float(multiplier)
    if not fit.model.law.can_rise:
        answer.attrs["note"] = f"the law '{fit.model.law.name}' cannot rise along a run: it falls from the start"
    return answer


def turning_summary(answer: xr.Dataset) -> dict[str, Any]:
    """Settings, 5, 50 and 95 % quantiles in tokens, and the probabilities of no turn and of a fall from the start.

    A draw that never turns within the horizon is later than all others: a quantile that falls among such draws is None.
    There is no mean, which such draws do not have.
    """
    found = np.quantile(answer["value"].values, QUANTILES, method="inverted_cdf")
    low, middle, high = (float(value) if np.isfinite(value) else None for value in found)
    settings = {key: setting for key, setting in answer.attrs.items() if key != "question"}
    return {
        **settings,
        "q05": low,
        "q50": middle,
        "q95": high,
        "p_none": float(answer["none"].values.mean()),
        "p_start": float(answer["start"].values.mean()),
    }

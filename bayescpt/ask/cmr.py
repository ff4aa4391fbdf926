"""The Critical Mixture Ratio (Gu et al. 2024, 2407.17467, definitions 1 to 3) as a posterior."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayescpt.ask.answer import ratio_answer
from bayescpt.ask.each import of_each
from bayescpt.ask.losses import Losses, refuse_phase, refuse_without_share
from bayescpt.ask.search import largest_ratio
from bayescpt.fit import Fit

TOLERANCE = 0.05
"""eps of the paper, in nats per token."""


@of_each
def critical_ratio(
    fit: Fit,
    domain: str,
    size: float,
    tokens: float,
    tolerance: float = TOLERANCE,
    multiplier: float = math.inf,
    base_loss: float | None = None,
    stated: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Posterior of the largest r that keeps the general loss within ``tolerance`` and lets it turn before the run ends.

    Two conditions at the end of a run of ``tokens`` tokens T (definitions 1 to 3):

    1. L_g(T, r) - L_g0 <= eps;
    2. the turning point T0(r) of F = L_d + lambda L_g has come: dF/dT <= 0 at T. With lambda -> infinity, the
       default, F is the general loss itself; the paper's lambda lies between 100 and 7000, which is nearly the same.
       A law with one maximum in T has T0(r) <= T exactly where its slope at T is not positive; what the law misses at
       the base adds its own.

    ``stated`` says of the run what the law looks at besides, by name (model/covariates).

    Returns a Dataset over draws, see :func:`bayescpt.ask.answer.ratio_answer`. Under a law that cannot rise the second
    condition always holds, and the answer is the first one's: attribute ``note`` says so. Raises ValueError on
    impossible settings.

    Examples:
        >>> from bayescpt import critical_ratio, summary
        >>> round(summary(critical_ratio(fitted, "cpp", size=590720, tokens=204800))["q50"], 1)
        0.7
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0 nats, got {tolerance}")
    if not multiplier > 0:
        raise ValueError(f"the multiplier lambda must be positive (or infinite), got {multiplier}")
    refuse_without_share(fit)
    losses = Losses(fit, domain, size, tokens, None if base_loss is None else {"general": base_loss}, stated)
    refuse_phase(stated)
    limit = losses.base("general") + tolerance
    weight = 0.0 if math.isinf(multiplier) else 1.0 / multiplier

    def slack(ratio):  # type: ignore[no-untyped-def]
        within = limit - losses.at("general", ratio)
        if not fit.model.law.can_rise:
            return within
        slope = losses.slope("general", ratio)
        if weight:
            slope = slope + weight * losses.slope("domain", ratio)
        return np.minimum(within, -slope)

    value, none, every = largest_ratio(slack)
    settings = {"domain": domain, "size": float(size), "tokens": float(tokens), "tolerance": float(tolerance)}
    if not fit.model.law.can_rise:
        settings["note"] = (
            f"the law '{fit.model.law.name}' cannot rise along a run, so only the tolerance bounds this ratio"
        )
    return ratio_answer("critical mixture ratio", value, none, every, **settings)

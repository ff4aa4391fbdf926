"""The Pareto front: what general loss each domain loss costs, by ratio, with bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayescpt.decide.outcomes import outcomes
from bayescpt.decide.space import ratios
from bayescpt.fit import Fit, Mixture
from bayescpt.schema import TARGETS

QUANTILES = (0.05, 0.5, 0.95)


def pareto_front(
    fit: Fit | Mixture,
    domain: str,
    size: float,
    tokens: float,
    base_loss: Mapping[str, float] | None = None,
    stated: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Expected losses of all ratios at one size and budget, and which of them are efficient.

    Returns a Dataset over ``ratio``: ``general`` and ``domain`` with quantiles 0.05, 0.5 and 0.95 (nats per token), and
    ``p_efficient``, the probability that no other ratio has a lower loss of both kinds. A ratio at which both losses
    fall together with domain data, or rise together, is not a trade.

    Examples:
        >>> from bayescpt import pareto_front
        >>> front = pareto_front(fitted, "cpp", size=590720, tokens=204800)
        >>> front["general"].sel(quantile=0.5, ratio=[0.25, 0.75]).values.round(1)
        array([2.9, 3.1])
    """
    actions = ratios(size, tokens)
    outcome = outcomes(fit, domain, actions, base_loss, stated, with_base=False)
    general, own = (outcome[target].values for target in TARGETS)
    # of points in order of their general loss those are efficient that have less domain loss than all before
    order = np.argsort(general, axis=0, kind="stable")
    along = np.take_along_axis(own, order, axis=0)
    before = np.vstack([np.full((1, along.shape[1]), np.inf), np.minimum.accumulate(along, axis=0)[:-1]])
    efficient = np.zeros(along.shape, bool)
    np.put_along_axis(efficient, order, along < before, axis=0)
    found = {
        target: (("quantile", "ratio"), np.quantile(outcome[target].values, QUANTILES, axis=1), {"unit": "nats/token"})
        for target in TARGETS
    }
    return xr.Dataset(
        {**found, "p_efficient": ("ratio", efficient.mean(axis=1))},
        coords={"ratio": actions["ratio"].to_numpy(), "quantile": list(QUANTILES)},
        attrs={"domain": domain, "size": float(size), "tokens": float(tokens)},
    )

"""The ratio of least weighted loss: one number for a team that can say what a nat of either loss is worth to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from bayescpt.ask.answer import ratio_answer
from bayescpt.ask.each import of_each
from bayescpt.ask.losses import Losses, refuse_phase, refuse_without_share
from bayescpt.ask.search import GRID, least
from bayescpt.fit import Fit
from bayescpt.schema import DOMAIN, GENERAL


def check_weights(general: float, domain: float) -> None:
    """Raise ValueError unless both are finite, none is negative and one is positive."""
    if not (np.isfinite([general, domain]).all() and min(general, domain) >= 0 and max(general, domain) > 0):
        raise ValueError(
            f"expected weights of the general and the domain loss that are at least 0, one of them positive; got "
            f"{general:g} and {domain:g}"
        )


@of_each
def ratio_of_least_loss(
    fit: Fit,
    domain: str,
    size: float,
    tokens: float,
    general_weight: float,
    domain_weight: float,
    base_loss: Mapping[str, float] | None = None,
    stated: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Posterior of the argmin over r of w_g L_g(N, D, r) + w_d L_d(N, D, r), expected losses.

    Args:
        size, tokens: parameters N and CPT tokens D.
        general_weight, domain_weight: w_g and w_d, what a nat of either loss is worth; their scale does not matter.
        base_loss: losses of the base by target, where the table has none or the base is another.
        stated: what the law looks at besides, by name (model/covariates).

    Returns a Dataset over draws, see :func:`bayescpt.ask.answer.ratio_answer`: ``none``, the optimum is no domain data
    at all; ``every``, it is nothing else. Raises ValueError on impossible settings.

    Examples:
        >>> from bayescpt import ratio_of_least_loss, summary
        >>> place = {"size": 590720, "tokens": 204800}
        >>> even = ratio_of_least_loss(fitted, "cpp", **place, general_weight=1, domain_weight=1)
        >>> for_domain = ratio_of_least_loss(fitted, "cpp", **place, general_weight=1, domain_weight=4)
        >>> summary(even)["q50"] < summary(for_domain)["q50"]
        True
    """
    check_weights(general_weight, domain_weight)
    refuse_without_share(fit)
    losses = Losses(fit, domain, size, tokens, dict(base_loss or {}) or None, stated)  # type: ignore[arg-type]
    refuse_phase(stated)

    def loss(ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        parts = ((GENERAL, general_weight), (DOMAIN, domain_weight))
        # a table of one target alone can be asked, if the other counts for nothing
        return np.sum([weight * losses.at(target, ratio) for target, weight in parts if weight], axis=0)

    value, none, every = least(loss, GRID)
    return ratio_answer(
        "ratio of least weighted loss",
        value,
        none,
        every,
        domain=domain,
        size=float(size),
        tokens=float(tokens),
        weights_of_losses={"general": float(general_weight), "domain": float(domain_weight)},
    )

"""The ratio under a forgetting budget: D-CPT's usage 1 as a posterior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayescpt.ask.answer import ratio_answer
from bayescpt.ask.each import of_each
from bayescpt.ask.losses import Losses, refuse_phase, refuse_without_share
from bayescpt.ask.search import largest_ratio
from bayescpt.fit import Fit


@of_each
def ratio_under_budget(
    fit: Fit,
    domain: str,
    size: float,
    tokens: float,
    max_forgetting: float,
    relative: bool = False,
    base_loss: float | None = None,
    stated: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Posterior of the largest r with L_g(N, D, r) <= L_g0 + eps, or <= (1 + T) L_g0 where ``relative``.

    L_g is the expected general loss, L_g0 that of the base. Both laws fall in the share of their own corpus, so the
    largest admissible r is also the one with the least domain loss (Que et al. 2024, 2406.01375, usage 1).

    Args:
        size, tokens: parameters N and CPT tokens D.
        max_forgetting: eps in nats per token, or T as a fraction.
        base_loss: L_g0 in nats per token, where the table has none or the base is another.
        stated: what the law looks at besides, by name (model/covariates).

    Returns a Dataset over draws, see :func:`bayescpt.ask.answer.ratio_answer`. Raises ValueError on impossible
    settings.

    Examples:
        >>> from bayescpt import ratio_under_budget, summary
        >>> answer = ratio_under_budget(fitted, "cpp", size=590720, tokens=204800, max_forgetting=0.05)
        >>> said = summary(answer)
        >>> round(said["q50"], 1), said["p_none"], said["p_all"]
        (0.7, 0.0, 0.0)
    """
    if not max_forgetting >= 0:
        raise ValueError(f"max_forgetting must be at least 0, got {max_forgetting}")
    refuse_without_share(fit)
    losses = Losses(fit, domain, size, tokens, None if base_loss is None else {"general": base_loss}, stated)
    refuse_phase(stated)
    base = losses.base("general")
    limit = base * (1 + max_forgetting) if relative else base + max_forgetting
    value, none, every = largest_ratio(lambda ratio: limit - losses.at("general", ratio))
    return ratio_answer(
        "largest ratio under a forgetting budget",
        value,
        none,
        every,
        domain=domain,
        size=float(size),
        tokens=float(tokens),
        tolerance=float(max_forgetting),
    )

"""The ratio where domain data are limited: D-CPT's usage 2 as a posterior, without and with repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from bayescpt.ask.answer import ratio_answer
from bayescpt.ask.each import of_each
from bayescpt.ask.losses import Losses, check_setting, refuse_phase, refuse_without_share
from bayescpt.ask.search import GRID, least
from bayescpt.fit import Fit

SEARCHED = GRID[1:]
"""From 1/128 to 1: without domain tokens there is no length of run at which they are all read."""
EPOCHS = "domain_epochs"


@of_each
def ratio_under_limited_data(
    fit: Fit,
    domain: str,
    size: float,
    domain_tokens: float,
    tokens: float | None = None,
    base_loss: float | None = None,
    stated: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Posterior of the ratio of least expected domain loss where only ``domain_tokens`` D_d of the domain exist.

    Without ``tokens`` every domain token is read once and general tokens are at hand without limit: a run at ratio r
    has D = D_d / r tokens, and the answer is the argmin over r of L_d(N, D_d / r, r) (Que et al. 2024, 2406.01375,
    usage 2). A small r asks the law for runs of D_d / r tokens, perhaps far beyond the table's longest.

    With ``tokens`` the run has D tokens in all, and its domain corpus is read r D / D_d times: the argmin of
    L_d(N, D, r) under a law that knows what repetition costs (``repeated``). Under any other law the answer would
    always be 1.

    Args:
        size: parameters N.
        domain_tokens: D_d, tokens of the domain corpus.
        tokens: D, all sources together.
        base_loss: domain loss of the base in nats per token, where the table has none or the base is another.
        stated: what the law looks at besides, by name (model/covariates).

    Returns a Dataset over draws, see :func:`bayescpt.ask.answer.ratio_answer`: ``value``; ``every``, the optimum sits
    at the boundary r = 1, all of the run domain data; ``none``, it sits at the smallest ratio searched, 1/128.

    Raises ValueError on impossible settings, and where ``tokens`` are given and the law knows nothing of repetition,
    or where it does not see the ratio.

    Examples:
        >>> from bayescpt import ratio_under_limited_data, summary
        >>> answer = ratio_under_limited_data(fitted, "cpp", size=590720, domain_tokens=50000)
        >>> said = summary(answer)
        >>> 0.8 < said["q05"] <= said["q95"] <= 1, said["tokens"]
        (True, None)
    """
    check_setting(size, domain_tokens if tokens is None else tokens)
    if not (np.isfinite(domain_tokens) and domain_tokens > 0):
        raise ValueError(f"domain_tokens must be a positive number of tokens, got {domain_tokens}")
    law = fit.model.law
    refuse_without_share(fit)
    if tokens is not None and EPOCHS not in law.covariates:
        raise ValueError(
            f"the law '{law.name}' does not know what repeated tokens are worth, so that at a stated total "
            "its answer would be all domain data: fit with --law repeated, or leave the total out"
        )
    said = dict(stated or {}) | ({"domain_tokens": float(domain_tokens)} if EPOCHS in law.covariates else {})
    base = None if base_loss is None else {"domain": base_loss}
    losses = Losses(fit, domain, size, domain_tokens if tokens is None else tokens, base, said)  # type: ignore[arg-type]
    refuse_phase(stated)

    def loss(ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        return losses.at("domain", ratio, domain_tokens / ratio if tokens is None else None)

    value, none, every = least(loss, SEARCHED)
    return ratio_answer(
        "ratio of least domain loss under limited domain data",
        value,
        none,
        every,
        domain=domain,
        size=float(size),
        tokens=None if tokens is None else float(tokens),
        domain_tokens=float(domain_tokens),
    )

"""What every action brings, by draw: both losses, the base's, and how far two runs of one setting differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayescpt.ask.each import of_each
from bayescpt.ask.losses import Losses, refuse_without_share
from bayescpt.decide.space import check_actions
from bayescpt.fit import Fit
from bayescpt.schema import TARGETS


@of_each
def outcomes(
    fit: Fit,
    domain: str,
    actions: pd.DataFrame,
    base_loss: Mapping[str, float] | None = None,
    stated: Mapping[str, Any] | None = None,
    with_base: bool = True,
) -> xr.Dataset:
    """Expected losses at the end of every action's run, by draw.

    Args:
        actions: settings of runs, see decide/space.py.
        base_loss: losses of the base by target, where the table has none or the base is another.
        stated: what the law looks at besides, by name (model/covariates).
        with_base: whether the base's general loss is asked for too, which not every table has.

    Returns a Dataset over (action, sample), nats per token: ``general`` and ``domain``, expected losses; ``base``, the
    base's general loss; ``general_run`` and ``domain_run``, the standard deviation of a measured loss of one new run
    around them. Draws share their parameters over actions, so that differences between actions are honest.

    Raises ValueError on actions that are none, under a law that does not see the ratio, and where a loss is no number.
    """
    check_actions(actions)
    refuse_without_share(fit)
    shape = (len(actions), fit.size)
    found = {name: np.empty(shape) for target in TARGETS for name in (target, f"{target}_run")}
    if with_base:
        found["base"] = np.empty(shape)
    places = actions.reset_index(drop=True)
    for (size, tokens), group in places.groupby(["size", "tokens"], sort=False):
        losses = Losses(fit, domain, size, tokens, dict(base_loss or {}) or None, stated)  # type: ignore[arg-type]
        where, ratio = group.index.to_numpy(), group["ratio"].to_numpy(dtype=float)[:, None]
        if with_base:
            found["base"][where] = losses.base("general")
        for target in TARGETS:
            found[target][where] = losses.at(target, ratio)
            found[f"{target}_run"][where] = losses.run_sd(target, ratio)
    for name, drawn in found.items():
        if not np.isfinite(drawn).all():
            worst = places.iloc[int(np.flatnonzero(~np.isfinite(drawn).all(axis=1))[0])]
            raise ValueError(
                f"{name}: some draws are no number at ratio {worst['ratio']:g}, size {worst['size']:.4g}, tokens "
                f"{worst['tokens']:.4g}: the law does not reach there, leave such actions out"
            )
    result = xr.Dataset({name: (("action", "sample"), values) for name, values in found.items()})
    for values in result.values():
        values.attrs = {"unit": "nats/token"}
    return result

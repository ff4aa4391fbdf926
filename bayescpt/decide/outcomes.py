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
from bayescpt.model.covariates import STATEMENTS
from bayescpt.schema import SHARE, TARGETS


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
        actions: settings of runs, see decide/space.py. What else may be chosen stands in columns of the names that
            can be stated (``lr_sum``, ``lr_anneal``, ``domain_tokens``, ``phase_part`` with ``phase_ratio``) and in
            ``share_<source>`` for every source.
        base_loss: losses of the base by target, where the table has none or the base is another.
        stated: what the law looks at besides, by name (model/covariates), of every action.
        with_base: whether the base's general loss is asked for too, which not every table has.

    Returns a Dataset over (action, sample), nats per token: ``general`` and ``domain``, expected losses; ``base``, the
    base's general loss; ``general_run`` and ``domain_run``, the standard deviation of a measured loss of one new run
    around them. Draws share their parameters over actions, so that differences between actions are honest.

    Raises ValueError on actions that are none, under a law that does not see the ratio, and where a loss is no number.

    Examples:
        >>> from bayescpt.decide import outcomes, ratios
        >>> found = outcomes(fitted, "cpp", ratios(size=590720, tokens=204800, ratio=[0.25, 0.75]))
        >>> dict(found.sizes), sorted(map(str, found))
        ({'action': 2, 'sample': 200}, ['base', 'domain', 'domain_run', 'general', 'general_run'])
    """
    check_actions(actions)
    refuse_without_share(fit)
    shape = (len(actions), fit.size)
    found = {name: np.empty(shape) for target in TARGETS for name in (target, f"{target}_run")}
    if with_base:
        found["base"] = np.empty(shape)
    places = actions.reset_index(drop=True)
    numbers = sorted(set(places) & STATEMENTS)
    for (size, tokens, *said), group in places.groupby(["size", "tokens", *numbers], sort=False):
        states = dict(stated or {}) | dict(zip(numbers, said, strict=True)) | _shares(group)
        losses = Losses(fit, domain, size, tokens, dict(base_loss or {}) or None, states)  # type: ignore[arg-type]
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


def _shares(group: pd.DataFrame) -> dict[str, Any]:
    """Shares of all sources, by source, where actions have them."""
    named = [name for name in group if name.startswith(SHARE)]
    if not named:
        return {}
    return {"shares": {name.removeprefix(SHARE): group[name].to_numpy(float)[:, None] for name in named}}

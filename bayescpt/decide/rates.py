"""What may be chosen where rows vary the learning rate: its height and how long it anneals at the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.model.covariates.rates import constant_path, constant_rows

ANNEAL_DECAY = 0.999
"""Per step, of the momentum in S2: Tissue et al. 2024 (2408.11029), section 3."""


def with_rates(
    actions: pd.DataFrame, table: Table, lr: Sequence[float], anneal: Sequence[float] = (0.0,)
) -> pd.DataFrame:
    """Every action at every learning rate, and with every part of the run annealed linearly to 0 at its end.

    With K steps, S1 of the table's runs at a constant rate eta_0, a rate eta and a part a annealed, A = a K,

        S1 = S1_0 eta / eta_0 - eta A/2,    S2 = eta / (A (1 - l)) [A - l (1 - l^A) / (1 - l)],   l = 0.999

    (2505.07796, Tissue et al. 2024). K and eta_0 are those of the table's runs of the nearest size that do not anneal.

    Args:
        table: with the columns ``lr`` and ``lr_sum``.
        lr: rates, within those that the table's runs had; anneal: parts in [0, 1), other than 0 where runs annealed.

    Returns the actions with columns ``lr_sum`` and ``lr_anneal``, which laws look at, and ``lr`` and ``anneal``.

    Raises ValueError where the table does not say what its rates were, where no row tells what is asked for, and on
    impossible settings.

    Examples:
        >>> import pandas as pd
        >>> from bayescpt.decide import ratios, with_rates
        >>> actions = with_rates(ratios(590720, 204800, [0.5]), table, lr=[1e-3])
        >>> actions[["lr", "anneal", "lr_sum", "lr_anneal"]].round(3)
              lr  anneal  lr_sum  lr_anneal
        0  0.001     0.0   0.391        0.0
    """
    faults = [f"expected positive learning rates, got {one}" for one in lr if not (np.isfinite(one) and one > 0)]
    faults += [f"expected parts of the run in [0, 1) to anneal, got {one}" for one in anneal if not 0 <= one < 1]
    if not len(lr) or not len(anneal):
        faults.append("expected at least one learning rate and one part to anneal (0 for none)")
    if table.lr is None or table.lr_sum is None:
        faults.append("the table does not say what its learning rates were: it needs the columns lr and lr_sum")
    if not faults:
        faults += _untold(table, lr, anneal)
    if faults:
        raise ValueError("; ".join(faults))
    places = list(actions[["size", "tokens"]].itertuples(index=False, name=None))
    paths = {place: _path(table, *place) for place in set(places)}
    steps, path, usual = np.array([paths[place] for place in places]).T
    parts = []
    for rate in lr:
        for part in anneal:
            fall, s2 = areas(rate, steps, part)
            s1 = path * rate / usual - fall
            parts.append(actions.assign(lr=float(rate), anneal=float(part), lr_sum=s1, lr_anneal=s2))
    return pd.concat(parts, ignore_index=True)


def _untold(table: Table, lr: Sequence[float], anneal: Sequence[float]) -> list[str]:
    """What the rows cannot tell: rates beyond those that were run, and annealing where no run did."""
    assert table.lr is not None, "asked before"
    peaks = pd.Series(table.lr).groupby(table.run).max()
    low, high = float(peaks.min()), float(peaks.max())
    beyond = [f"{one:g}" for one in lr if not low * (1 - SAME) <= one <= high * (1 + SAME)]
    faults = []
    if beyond:
        had = f"one learning rate, {low:g}" if high <= low * (1 + SAME) else f"learning rates from {low:g} to {high:g}"
        faults.append(
            f"the table's runs had {had}: no row tells what {', '.join(beyond)} would do; train proxies at such rates"
        )
    if any(anneal) and (table.lr_anneal is None or not (table.lr_anneal > 0).any()):
        faults.append("no run of the table anneals: no row tells what annealing would do; train proxies that do")
    return faults


SAME = 0.01
"""Relative difference up to which two learning rates are one."""


def areas(
    lr: float, steps: Float[np.ndarray, " run"], anneal: float
) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"]]:
    """What annealing the last part of so many steps linearly to 0 takes from S1, and S2."""
    falling = anneal * steps
    if not anneal:
        return np.zeros_like(steps), np.zeros_like(steps)
    keep = ANNEAL_DECAY
    s2 = lr / (falling * (1 - keep)) * (falling - keep * (1 - keep**falling) / (1 - keep))
    return lr * falling / 2, s2


def _path(table: Table, size: float, tokens: float) -> tuple[float, float, float]:
    """Of a run at a constant rate: its optimizer steps, its S1, and that rate."""
    assert table.lr is not None, "asked before"
    knots, path = constant_path(table, size)
    rows = constant_rows(table, size)
    # a warm-up is over by the last checkpoint
    rate = float(np.median(table.lr[rows & (table.tokens == table.tokens[rows].max())]))
    last = (path[-1] - path[-2]) / (knots[-1] - knots[-2])
    s1 = float(np.interp(tokens, knots, path) + last * max(tokens - knots[-1], 0.0))
    return tokens * last / rate, s1, rate

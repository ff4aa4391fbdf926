"""What may be chosen where rows vary the learning rate: its height and how long it anneals at the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.model.covariates.rates import constant_path

ANNEAL_DECAY = 0.999
"""Per step, of the momentum in S2: Tissue et al. 2024 (2408.11029), section 3."""


def with_rates(
    actions: pd.DataFrame, table: Table, lr: Sequence[float], anneal: Sequence[float] = (0.0,)
) -> pd.DataFrame:
    """Every action at every learning rate, and with every part of the run annealed linearly to 0 at its end.

    With K steps, a constant rate eta and a part a of them annealed, A = a K,

        S1 = eta (K - A/2),    S2 = eta / (A (1 - l)) [A - l (1 - l^A) / (1 - l)],   l = 0.999

    (2505.07796, Tissue et al. 2024). K follows from the table's runs at a constant rate: tokens per step are as theirs.

    Args:
        table: with the columns ``lr`` and ``lr_sum``.
        lr: rates; anneal: parts in [0, 1).

    Returns the actions with columns ``lr_sum`` and ``lr_anneal``, which laws look at, and ``lr`` and ``anneal``.

    Raises ValueError where the table does not say what its rates were, and on impossible settings.

    Examples:
        >>> import pandas as pd
        >>> from bayescpt.decide import ratios, with_rates
        >>> actions = with_rates(ratios(590720, 204800, [0.5]), table, lr=[1e-3], anneal=[0.0, 0.2])
        >>> actions[["lr", "anneal", "lr_sum"]].round(3)
              lr  anneal  lr_sum
        0  0.001     0.0   0.391
        1  0.001     0.2   0.351
    """
    faults = [f"expected positive learning rates, got {one}" for one in lr if not (np.isfinite(one) and one > 0)]
    faults += [f"expected parts of the run in [0, 1) to anneal, got {one}" for one in anneal if not 0 <= one < 1]
    if not len(lr) or not len(anneal):
        faults.append("expected at least one learning rate and one part to anneal (0 for none)")
    if table.lr is None or table.lr_sum is None:
        faults.append("the table does not say what its learning rates were: it needs the columns lr and lr_sum")
    if faults:
        raise ValueError("; ".join(faults))
    steps = {
        where: _steps(table, *where) for where in actions[["size", "tokens"]].drop_duplicates().itertuples(index=False)
    }
    parts = []
    for rate in lr:
        for part in anneal:
            count = np.array([steps[where] for where in actions[["size", "tokens"]].itertuples(index=False)])
            s1, s2 = areas(rate, count, part)
            parts.append(actions.assign(lr=float(rate), anneal=float(part), lr_sum=s1, lr_anneal=s2))
    return pd.concat(parts, ignore_index=True)


def areas(
    lr: float, steps: Float[np.ndarray, " run"], anneal: float
) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"]]:
    """S1 and S2 of runs of so many steps at a constant rate, the last part annealed linearly to 0."""
    falling = anneal * steps
    s1 = lr * (steps - falling / 2)
    if not anneal:
        return s1, np.zeros_like(s1)
    keep = ANNEAL_DECAY
    s2 = lr / (falling * (1 - keep)) * (falling - keep * (1 - keep**falling) / (1 - keep))
    return s1, s2


def _steps(table: Table, size: float, tokens: float) -> float:
    """Optimizer steps of a run of so many tokens: S1 of the table's constant runs over their rate."""
    assert table.lr is not None, "asked before"
    knots, path = constant_path(table, size)
    constant = np.ones(len(table), bool) if table.lr_anneal is None else table.lr_anneal == 0
    rate = float(np.median(table.lr[constant]))
    last = (path[-1] - path[-2]) / (knots[-1] - knots[-2])
    return float((np.interp(tokens, knots, path) + last * max(tokens - knots[-1], 0.0)) / rate)

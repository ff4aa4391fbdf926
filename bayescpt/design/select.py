"""The next runs: greedily those of most worth for their cost, or the verdict that none is worth it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.design.acquisition import Acquisition, RegretReduction, given
from bayescpt.design.observe import measured
from bayescpt.fit import Fit, Mixture

RUN, STOP = "run", "stop"
CHUNK = 512
"""Candidates whose possible measurements are held at a time."""
SHORT_LIST = 512
"""Candidates that stay in view after the first of a batch: what is poor alone is poor beside another."""
DRAWS = 2000
"""Draws that a comparison of candidates needs: thin a fit to these (Fit.thinned)."""
POWER = 0.5
"""Of the cost in the score, gain / cost^power: 0 asks for what teaches most, 1 for most per FLOP."""
SETTING = ("domain", "size", "ratio", "seed")
LEAST_GAIN = 5e-4
"""Fall of the expected regret, nats per token, below which a run is not worth training: a twentieth of what two seeds
differ by in our own study."""


@dataclass(frozen=True)
class NextRuns:
    """What to train next.

    Args:
        verdict: ``run`` or ``stop``.
        reason: in words.
        chosen: the runs in order, with ``gain`` (given those before), ``score`` and the fall of the expected regret.
        candidates: all of them with the gain and score of each alone.
        regret: expected regret of the plan as of now, nats per token.
        unit: of the gains.
    """

    verdict: str
    reason: str
    chosen: pd.DataFrame
    candidates: pd.DataFrame
    regret: float
    unit: str

    def summary(self) -> dict[str, Any]:
        """Everything but the table of candidates, for a program."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "regret": self.regret,
            "unit": self.unit,
            "cost": float(self.chosen["cost"].sum()),
            "runs": self.chosen.to_dict("records"),
        }


def next_runs(
    fit: Fit | Mixture,
    candidates: pd.DataFrame,
    values: Float[np.ndarray, "action draw"],
    budget: float,
    acquisition: Callable[[Float[np.ndarray, "action draw"]], Acquisition] = RegretReduction,
    count: int = 1,
    power: float = POWER,
    pending: pd.DataFrame | None = None,
    least_gain: float = LEAST_GAIN,
) -> NextRuns:
    """Up to ``count`` runs within ``budget``, one after another, each given those before and those pending.

    Args:
        candidates: what may be run and its cost (design/candidates.py).
        values: of every action by draw of ``fit`` (design/decision.py): what the runs are to serve.
        budget: FLOPs for all of them together.
        acquisition: made from the values; see ``ACQUISITIONS``.
        power: of the cost in the score.
        pending: runs that are under way, in the columns of candidates.
        least_gain: expected fall of the regret below which the verdict is ``stop``.

    Raises ValueError where the budget pays for no candidate, or a setting is impossible.
    """
    if not (np.isfinite(budget) and budget > 0):
        raise ValueError(f"expected a positive number of FLOPs as budget, got {budget}")
    if not (count >= 1 and np.isfinite(power) and power >= 0 and least_gain >= 0):
        raise ValueError(
            f"expected at least one run, a power of the cost and a least gain of at least 0; got {count}, {power:g}, "
            f"{least_gain:g}"
        )
    if candidates["cost"].min() > budget:
        raise ValueError(
            f"the budget of {budget:.3g} FLOPs pays for no candidate: the cheapest costs "
            f"{candidates['cost'].min():.3g}; raise it, or add smaller or shorter runs to the space"
        )
    wanted, regret = acquisition(values), RegretReduction(values)
    known = np.empty((0, values.shape[1]))
    if pending is not None and len(pending):
        known = measured(fit, pending).reshape(-1, values.shape[1])
    offered = candidates.reset_index(drop=True)
    cost = offered["cost"].to_numpy(float)

    gains, kept = np.empty(len(offered)), np.empty((0, 0, 0))
    view = np.arange(len(offered))
    learnt = given(wanted.quantities(), known)
    for begin in range(0, len(offered), CHUNK):
        part = slice(begin, begin + CHUNK)
        seen = given(measured(fit, offered.iloc[part]), known)
        gains[part] = wanted.gain(learnt, seen)
    table = offered.assign(gain=gains, score=gains / cost**power)
    affordable = np.flatnonzero(cost <= budget)
    view = affordable[np.argsort(-table["score"].to_numpy()[affordable], kind="stable")[:SHORT_LIST]]
    kept = measured(fit, offered.iloc[view])

    chosen: list[dict[str, Any]] = []
    left = budget
    reason = ""
    for _ in range(count):
        open_ = cost[view] <= left
        if not open_.any():
            reason = "nothing is left that the rest of the budget pays for"
            break
        seen = given(kept, known)
        gain = np.where(open_, wanted.gain(given(wanted.quantities(), known), seen), -np.inf)
        score = gain / cost[view] ** power
        best = int(np.argmax(score))
        fall = float(regret.gain(given(values, known), seen[best : best + 1])[0])
        most = float(regret.gain(given(values, known), seen[open_]).max())
        if most < least_gain:
            reason = f"no run on offer is expected to lower the regret by {least_gain:g} nats; the most is {most:.2g}"
            break
        row = offered.iloc[view[best]].to_dict() | {"gain": gain[best], "score": score[best], "regret_fall": fall}
        chosen.append({name: value.item() if hasattr(value, "item") else value for name, value in row.items()})
        left -= cost[view[best]]
        known = np.concatenate([known, kept[best]])
        # the same run at another length is a checkpoint of this one, or this one is a checkpoint of it
        same = (offered.iloc[view][list(SETTING)] == offered.iloc[view[best]][list(SETTING)]).all(axis=1).to_numpy()
        kept, view = kept[~same], view[~same]
    verdict = RUN if chosen else STOP
    if not reason:
        reason = f"{len(chosen)} run{'s' if len(chosen) > 1 else ''} as asked"
    columns = [*offered.columns, "gain", "score", "regret_fall"]
    return NextRuns(
        verdict=verdict,
        reason=reason,
        chosen=pd.DataFrame(chosen, columns=columns),
        candidates=table,
        regret=float((values.max(axis=0) - values[int(values.mean(axis=1).argmax())]).mean()),
        unit=wanted.unit,
    )

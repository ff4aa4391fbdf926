"""The next runs: greedily those of most worth for their cost, or the verdict that none is worth it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.design.acquisition import MOST_NUMBERS, Acquisition, Quantities, RegretReduction, Seen, given
from bayescpt.design.branches import GRID, SAME, completed, shared
from bayescpt.design.candidates import alike, reached_by
from bayescpt.design.observe import measured
from bayescpt.fit import Fit, Mixture

RUN, STOP = "run", "stop"
CHUNK = 512
"""Candidates whose possible measurements are held at a time."""
SHORT_LIST = 512
"""Candidates that are looked at with all draws; of more than these, which they are is told by ``BRIEF`` draws. What is
poor alone is poor beside another of a batch."""
BRIEF = 256
DRAWS = 2000
"""Draws that a comparison of candidates needs: thin a fit to these (Fit.thinned)."""
MOST_RUNS = 64
"""Of one batch: each costs two numbers to regress on."""
POWER = 0.5
"""Of the cost in the score, gain / cost^power: 0 asks for what teaches most, 1 for most per FLOP. Halfway between them;
which saves most has not been measured (2604.22753 takes 0.4 for a rule of its own)."""
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
        candidates: all of them with the gain and score of each alone; ``brief`` where by some of the draws only and
            with what chance adds.
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

    Branches of one trunk that is trained once more for them pay for it together: the first of them in full.

    Args:
        candidates: what may be run and its cost (design/candidates.py).
        values: of every action by draw of ``fit`` (design/decision.py): what the runs are to serve.
        budget: for all of them together, in the unit of their costs.
        acquisition: made from the values; see ``ACQUISITIONS``.
        power: of the cost in the score.
        pending: runs that are under way, in the columns of candidates.
        least_gain: expected fall of the regret below which a run is not worth it. Nor is one that promises no more than
            the best of runs whose draws are shuffled. 0 takes whatever there is.

    Raises ValueError where the budget pays for no candidate, or a setting is impossible.

    Examples:
        >>> from bayescpt import ForgettingBudget
        >>> from bayescpt.decide import ratios
        >>> from bayescpt.design import Space, candidates, decision_values, next_runs
        >>> values = decision_values(fitted, "cpp", ratios(2e6, 204800), ForgettingBudget(0.05), confidence=0.9)
        >>> offered = candidates(Space(["cpp"], [98624, 590720], [0.3, 0.6], [102400, 204800]), table)
        >>> proposed = next_runs(fitted, offered, values, budget=1e15, least_gain=0)
        >>> proposed.verdict, len(proposed.chosen)
        ('run', 1)
    """
    if faults := _faults(candidates, budget, count, power, least_gain):
        raise ValueError("; ".join(faults))
    wanted, regret = acquisition(values), RegretReduction(values)
    candidates, under_way = completed(candidates), _left(pending, fit.table)
    offered = candidates[~_same(candidates, under_way)].reset_index(drop=True)
    if offered.empty:
        raise ValueError("every run of the space is under way already: add sizes, ratios or seeds")
    known = np.empty((0, values.shape[1]))
    if len(under_way):
        known = measured(fit, under_way).reshape(-1, values.shape[1])
    cost = offered["cost"].to_numpy(float)
    if not (cost <= budget).any():
        raise ValueError("the budget pays for no run that is not under way already: raise it, or wait")

    gains = _brief_gains(fit, offered, wanted, known) if len(offered) > SHORT_LIST else np.zeros(len(cost))
    # runs that cost too much are shown too, those within the budget first
    order = np.lexsort((-_score(gains, cost, power), cost > budget))
    view = np.sort(order[:SHORT_LIST])
    kept = measured(fit, offered.iloc[view])
    learnt, told = _split(wanted.quantities(), known)
    gains[view] = wanted.gain(learnt, given(kept, known), told)
    table = offered.assign(gain=gains, score=_score(gains, cost, power), brief=~np.isin(np.arange(len(cost)), view))
    within = cost[view] <= budget
    view, kept = view[within], kept[within]
    floor = max(least_gain, _by_chance(regret, kept, fit.rng("chance"))) if least_gain else 0.0

    chosen: list[dict[str, Any]] = []
    left = budget
    reason = ""
    for _ in range(count):
        price = cost[view] - shared(offered.iloc[view], pd.DataFrame(chosen))
        open_ = price <= left
        if not open_.any():
            reason = "of the best runs nothing is left" if not len(view) else "the rest of the budget pays for no other"
            break
        seen = given(kept, known)
        left_of, says = _split(regret.quantities(), known)
        falls = regret.gain(left_of, seen, says)
        worth = open_ & (falls >= floor)
        if not worth.any():
            most = falls[open_].max()
            which = (
                "no run on offer" if len(offered) <= SHORT_LIST else f"none of the {SHORT_LIST} runs looked at closely"
            )
            reason = f"{which} is expected to lower the regret by {floor:.2g} nats; the most is {most:.2g}"
            break
        left_of, says = _split(wanted.quantities(), known)
        gain = wanted.gain(left_of, seen, says)
        score = np.where(worth, _score(gain, price, power), -np.inf)
        best = int(np.argmax(score))
        row = offered.iloc[view[best]].to_dict()
        row |= {"cost": price[best], "gain": gain[best], "score": score[best], "regret_fall": falls[best]}
        chosen.append({name: value.item() if hasattr(value, "item") else value for name, value in row.items()})
        left -= price[best]
        known = np.concatenate([known, kept[best]])
        # the same run at another length is a checkpoint of this one, or this one is a checkpoint of it
        same = _same(offered.iloc[view], offered.iloc[[view[best]]])
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


def _faults(candidates: pd.DataFrame, budget: float, count: int, power: float, least_gain: float) -> list[str]:
    """Everything that is impossible in what is asked."""
    faults = []
    if not (count >= 1 and np.isfinite(power) and power >= 0 and least_gain >= 0):
        faults.append(
            f"expected at least one run, a power of the cost and a least gain of at least 0; got {count}, {power:g}, "
            f"{least_gain:g}"
        )
    if count > MOST_RUNS:
        faults.append(f"expected at most {MOST_RUNS} runs at a time, got {count}: train some, fit again, and go on")
    if not (np.isfinite(budget) and budget > 0):
        faults.append(f"expected a positive number as budget, got {budget}")
    elif candidates["cost"].min() > budget:
        faults.append(
            f"the budget of {budget:.3g} pays for no candidate: the cheapest costs {candidates['cost'].min():.3g}; "
            "raise it, or add smaller or shorter runs to the space"
        )
    return faults


def _brief_gains(
    fit: Fit | Mixture,
    offered: pd.DataFrame,
    wanted: Acquisition,
    known: Float[np.ndarray, "number draw"],
) -> Float[np.ndarray, " candidate"]:
    """Gains of all candidates by some of the draws, evenly spread: enough to tell which are worth a second look."""
    quantities = wanted.quantities()
    draws = quantities.shape[1]
    some = np.unique(np.linspace(0, draws - 1, min(draws, max(BRIEF, int(len(known) / MOST_NUMBERS) + 11))).astype(int))
    pending = known[:, some]
    learnt, told = _split(quantities[:, some], pending)
    gains = np.empty(len(offered))
    for begin in range(0, len(offered), CHUNK):
        part = slice(begin, begin + CHUNK)
        seen = measured(fit, offered.iloc[part], some)
        gains[part] = wanted.gain(learnt, given(seen, pending), told, chance=False)
    return gains


def _split(quantities: Quantities, known: Float[np.ndarray, "number draw"]) -> tuple[Quantities, Quantities | None]:
    """What is left of quantities once what is pending is measured, and what that may say of them."""
    learnt = given(quantities, known)
    return learnt, (quantities - learnt if len(known) else None)


def _score(
    gain: Float[np.ndarray, " candidate"], cost: Float[np.ndarray, " candidate"], power: float
) -> Float[np.ndarray, " candidate"]:
    """gain / (cost / least cost)^power, which no power overflows."""
    return gain * np.exp(-power * np.log(cost / cost.min()))


def _by_chance(regret: RegretReduction, kept: Seen, rng: np.random.Generator) -> float:
    """The largest fall of the regret that runs seem to bring which have nothing to do with the decision.

    Their draws are shuffled. With few draws and many candidates some seem to bring something.
    """
    order = rng.permutation(kept.shape[-1])
    return float(regret.gain(regret.quantities(), kept[..., order]).max())


def _same(runs: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Which runs are one of ``others``, at whatever length."""
    found = np.zeros(len(runs), bool)
    for other in others.itertuples():
        found |= alike(runs, other) & (runs["seed"] == other.seed).to_numpy()
    return found


def _left(pending: pd.DataFrame | None, table: Table) -> pd.DataFrame:
    """Pending runs that the table does not have yet."""
    if pending is None or pending.empty:
        return pd.DataFrame(columns=[name for name in GRID if name != "start"])
    pending = completed(pending)
    reached = reached_by(pending.reset_index(drop=True), table)
    return pending[reached < pending["tokens"].to_numpy(float) * (1 - SAME)].reset_index(drop=True)

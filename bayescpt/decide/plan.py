"""The plan: the one action of best expected utility among those that keep what is asked, and how much it may regret.

    a* = argmax_a E[U(a)]  subject to  P(M(a) >= 0) >= confidence

with U the utility and M the margin of the objective, over posterior draws. It is not the mean of the draws' optima,
which no draw may want. Regret of a draw is the utility that the best action of that draw among those that keep the
margin there would bring more, and 0 where a* breaks the margin and has more; how often that is stands beside it. The
regret that the next runs are to lower (design/decision.py) counts a broken margin instead, and is larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import norm

from bayescpt.decide.objective import Objective
from bayescpt.decide.outcomes import outcomes
from bayescpt.fit import Fit, Mixture
from bayescpt.model.covariates import STATEMENTS
from bayescpt.schema import DOMAIN, GENERAL, SHARE, TARGETS

CONFIDENCE = 0.9
CHOSEN, FLAT, NONE = "chosen", "flat", "none"
"""Status: one action stands out; many are equally good as far as rows can tell; none keeps what is asked."""
TELL = 0.1
"""Probability of being better from which rows cannot tell an action from the chosen one."""
MANY = 0.5
"""Part of the allowed actions from which a plan is called flat."""
APART = 0.05
"""Difference in ratio from which an action at a like size is another one, not a neighbour."""
ALIKE = 1.25
"""Factor up to which sizes are alike."""
MOST_VALUES = 2**23
"""Actions times draws from which every n-th draw is read, such that at most twice as many are left: some ten arrays of
them, a gigabyte and a half."""
LEAST_DRAWS = 400
"""That are read all the same, which 20,000 actions may have: a probability of 0.9 is then known to 0.015."""


@dataclass(frozen=True)
class Plan:
    """What to do, what speaks for it, and what else would do.

    Args:
        objective, confidence: what was asked.
        domain: trained on.
        status: ``chosen``, ``flat`` or ``none``.
        actions: everything on offer, with ``utility`` (expected), ``p_allowed``, ``allowed``, ``p_better`` (than the
            chosen one), ``tied``, and mean, q05, q95 of both losses and of the rise over the base.
        best: row of the action; under ``none`` that which keeps what is asked most probably.
        runner_up: row of the best allowed action that is no neighbour of it, if there is one.
        regret: by draw, nats per token.
        p_allowed_run: probability that one measured run keeps what is asked.
        optimism: by how much the expected utility is flattered by choosing and judging with the same draws: its
            difference to that of actions chosen by one half of the draws and judged by the other. It is a matter of few
            draws and says nothing of a law that is wrong.
        p_below_zero: part of the draws in which a loss of the action is not above zero, as none is: so far beyond the
            rows that the odds mean little.
    """

    objective: Objective
    confidence: float
    domain: str
    status: str
    actions: pd.DataFrame
    best: int
    runner_up: int | None
    regret: Float[np.ndarray, " draw"]
    p_allowed_run: float
    optimism: float
    p_below_zero: float

    @property
    def action(self) -> pd.Series:
        """The row of the action."""
        return self.actions.iloc[self.best]

    @property
    def tied_ratios(self) -> tuple[float, float]:
        """Ends of the range of ratios around the action, at its size, that are equally good as far as rows can tell.

        Where runs may end with a phase of their own, ratios of their trunks.
        """
        block = _block(self.actions, self.best)
        ratio = self.actions.loc[block, set_ratio(self.actions)]
        return float(ratio.min()), float(ratio.max())

    @property
    def tied_shares(self) -> dict[str, tuple[float, float]]:
        """Least and largest share of every source among those actions, where shares of sources are chosen."""
        tied = self.actions.loc[_block(self.actions, self.best)]
        shares = [name for name in tied if name.startswith(SHARE)]
        return {name.removeprefix(SHARE): (float(tied[name].min()), float(tied[name].max())) for name in shares}

    @property
    def tied_sizes(self) -> tuple[float, float]:
        """Least and largest size among all actions that are equally good as far as rows can tell."""
        size = self.actions.loc[self.actions["tied"], "size"]
        return float(size.min()), float(size.max())

    def summary(self) -> dict[str, Any]:
        """Everything but the table, for a program."""
        low, high = self.tied_ratios
        told: dict[str, Any] = {
            "domain": self.domain,
            "objective": self.objective.says(),
            "confidence": self.confidence,
            "status": self.status,
            "action": _plain(self.action),
            "p_allowed_run": self.p_allowed_run,
            "regret": {
                "mean": float(self.regret.mean()),
                "q50": float(np.quantile(self.regret, 0.5)),
                "q95": float(np.quantile(self.regret, 0.95)),
            },
            "optimism": self.optimism,
            "equally_good": {
                "low": low,
                "high": high,
                "sizes": list(self.tied_sizes),
                "shares": {source: list(span) for source, span in self.tied_shares.items()},
            },
            "p_below_zero": self.p_below_zero,
            "runner_up": None if self.runner_up is None else _plain(self.actions.iloc[self.runner_up]),
        }
        return told


def plan(
    fit: Fit | Mixture,
    domain: str,
    actions: pd.DataFrame,
    objective: Objective,
    confidence: float = CONFIDENCE,
    base_loss: Mapping[str, float] | None = None,
    stated: Mapping[str, Any] | None = None,
) -> Plan:
    """The best of ``actions`` (decide/space.py) under ``objective`` (decide/objective.py).

    Args:
        confidence: least probability of keeping what the objective asks, in (0, 1).
        base_loss: losses of the base by target, where the table has none or the base is another.
        stated: what the law looks at besides, by name (model/covariates).

    Of many actions by many draws, more than ``MOST_VALUES``, only some draws are read, for the sake of memory. Raises
    ValueError on impossible settings.

    Examples:
        >>> from bayescpt import ForgettingBudget, plan
        >>> from bayescpt.decide import ratios
        >>> chosen = plan(fitted, "cpp", ratios(size=590720, tokens=204800), ForgettingBudget(0.05))
        >>> chosen.status, bool(0.6 < chosen.action["ratio"] < 0.7), bool(chosen.action["p_allowed"] >= 0.9)
        ('chosen', True, True)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence:g}")
    if base_loss and actions["size"].nunique() > 1:
        raise ValueError("a stated base loss is that of one size: state it for a plan at one size alone")
    most = fit.size if isinstance(fit, Fit) else max(member.size for member in fit.members.values())
    if len(actions) * most > MOST_VALUES:
        fit = fit.thinned(max(LEAST_DRAWS, MOST_VALUES // len(actions)))
    outcome = outcomes(fit, domain, actions, base_loss, stated, with_base=objective.needs_base)
    outcome = objective.enlarged(outcome, domain, actions, base_loss, stated)
    utility, margin = objective.utility(outcome), objective.margin(outcome)
    kept = np.ones(utility.shape, bool) if margin is None else margin >= 0
    p_allowed = kept.mean(axis=1)
    allowed = p_allowed >= confidence
    if allowed.any():
        best = int(np.argmax(np.where(allowed, utility.mean(axis=1), -np.inf)))
    else:
        best = _safest(p_allowed, margin)
    worse = utility[best].mean() - utility.mean(axis=1)
    p_better = (utility > utility[best]).mean(axis=1)
    tied = (allowed if allowed.any() else np.zeros(len(allowed), bool)) & (
        (worse <= objective.spread(outcome)) | (p_better >= TELL)
    )
    tied[best] = True
    table = actions.reset_index(drop=True).assign(
        utility=utility.mean(axis=1), p_allowed=p_allowed, allowed=allowed, p_better=p_better, tied=tied
    )
    told: dict[str, np.ndarray] = {target: outcome[target].values for target in TARGETS}
    if objective.needs_base:
        told["rise"] = told[GENERAL] - outcome["base"].values
    for name, values in told.items():
        low, high = np.quantile(values, [0.05, 0.95], axis=1)
        table = table.assign(**{name: values.mean(axis=1), f"{name}_q05": low, f"{name}_q95": high})
    here = allowed & _comparable(table, best)
    flat = here.sum() > 2 and _block(table, best).sum() >= MANY * here.sum()
    status = NONE if not allowed.any() else FLAT if flat else CHOSEN
    return Plan(
        objective=objective,
        confidence=confidence,
        domain=domain,
        status=status,
        actions=table,
        best=best,
        runner_up=_runner_up(table, best),
        regret=_regret(utility, margin, best),
        p_allowed_run=_p_run([(one[best], spread[best]) for one, spread in objective.of_run(outcome)]),
        optimism=_optimism(utility, kept, confidence, best),
        p_below_zero=float(np.mean(np.minimum(told[GENERAL][best], told[DOMAIN][best]) <= 0)),
    )


def set_ratio(actions: pd.DataFrame) -> str:
    """Column of the ratio that is set: of the trunk where runs may end with a phase of their own."""
    return "trunk_ratio" if "trunk_ratio" in actions else "ratio"


def _comparable(table: pd.DataFrame, best: int) -> np.ndarray:
    """The actions at the size of the best, alike in all else that may be chosen besides the mixture."""
    names = ["size", *(set(table) & STATEMENTS)]
    return np.all([(table[name] == table[name].iloc[best]).to_numpy() for name in names], axis=0)


def _block(table: pd.DataFrame, best: int) -> np.ndarray:
    """The comparable actions that are tied with the best: by ratio without a gap between; of mixtures all."""
    ratio, tied = table["ratio"].to_numpy(), table["tied"].to_numpy()
    comparable = _comparable(table, best)
    if any(name.startswith(SHARE) for name in table):
        return comparable & tied
    same = np.flatnonzero(comparable)
    same = same[np.argsort(ratio[same], kind="stable")]
    place, broken = int(np.flatnonzero(same == best)[0]), ~tied[same]
    low = place - int(np.argmax(np.append(broken[:place][::-1], True)))
    high = place + int(np.argmax(np.append(broken[place:], True)))
    found = np.zeros(len(table), bool)
    found[same[low:high]] = True
    return found


def _safest(p_allowed: Float[np.ndarray, " action"], margin: Float[np.ndarray, "action draw"] | None) -> int:
    """The action that keeps what is asked most probably; of equals the one with the largest margin."""
    assert margin is not None  # nothing asked is always kept
    return int(np.lexsort((margin.mean(axis=1), p_allowed))[-1])


def _runner_up(table: pd.DataFrame, best: int) -> int | None:
    chosen = table.iloc[best]
    near = np.log(table["size"] / chosen["size"]).abs() < np.log(ALIKE)
    for name in (set_ratio(table), *(c for c in table if c.startswith(SHARE))):
        near &= (table[name] - chosen[name]).abs() < APART
    for name in set(table) & STATEMENTS:
        near &= table[name] == chosen[name]
    others = table[table["allowed"] & ~near]
    return None if others.empty else int(others["utility"].idxmax())


def _regret(
    utility: Float[np.ndarray, "action draw"],
    margin: Float[np.ndarray, "action draw"] | None,
    best: int,
) -> Float[np.ndarray, " draw"]:
    """What the best action of every draw would bring more."""
    return np.maximum(hindsight(utility, margin) - utility[best], 0.0)


def hindsight(
    utility: Float[np.ndarray, "action draw"], margin: Float[np.ndarray, "action draw"] | None
) -> Float[np.ndarray, " draw"]:
    """Utility of the best action of every draw; where none keeps what is asked, of that which comes closest."""
    if margin is None:
        return utility.max(axis=0)
    kept = margin >= 0
    closest = np.take_along_axis(utility, margin.argmax(axis=0)[None], axis=0)[0]
    return np.where(kept.any(axis=0), np.where(kept, utility, -np.inf).max(axis=0), closest)


def _p_run(asked: Sequence[tuple[Float[np.ndarray, " draw"], Float[np.ndarray, " draw"]]]) -> float:
    """Probability that a measured run keeps all margins: its losses are normal around the expected ones."""
    kept = [norm.cdf(margin / spread) for margin, spread in asked]
    return float(np.prod(kept, axis=0).mean()) if kept else 1.0


def _optimism(utility: Float[np.ndarray, "action draw"], kept: np.ndarray, confidence: float, best: int) -> float:
    """Expected utility as it was found, less that of choices by one half of the draws and judged by the other."""
    order = np.random.default_rng(0).permutation(utility.shape[1])
    halves = order[::2], order[1::2]
    judged = []
    for own, other in (halves, halves[::-1]):
        allowed = kept[:, own].mean(axis=1) >= confidence
        if allowed.any():
            chosen = int(np.argmax(np.where(allowed, utility[:, own].mean(axis=1), -np.inf)))
            judged.append(utility[chosen, other].mean())
    return float(utility[best].mean() - np.mean(judged)) if judged else 0.0


def _plain(row: pd.Series) -> dict[str, Any]:
    """A row with Python's own types."""
    return {str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()}

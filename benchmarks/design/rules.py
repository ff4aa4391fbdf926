"""Ways to choose runs of a new domain. To add one: a function of the state, named in ``RULES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from bayescpt.ask.losses import Losses
from bayescpt.data.table import Table
from bayescpt.decide import ForgettingBudget, ratios
from bayescpt.design import InformationGain, RegretReduction, VarianceReduction, next_runs
from bayescpt.design.acquisition import Acquisition, Quantities, Seen, whitened
from bayescpt.design.decision import deciding_ratio, decision_values
from bayescpt.fit import Fit
from bayescpt.fit.classical import GRID, Series, log_fit, series_of
from bayescpt.laws import BILLION
from bayescpt.schema import TARGETS, Target
from benchmarks.design.modes import POWER, Modes, falls, measured_at, modes_of

BUDGET = 0.05
CONFIDENCE = 0.5
"""The ratio that keeps the budget as likely as not: the median of the optimal ratio, which is what is compared."""
RATIOS = np.linspace(0.0, 1.0, 65)
MOST = 16
"""Runs chosen between two fits."""
STARTS = 48
ROWS = 128
"""Rows of a domain and target are filled up to this, so that one program serves all."""


@dataclass(frozen=True)
class State:
    """What a rule knows when it chooses.

    Args:
        table: rows of the known domains and those bought of the new one.
        fit: to these rows.
        domain: the new one.
        offers: runs that may be bought (pool.py).
        budget: FLOPs that may be spent before the next fit.
        size, tokens: of the run that is to be planned.
        seed: of what is random; number: how many choices were made before.
    """

    table: Table
    fit: Fit
    domain: str
    offers: pd.DataFrame
    budget: float
    size: float
    tokens: float
    seed: int
    number: int

    @cached_property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.number])

    @cached_property
    def actions(self) -> pd.DataFrame:
        return ratios(self.size, self.tokens, RATIOS.tolist())

    @cached_property
    def values(self) -> np.ndarray:
        """Value of every ratio by draw, see bayescpt/design/decision.py."""
        return decision_values(self.fit, self.domain, self.actions, ForgettingBudget(BUDGET), CONFIDENCE)


Rule = Callable[[State], list[int]]
"""Positions in the offers, in order; together they cost no more than the budget."""


def in_order(state: State, order: np.ndarray) -> list[int]:
    """As many as the budget pays for, in this order, each run at one length."""
    chosen: list[int] = []
    taken: set[str] = set()
    left = state.budget
    cost, runs = state.offers["cost"].to_numpy(float), state.offers["run"].to_numpy(str)
    for i in order:
        if cost[i] <= left and runs[i] not in taken:
            chosen.append(int(i))
            taken.add(runs[i])
            left -= cost[i]
    return chosen


def random_runs(state: State) -> list[int]:
    """Any run at any length, each as likely."""
    return in_order(state, state.rng.permutation(len(state.offers)))


def cheapest(state: State) -> list[int]:
    """The cheapest first; equals in random order."""
    return in_order(state, np.lexsort((state.rng.random(len(state.offers)), state.offers["cost"].to_numpy())))


def space_filling(state: State) -> list[int]:
    """The run farthest from all that are there, in log size, ratio and log tokens, each scaled to its range."""

    def place(size: np.ndarray, ratio: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        return np.stack([np.log(size), ratio, np.log(tokens)], axis=1)

    offers, table = state.offers, state.table
    at = place(*(offers[c].to_numpy(float) for c in ("size", "ratio", "tokens")))
    low, wide = at.min(axis=0), np.maximum(np.ptp(at, axis=0), 1e-9)
    mine = table.domain == table.domains.index(state.domain) if state.domain in table.domains else np.zeros(1, bool)
    there = list((place(table.size[mine], table.ratio[mine], table.tokens[mine]) - low) / wide) if mine.any() else []
    at = (at - low) / wide
    cost, runs = offers["cost"].to_numpy(float), offers["run"].to_numpy(str)
    chosen: list[int] = []
    left, open_ = state.budget, np.ones(len(offers), bool)
    while (open_ & (cost <= left)).any():
        may = np.flatnonzero(open_ & (cost <= left))
        far = np.min([np.linalg.norm(at[may] - one, axis=1) for one in there], axis=0) if there else np.zeros(len(may))
        best = int(may[np.argmax(far + 1e-6 * state.rng.random(len(may)))])
        chosen.append(best)
        there.append(at[best])
        left -= cost[best]
        open_ &= runs != runs[best]
    return chosen


def by(state: State, acquisition: Callable[[State, np.ndarray], Acquisition], power: float) -> list[int]:
    """This package's own, see bayescpt/design."""
    if (state.offers["cost"] > state.budget).all():
        return []
    found = next_runs(
        state.fit,
        state.offers,
        state.values,
        state.budget,
        partial(acquisition, state),
        count=MOST,
        power=power,
        least_gain=0.0,
    )
    key = ["run", "tokens"]
    where = {tuple(row): i for i, row in enumerate(state.offers[key].to_numpy().tolist())}
    return [where[tuple(row)] for row in found.chosen[key].to_numpy().tolist()]


def regret(state: State, values: np.ndarray) -> Acquisition:
    return RegretReduction(values)


def information(state: State, values: np.ndarray) -> Acquisition:
    return InformationGain(deciding_ratio(values, RATIOS))


def variance(state: State, values: np.ndarray) -> Acquisition:
    """V-optimal: both losses of the run that is to be planned, at all ratios."""
    losses = Losses(state.fit, state.domain, state.size, state.tokens)
    return VarianceReduction(np.concatenate([losses.at(target, RATIOS[:, None]) for target in TARGETS]))


@dataclass(frozen=True)
class Determinant(Acquisition):
    """D-optimal: information of both losses on the domain's parameters, -1/2 log det(Cov(y | theta) / Cov(y)).

    Args:
        parameters: by parameter and draw.
    """

    parameters: np.ndarray
    name = "determinant"
    unit = "nats of entropy"

    @classmethod
    def serving(cls, values: np.ndarray, ratio: np.ndarray) -> Determinant:
        return cls(values)

    def quantities(self) -> Quantities:
        return self.parameters

    def gain(
        self, quantities: Quantities, seen: Seen, told: Quantities | None = None, chance: bool = True
    ) -> np.ndarray:
        white = whitened(quantities[None])[0]
        away = seen - seen.mean(axis=-1, keepdims=True)
        draws = seen.shape[-1]
        whole = np.einsum("cks,cls->ckl", away, away) / draws
        weight = np.einsum("cks,ps->ckp", away, white, optimize=True) / draws
        left = whole - np.einsum("ckp,clp->ckl", weight, weight)
        return np.maximum(0.5 * (np.linalg.slogdet(whole)[1] - np.linalg.slogdet(left)[1]), 0.0)


def values_variance(state: State, values: np.ndarray) -> Acquisition:
    """V-optimal for the values of the actions, which is what ``bayescpt next --by variance`` takes."""
    return VarianceReduction(values)


def determinant(state: State, values: np.ndarray) -> Acquisition:
    coordinates = state.fit.draws(state.domain).theta
    flat = [np.asarray(v)[t] for _, v in sorted(coordinates.items()) for t in range(len(TARGETS))]
    flat = [np.log(one) if (one > 0).all() else one for one in flat]
    varies = [one for one in flat if np.isfinite(one).all() and one.std() > 1e-9]
    return Determinant(np.stack(varies))


def form(theta: Any, rows: Series) -> Any:
    """Log loss under the D-CPT law, with D_min at the first checkpoint."""
    return log_fit(theta, rows, jnp.log(12_288.0 / BILLION))


def places(size: np.ndarray, tokens: np.ndarray, share: np.ndarray, fill: int = 0) -> Series:
    """Columns of places, filled up with repetitions of the first."""
    columns = (np.log(size / BILLION), np.log(tokens / BILLION), share, np.zeros(len(size)))
    padded = [np.concatenate([c, np.repeat(c[:1], max(fill - len(c), 0))]) for c in columns]
    weight = np.arange(len(padded[0])) < len(size)
    return Series(*(jnp.asarray(c, float) for c in (*padded, weight)))


def modes(state: State) -> list[int]:
    """Between and within modes of the D-CPT law on the new domain's rows alone, see modes.py; both losses count.

    One run after another, each given those before; the first three are the cheapest, for there is nothing to fit yet.
    """
    cost, names = state.offers["cost"].to_numpy(float), state.offers["run"].to_numpy(str)
    mine = state.table.domain == state.table.domains.index(state.domain)
    if len(np.unique(state.table.run[mine])) < 3:
        return in_order(state, np.argsort(cost, kind="stable"))[:3]
    starts = np.asarray(GRID)[state.rng.choice(len(GRID), STARTS, replace=False)]
    starts[:, 7] = np.maximum(starts[:, 7], 0.05)
    fitted = [_fitted_modes(state, target, starts) for target in TARGETS]
    chosen: list[int] = []
    left, open_ = state.budget, np.ones(len(cost), bool)
    while (open_ & (cost <= left)).any() and len(chosen) < MOST:
        gain = np.sum([falls(form, found, offered, goal)[: len(cost)] for found, offered, goal in fitted], axis=0)
        best = int(np.argmax(np.where(open_ & (cost <= left), gain / cost**POWER, -np.inf)))
        chosen.append(best)
        left -= cost[best]
        open_ &= names != names[best]
        fitted = [(measured_at(form, found, offered, best), offered, goal) for found, offered, goal in fitted]
    return chosen


def _fitted_modes(state: State, target: Target, starts: np.ndarray) -> tuple[Modes, Series, Series]:
    """Modes of one loss, the places on offer, and those that are to be predicted."""
    own = series_of(state.table, state.domain, target)
    count = len(own.log_loss)
    fill = Series(*(jnp.concatenate([c, jnp.repeat(c[:1], ROWS - count)]) for c in own))
    weight = (np.arange(ROWS) < count).astype(float)

    def share(ratio: np.ndarray) -> np.ndarray:
        return ratio if target == "domain" else 1 - ratio

    size, tokens, ratio = (state.offers[c].to_numpy(float) for c in ("size", "tokens", "ratio"))
    goal = places(np.full(len(WIDE), state.size), np.full(len(WIDE), state.tokens), share(WIDE))
    found = modes_of(form, starts, fill, fill.log_loss, weight, goal)
    return found, places(size, tokens, share(ratio), ROWS), goal


WIDE = np.linspace(0.05, 0.95, 19)
RULES: dict[str, Rule] = {
    **{
        f"{name}^{power:g}": partial(by, acquisition=acquisition, power=power)
        for name, acquisition in (
            ("regret", regret),
            ("information", information),
            ("v-optimal", variance),
            ("values", values_variance),
            ("d-optimal", determinant),
        )
        for power in (0.5,)
    },
    "modes": modes,
    "space-filling": space_filling,
    "random": random_runs,
    "cheapest": cheapest,
}

"""One new domain after another, run by run: how near the answer is to that of the full grid, and for how many FLOPs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from bayescpt.ask import ratio_under_budget, summary
from bayescpt.ask.losses import Losses
from bayescpt.data.table import Table
from bayescpt.fit import Fit, SamplerSettings, fit
from bayescpt.fit.classical import Series, classical_fit, log_fit, series_of
from bayescpt.laws import BILLION
from benchmarks.design.pool import CHECKPOINTS, WHOLE, Pool
from benchmarks.design.rules import BUDGET, RATIOS, RULES, State

LEVELS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
"""Parts of the full grid's FLOPs at which the answer is looked at."""
KNOWN = 3
"""Domains that are there before, drawn by seed."""
DRAWS = 1000
SIZE, TOKENS = 10_413_216.0, 262_144.0
"""Of the run that is to be planned: the grid's largest size, at the end of its runs."""


def fitted(table: Table, seed: int) -> Fit:
    """A quick fit: of thousands of steps each takes one."""
    return fit(table, method="laplace", seed=seed, settings=SamplerSettings(chains=1, draws=DRAWS))


class Truth:
    """What the full grid of all domains says of one of them."""

    def __init__(self, whole: Fit, domain: str) -> None:
        self.said = summary(ratio_under_budget(whole, domain, SIZE, TOKENS, BUDGET))
        self.ratio = self.said["q50"]
        losses = Losses(whole, domain, SIZE, TOKENS)
        self._domain = np.median(losses.at("domain", RATIOS[:, None]), axis=1)

    def regret(self, ratio: float) -> float:
        """Domain loss that another ratio gives away, or takes beyond what the budget allows, nats per token."""
        return float(abs(np.interp(ratio, RATIOS, self._domain) - np.interp(self.ratio, RATIOS, self._domain)))


def whole_fit(table: Table, seed: int = 0) -> Fit:
    """The fit to all rows at the checkpoints that replays read."""
    return fitted(table.select(np.isin(table.tokens, CHECKPOINTS)), seed)


def replay(
    table: Table, truth: Truth, rule: str, domain: str, seed: int, lengths: Sequence[float] = WHOLE
) -> Iterator[dict[str, Any]]:
    """Buy runs of ``domain`` by ``rule`` up to every level, fit, and ask; one record a level."""
    others = [name for name in table.domains if name != domain]
    known = np.random.default_rng([seed, table.domains.index(domain)]).choice(others, KNOWN, replace=False)
    pool = Pool(table, domain, known.tolist(), lengths)
    bought: dict[str, float] = {}
    spent, number = 0.0, 0
    rows = pool.rows(bought)
    now = fitted(rows, seed)
    for level in (0.0, *LEVELS):
        began = time.perf_counter()
        while level:
            offers = pool.offers(bought)
            left = level * pool.whole - spent
            if not (offers["cost"] <= left).any():
                break
            state = State(rows, now, domain, offers, left, SIZE, TOKENS, seed, number)
            chosen = RULES[rule](state)
            number += 1
            if not chosen:
                break
            for i in chosen:
                one = offers.iloc[i]
                bought[one["run"]] = float(one["tokens"])
                spent += float(one["cost"])
            rows = pool.rows(bought)
            now = fitted(rows, seed)
            if rule in ONE_BATCH:
                break
        said = summary(ratio_under_budget(now, domain, SIZE, TOKENS, BUDGET))
        yield {
            "rule": rule,
            "domain": domain,
            "seed": seed,
            "level": level,
            "spent": spent / pool.whole,
            "runs": len(bought),
            "ratio": said["q50"],
            "low": said["q05"],
            "high": said["q95"],
            "truth": truth.ratio,
            "error": abs(said["q50"] - truth.ratio),
            "regret": truth.regret(said["q50"]),
            "inside": bool(said["q05"] <= truth.ratio <= said["q95"]),
            "seconds": time.perf_counter() - began,
        }


def full_grid(table: Table, truth: Truth, domain: str, seed: int) -> Iterator[dict[str, Any]]:
    """The whole grid of ``domain`` bought: by our model with the known domains, and by the D-CPT paper's own fit."""
    others = [name for name in table.domains if name != domain]
    known = np.random.default_rng([seed, table.domains.index(domain)]).choice(others, KNOWN, replace=False)
    pool = Pool(table, domain, known.tolist())
    rows = pool.rows(pool.runs.groupby("run")["tokens"].max().to_dict())
    said = summary(ratio_under_budget(fitted(rows, seed), domain, SIZE, TOKENS, BUDGET))
    own = series_of(rows, domain, "general")
    least = float(np.log(rows.tokens.min() / BILLION))
    point = classical_fit(own, least)
    places = np.full((3, len(FINE)), [[np.log(SIZE / BILLION)], [np.log(TOKENS / BILLION)], [0.0]])
    asked = Series(*(jnp.asarray(c) for c in (*places[:2], 1 - FINE, places[2], places[2])))
    losses = np.exp(np.asarray(log_fit(jnp.asarray(point.parameters), asked, jnp.asarray(least))))
    base = table.base_losses[table.base_size == SIZE, table.domains.index(domain), 0]
    kept = losses <= float(np.nanmean(base)) + BUDGET
    paper = float(FINE[kept].max()) if kept.any() else 0.0
    for rule, ratio in (("full grid", said["q50"]), ("full grid, D-CPT fit", paper)):
        record = {
            "rule": rule,
            "domain": domain,
            "seed": seed,
            "level": 1.0,
            "spent": 1.0,
            "runs": pool.runs["run"].nunique(),
        }
        inside = bool(said["q05"] <= truth.ratio <= said["q95"]) if rule == "full grid" else None
        record |= {
            "ratio": ratio,
            "truth": truth.ratio,
            "error": abs(ratio - truth.ratio),
            "regret": truth.regret(ratio),
        }
        yield record | {"inside": inside}


FINE = np.linspace(0.0, 1.0, 2001)
ONE_BATCH = ("space-filling", "random", "cheapest")
"""Rules that learn nothing from a fit: what a level pays for is bought at once."""

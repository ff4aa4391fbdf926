"""Choosing runs on three tasks of ScaleBench (2604.22753): what they let a target region be predicted by.

    python -m benchmarks.design.scalebench --data DIR --out scalebench.jsonl     # resumable
    python -m benchmarks.design.scalebench --out scalebench.jsonl --table        # the tables of benchmarks/README.md
    python -m benchmarks.design.scalebench --data DIR --out quick.jsonl --quick  # one seed of two rules on one task

DIR holds data_constrained.csv, domain_mixture.csv and farseer.csv. A start of a few cheap runs, drawn by seed, is
counted in the cost. Up to every level a rule buys runs in rounds, with a fit before each. What it bought is predicted
by least squares, a law at a time, and by our engine, so that choice and prediction are told apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.design.scalebench_engine import Engine
from benchmarks.design.scalebench_rules import OPTIMAL, Classical
from benchmarks.design.scalebench_table import told
from benchmarks.design.scalebench_tasks import TASKS, Task

OURS, RANDOM, CHEAPEST, ALL = "ours", "random", "cheapest", "all data"
RULES = (OURS, "mspe", "v-optimal", "d-optimal", RANDOM, CHEAPEST, ALL)
START = 6
"""Runs that are there from the beginning."""
CHEAP = 0.25
"""Part of the pool, the cheapest, that they are drawn from; where all cost the same, all of it."""
ROUNDS, MOST = 2, 24
"""Fits on the way from one level to the next, and runs chosen after each."""


def scores(task: Task, best: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """R2 in the region, and central intervals of 90 % of a measured loss; losses in the table's unit.

    R2 is 1 - SSE/SST by validation set, averaged. SST of domain_mixture is taken around the mean of each size
    (``r2_over``: around that of all), since its sizes differ by more than its mixtures.
    """
    truth = task.losses[task.region]
    group = np.unique(task.runs["size"].iloc[task.region], return_inverse=True)[1]
    if len(task.domains) == 1:
        group = np.zeros_like(group)
    means = np.stack([truth[group == g].mean(axis=0) for g in range(group.max() + 1)])[group]
    squares = ((best - truth) ** 2).sum(axis=0)
    low, high = np.quantile(drawn, [0.05, 0.95], axis=-1)
    return {
        "r2": float((1 - squares / ((truth - means) ** 2).sum(axis=0)).mean()),
        "r2_over": float((1 - squares / ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)).mean()),
        "rmse": float(np.sqrt(((best - truth) ** 2).mean())) / task.unit,
        "inside": float(((low <= truth) & (truth <= high)).mean()),
        "width": float((high - low).mean()) / task.unit,
    }


def started(task: Task, seed: int) -> np.ndarray:
    """The runs that are there from the beginning."""
    cheap = task.pool[task.cost[task.pool] <= np.quantile(task.cost[task.pool], CHEAP)]
    return np.sort(np.random.default_rng([seed, 0]).choice(cheap, START, replace=False))


def bought(task: Task, rule: str, law: int, seed: int) -> Iterator[np.ndarray]:
    """Positions of all runs that the rule has bought at every level."""
    rng = np.random.default_rng([seed, 1])
    chance = rng.random(len(task.runs))
    order = {RANDOM: np.argsort(chance), CHEAPEST: np.lexsort((chance, task.cost))}.get(rule, np.empty(0, int))
    runs = started(task, seed)
    for level in task.levels:
        for step in range(ROUNDS):
            left = level - task.cost[runs].sum() + 1e-12
            share = left / (ROUNDS - step)
            if rule == OURS:
                new = Engine(task, runs, seed).chosen(share, left, MOST)
            elif rule in OPTIMAL:
                new = Classical(task, task.laws[law], runs, seed).chosen(rule, share, left, MOST)
            else:
                new = []
                for i in order[np.isin(order, task.pool) & ~np.isin(order, runs)]:
                    if task.cost[i] <= left:
                        new.append(int(i))
                        left -= task.cost[i]
            if not new:
                break
            runs = np.sort(np.append(runs, new))
        yield runs


def study(task: Task, rule: str, seed: int) -> Iterator[dict[str, Any]]:
    """Every level, law that informs the rule, and predictor."""
    informed = range(len(task.laws)) if rule in OPTIMAL else [0]
    levels = (1.0,) if rule == ALL else task.levels
    for law in informed:
        began = time.perf_counter()
        steps = iter([task.pool]) if rule == ALL else bought(task, rule, law, seed)
        for level, runs in zip(levels, steps, strict=True):
            common: dict[str, Any] = {"task": task.name, "rule": rule, "seed": seed, "level": level}
            common |= {"runs": len(runs), "spent": float(task.cost[runs].sum())}
            common |= {"informed": task.laws[law].name if rule in OPTIMAL else None}
            engine = Engine(task, runs, seed)
            drawn = engine.drawn(task.region, noisy=True)
            mean = engine.drawn(task.region, noisy=False).mean(axis=-1)
            weights = dict(zip((one.name for one in task.laws), engine.weights.round(3).tolist(), strict=True))
            yield common | {"by": "engine", "weights": weights} | scores(task, mean, drawn)
            # a rule that a law informs is told by that law, others by each
            for place in [law] if rule in OPTIMAL else range(len(task.laws)):
                best, losses = Classical(task, task.laws[place], runs, seed).predicted()
                found = {"by": "least squares", "law": task.laws[place].name} | scores(task, best, losses)
                yield common | found | {"seconds": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of ScaleBench's tables as CSV")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task", action="append", choices=list(TASKS), help="repeatable; all without")
    parser.add_argument("--rule", action="append", choices=list(RULES), help="repeatable; all without")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one seed of two rules on domain_mixture, in a minute")
    parser.add_argument("--table", action="store_true", help="print what was measured, measure nothing")
    asked = parser.parse_args()
    done = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    if asked.table:
        print(told(done))
        return
    names = ["domain_mixture"] if asked.quick else asked.task or list(TASKS)
    rules = [OURS, RANDOM] if asked.quick else asked.rule or list(RULES)
    lost = [name for name in names if asked.data is None or not (asked.data / f"{name}.csv").is_file()]
    if lost:
        print(f"skipped: no {', '.join(f'{name}.csv' for name in lost)} in {asked.data}; name their folder by --data")
        return
    there = {(one["task"], one["rule"], one["seed"]) for one in done}
    tasks = {name: TASKS[name](asked.data) for name in names}
    for seed in range(asked.first_seed, asked.first_seed + (1 if asked.quick else asked.seeds)):
        for name, rule in ((name, rule) for name in names for rule in rules):
            if (name, rule, seed) in there or (rule == ALL and seed):
                continue
            began = time.perf_counter()
            records = list(study(tasks[name], rule, seed))
            with asked.out.open("a") as file:
                file.write("".join(json.dumps(one) + "\n" for one in records))
            last = " ".join(f"{one['r2']:.3f}" for one in records if one["by"] == "engine")
            print(f"seed {seed} {name:16} {rule:10} {time.perf_counter() - began:4.0f} s, R2 {last}", flush=True)


if __name__ == "__main__":
    main()

"""Held-out rows of a study: what the intervals of a new run hold, against the classical fit and other models.

    python benchmarks/held_out.py examples/data/study.parquet --split size --model memory/partial/student \
        --model dcpt/partial/student --model memory/none/student --model classical --out held_out.jsonl

Splits: ``ratio`` (each ratio in turn), ``size`` (the largest), ``tokens`` (the last two thirds of every run),
``domain`` (each in turn, but for the first 2.5 % of its run nearest to the middle size and an even mix). A model is
law/pooling/noise; ``classical`` is the D-CPT paper's fit by domain and target with a bootstrap over runs. By split,
target and model: root mean square error of the median, CRPS (both nats per token) and the share of losses inside
central 50, 80 and 90 % intervals of a new run. For ``domain`` also the error of the optimal ratio under a budget of
0.05 nats against the crossing interpolated from all rows of that domain (1 where no ratio costs as much).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from bayescpt.ask import predict, ratio_under_budget, summary
from bayescpt.data.table import Table
from bayescpt.fit import Fit, SamplerSettings, fit
from bayescpt.fit.classical import bootstrap, classical_fit, log_fit, series_of
from bayescpt.fit.folds import folds_of, planned_ratio
from bayescpt.laws import BILLION
from bayescpt.schema import TARGETS

CLASSICAL = "classical"
FIRST = 0.025
"""Part of one run that is seen of a new domain."""
BUDGET = 0.05
RESAMPLES = 100


@dataclass(frozen=True)
class Split:
    """One question: rows that are held out, by name."""

    name: str
    held: np.ndarray


def splits(table: Table, kind: str) -> Iterator[Split]:
    """The folds of a split."""
    if kind == "size":
        yield Split("largest size", table.size == table.size.max())
    elif kind == "domain":
        ratio = planned_ratio(table)
        middle = 0.5 * np.log(table.size.min() * table.size.max())
        for code, domain in enumerate(table.domains):
            mine = table.domain == code
            # a run without domain data would say nothing of the domain: the seen one is the nearest to an even mix
            away = np.abs(np.log(table.size[mine]) - middle), np.abs(ratio[mine] - 0.5)
            seen = table.run[mine][np.lexsort((table.run[mine], *away))[0]]
            early = (table.run == seen) & (table.tokens <= FIRST * table.tokens[mine].max())
            yield Split(f"domain {domain}", mine & ~early)
    else:
        yield from (Split(fold.name, fold.held) for fold in folds_of(table, kind))


def points_of(table: Table) -> pd.DataFrame:
    """The rows as points to predict at."""
    return pd.DataFrame(
        {
            "domain": np.array(table.domains)[table.domain],
            "size": table.size,
            "ratio": table.ratio,
            "tokens": table.tokens,
            "target": np.array(TARGETS)[table.target],
        }
    )


def classical_draws(kept: Table, held: Table, seed: int, resamples: int) -> np.ndarray:
    """Draws of a new run at the held-out rows: refits on resampled runs, with a residual of the fit on top."""
    rng = np.random.default_rng(seed)
    draws = np.full((resamples, len(held)), np.nan)
    least = float(np.log(kept.tokens.min() / BILLION))
    for code, domain in enumerate(kept.domains):
        for t, target in enumerate(TARGETS):
            here, asked = (kept.domain == code) & (kept.target == t), (held.domain == code) & (held.target == t)
            if not asked.any() or here.sum() < 9:
                continue
            rows = series_of(kept, domain, target)
            fitted = classical_fit(rows, least)
            residual = np.asarray(rows.log_loss - log_fit(jnp.asarray(fitted.parameters), rows, jnp.asarray(least)))
            wanted = series_of(held, domain, target)
            for number, one in enumerate(bootstrap(rows, kept.run[here], least, fitted, resamples, rng)):
                value = np.asarray(log_fit(jnp.asarray(one.parameters), wanted, jnp.asarray(least)))
                draws[number, asked] = np.exp(value + rng.choice(residual, len(value)))
    return draws


def crps(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of every row, E|X - y| - E|X - X'|/2, from draws (draw, row)."""
    ordered = np.sort(draws, axis=0)
    count = len(ordered)
    weight = (2 * np.arange(1, count + 1) - count - 1)[:, None]
    return np.abs(draws - truth).mean(axis=0) - (weight * ordered).sum(axis=0) / count**2


def scored(table: Table, draws: np.ndarray) -> pd.DataFrame:
    """One row a held-out loss: error, score, and which central intervals hold it."""
    found = pd.DataFrame({"target": np.array(TARGETS)[table.target], "ratio": planned_ratio(table)})
    found["error"] = np.median(draws, axis=0) - table.loss
    found["crps"] = crps(draws, table.loss)
    for level in (50, 80, 90):
        low, high = np.quantile(draws, [0.5 - level / 200, 0.5 + level / 200], axis=0)
        found[f"in{level}"] = (low <= table.loss) & (table.loss <= high)
        found[f"width{level}"] = high - low
    return found


def crossings(table: Table, domain: str) -> dict[float, float]:
    """By size: the ratio at which the last general loss lies ``BUDGET`` above the base's; 1 where none does.

    Linear in log(1.02 - r) between ratios. Losses bend upwards in r: chords in r itself lie above them and would put
    the crossing up to 0.08 too low where ratios are as far apart as 0.4 and 0.85.
    """
    mine = (table.domain == table.domains.index(domain)) & (table.target == TARGETS.index("general"))
    ratio, found = planned_ratio(table), {}
    for size in np.unique(table.size[mine]):
        last = mine & (table.size == size) & (table.tokens == table.tokens[mine & (table.size == size)].max())
        at = pd.Series(table.loss[last] - table.base_loss[last]).groupby(ratio[last]).mean()
        over = np.flatnonzero(at.to_numpy() > BUDGET)
        x, y = -np.log(1.02 - at.index.to_numpy()), at.to_numpy()
        if len(over) and over[0] > 0:
            low, high = over[0] - 1, over[0]
            crossing = x[low] + (BUDGET - y[low]) / (y[high] - y[low]) * (x[high] - x[low])
            found[float(size)] = float(1.02 - np.exp(-crossing))
        elif not len(over) and at.index[-1] == 1:
            found[float(size)] = 1.0
    return found


def ratio_errors(fitted: Fit, table: Table, domain: str) -> list[dict[str, float]]:
    """The optimal ratio of a new domain against what its own rows say."""
    tokens = float(table.tokens.max())
    errors = []
    for size, truth in crossings(table, domain).items():
        answer = summary(ratio_under_budget(fitted, domain, size, tokens, BUDGET))
        inside = answer["q05"] <= truth <= answer["q95"]
        errors.append({"size": size, "truth": truth, "error": answer["q50"] - truth, "inside": float(inside)})
    return errors


def study(table: Table, split: Split, model: str, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """One model on one split."""
    began = time.time()
    kept, held = table.select(~split.held), table.select(split.held)
    result: dict[str, Any] = {"split": kind, "fold": split.name, "model": model, "method": options.method}
    if model == CLASSICAL:
        draws = classical_draws(kept, held, options.seed, options.resamples)
        known = ~np.isnan(draws).any(axis=0)
        held, draws = held.select(known), draws[:, known]
    else:
        settings = SamplerSettings(options.chains, options.warmup, options.draws, options.target_accept)
        fitted = fit(kept, *model.split("/"), method=options.method, seed=options.seed, settings=settings)
        result["failed"] = [check.name for check in fitted.checks if not check.passed]
        fitted = fitted if fitted.passed else fitted.accept("a fold of a held-out study")
        draws = predict(fitted, points_of(held))["predictive"].values
        if kind == "domain":
            result["ratios"] = ratio_errors(fitted, table, split.name.removeprefix("domain "))
    frame = scored(held, draws)
    result["rows"] = frame.to_dict(orient="list")
    return result | {"seconds": time.time() - began}


def report(results: list[dict[str, Any]]) -> str:
    """The table in Markdown."""
    frames = []
    for result in results:
        frame = pd.DataFrame(result["rows"])
        frames.append(frame.assign(split=result["split"], model=result["model"], method=result["method"]))
    rows = pd.concat(frames, ignore_index=True)
    lines = ["| split | target | model | rmse | CRPS | 50 % | 80 % | 90 % | width 90 | n |", "|" + "---|" * 10]
    for keys, group in rows.groupby(["split", "target", "model", "method"], sort=False):
        split, target, model, method = keys
        name = model if model == CLASSICAL or method == "nuts" else f"{model} ({method})"
        inside = " | ".join(f"{group[f'in{level}'].mean():.0%}" for level in (50, 80, 90))
        rmse, score = np.sqrt((group["error"] ** 2).mean()), group["crps"].mean()
        width = group["width90"].mean()
        lines.append(
            f"| {split} | {target} | {name} | {rmse:.4f} | {score:.4f} | {inside} | {width:.3f} | {len(group)} |"
        )
    ratios = [{**one, "model": r["model"]} for r in results for one in r.get("ratios", [])]
    if ratios:
        lines += ["", "| optimal ratio of a new domain | mean absolute error | inside 90 % | n |", "|---|---|---|---|"]
        for model, group in pd.DataFrame(ratios).groupby("model", sort=False):
            error = group["error"].abs().mean()
            lines.append(f"| {model} | {error:.3f} | {group['inside'].mean():.0%} | {len(group)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--split", action="append", choices=("ratio", "size", "tokens", "domain"))
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--method", default="nuts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--target-accept", type=float, default=0.95)
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="refits of the classical law to resampled runs"
    )
    parser.add_argument("--out", type=Path, default=Path("held_out.jsonl"))
    options = parser.parse_args()
    table = Table.read(options.rows)
    done = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    finished = {(r["split"], r["fold"], r["model"], r["method"]) for r in done}
    for kind in options.split or ("size", "tokens", "ratio", "domain"):
        for split in splits(table, kind):
            for model in options.model:
                if (kind, split.name, model, options.method) in finished:
                    continue
                done.append(study(table, split, model, kind, options))
                with options.out.open("a") as stream:
                    stream.write(json.dumps(done[-1]) + "\n")
                print(f"{kind}: {split.name}, {model}: {done[-1]['seconds']:.0f} s", flush=True)
    print(report(done))


if __name__ == "__main__":
    main()

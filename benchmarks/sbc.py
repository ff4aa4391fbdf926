"""Simulation-based calibration: are posterior ranks of the truth uniform, for every model on offer?

    python benchmarks/sbc.py --model memory/partial/student --model memory/none/normal --replications 200
    python benchmarks/sbc.py --all --replications 100

Each replication draws everything from the model's own prior on a small design (two domains, two sizes, four ratios,
six checkpoints), simulates the losses, samples, and notes the rank of every true value among thinned draws (Talts et
al. 2018, 1804.06788). Replications go on in ``--workers`` processes and are saved one by one: a killed study goes on
where it was.

The file knows a model by its name: take out the lines of a model that has changed.

The first hundred replications draw the truth from the same keys under all models, so that what looks alike in many of
them is one chance; later ones do not.

By quantity: a chi-squared test of the ranks in ``BINS`` bins, ranks pooled over domains where these are exchangeable.
A model fails when the smallest p-value of its quantities is below ``FALSE_ALARM`` over their number (Bonferroni), so a
correct model fails with at most that probability. ``--figure`` draws the ranks of every model.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import time
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro.handlers import seed, trace
from scipy import stats

from bayescpt.data.table import Table
from bayescpt.fit import Sampler, SamplerSettings
from bayescpt.fit.run import model_of
from bayescpt.laws import LAWS
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.model.layout import reference_of
from bayescpt.model.noise import NOISES

SIZES = (1e5, 6e5)
DOMAINS = ("a", "b")
RATIOS = (0.0, 0.2, 0.5, 0.9)
TOKENS = (4e3, 1e4, 2.5e4, 6e4, 1.2e5, 2e5)
BASE = {("general", 1e5): 3.09, ("general", 6e5): 2.99, ("domain", 1e5): 4.8, ("domain", 6e5): 4.5}
LEARNING_RATE, BATCH, CORPUS = 1e-3, 1e3, 5e4
SETTINGS = SamplerSettings(chains=1, warmup=400, draws=630, target_accept=0.9, max_tree_depth=8)
THIN = 10
BINS = 8
FALSE_ALARM = 0.01
CHECKED = ("coordinates", "population", "spread", "base_effect", "base_sd", "run_sd", "noise_sd", "noise_memory")
CHECKED += ("noise_df", "noise_share_exponent", "noise_early")


def design() -> Table:
    """The small study with every column that a law may look at. Its losses are drawn anew by each replication; those
    here only make the covariates that are read from losses (early statistics, learnability), which are then given."""
    rows = []
    for domain, size, target in itertools.product(DOMAINS, SIZES, ("general", "domain")):
        start = BASE[target, size]
        common = {"domain": domain, "size": size, "target": target, "base": f"base-{size:g}"}
        still = {"lr_sum": 0.0, "lr_anneal": 0.0, "domain_epochs": 0.0}
        run = f"base-{domain}-{size:g}"
        rows.append(common | still | {"run": run, "ratio": 0.0, "tokens": 0.0, "loss": start} | shares(domain, 0.0))
        for ratio, tokens in itertools.product(RATIOS, TOKENS):
            own = ratio if target == "domain" else 1 - ratio
            change = -(0.5 if domain == "a" else 0.3) * own * np.log1p(tokens / 2e4)
            moved = {
                "lr_sum": LEARNING_RATE * tokens / BATCH,
                "lr_anneal": 0.0 if ratio < 0.5 else 0.3 * LEARNING_RATE * tokens / BATCH,
                "domain_epochs": ratio * tokens / CORPUS,
                # the runs at an even mix ended with a quarter at 0.8
                "phase_start": 0.75 * tokens if ratio == 0.5 else 0.0,
                "phase_ratio": 0.8 if ratio == 0.5 else ratio,
            }
            run = f"{domain}-{size:g}-{ratio:g}"
            place = {"run": run, "ratio": ratio, "tokens": tokens, "loss": start + change}
            rows.append(common | moved | place | shares(domain, ratio))
    return Table.from_frame(pd.DataFrame(rows))


def shares(domain: str, ratio: float) -> dict[str, float]:
    """Shares of the sources: the general corpus and every domain's own."""
    return {"share_general": 1 - ratio} | {f"share_{name}": ratio if name == domain else 0.0 for name in DOMAINS}


SHARED = 100
"""Replications before this one draw their truths from the same keys under all models."""


def truth_key(name: str, number: int) -> jax.Array:
    """Key of the truth of a replication: from ``SHARED`` on a model has truths of its own."""
    key = jax.random.key(number)
    return key if number < SHARED else jax.random.fold_in(key, zlib.crc32(name.encode()))


_SAMPLERS: dict[str, Sampler] = {}


def replicate(job: tuple[str, int]) -> dict[str, Any]:
    """One replication: ranks of every true value among thinned posterior draws, by quantity."""
    name, number = job
    began = time.time()
    table = design()
    model = model_of(*name.split("/")).on(table)
    layout, reference = model.layout(table), reference_of(table)
    simulated = trace(seed(model, truth_key(name, number))).get_trace(layout.rows, reference, observed=False)
    rows = layout.rows._replace(loss=jnp.where(layout.rows.mask, simulated["loss"]["value"], 1.0))
    sampler = _SAMPLERS.setdefault(name, Sampler(model, SETTINGS))
    found = sampler.run(rows, reference, jax.random.key(10_000 + number))
    ranks: dict[str, list[int]] = defaultdict(list)
    for site in CHECKED:
        if site not in found.sites:
            continue
        truth, draws = np.asarray(simulated[site]["value"]), found.sites[site][0, ::THIN]
        below = (draws < truth).sum(axis=0)
        for index in np.ndindex(truth.shape):
            # domains are exchangeable; targets and coordinates are not
            label = ",".join(str(i) for axis, i in enumerate(index) if not (site in GROUPED and axis == 1))
            ranks[f"{site}[{label}]"].append(int(below[index]))
    divergent = int(found.stats["diverging"].sum())
    steps = float(found.stats["n_steps"].mean())
    return {
        "model": name,
        "number": number,
        "ranks": dict(ranks),
        "divergent": divergent,
        "steps": steps,
        "seconds": time.time() - began,
    }


GROUPED = ("coordinates", "base_effect", "noise_sd")


def p_values(results: list[dict[str, Any]]) -> pd.Series:
    """Chi-squared p-value of uniform ranks by quantity; one rank of each replication, so that they are independent."""
    count = SETTINGS.draws // THIN + 1
    by_quantity: dict[str, list[int]] = defaultdict(list)
    for result in results:
        rng = np.random.default_rng(result["number"])
        for name, ranks in result["ranks"].items():
            by_quantity[name].append(int(rng.choice(ranks)))
    found = {}
    for name, ranks in by_quantity.items():
        seen = np.bincount(np.array(ranks) * BINS // count, minlength=BINS)
        expected = np.bincount(np.arange(count) * BINS // count, minlength=BINS) * len(ranks) / count
        found[name] = float(stats.chisquare(seen, expected).pvalue)
    return pd.Series(found).sort_values()


def power(factor: float, replications: int, quantities: int, studies: int = 1000) -> float:
    """How often a study sees that the posterior spread of one quantity is ``factor`` times the right one."""
    rng, draws = np.random.default_rng(0), SETTINGS.draws // THIN
    ranks = rng.binomial(draws, stats.norm.cdf(rng.standard_normal((studies, replications)) / factor))
    seen = np.array([np.bincount(row * BINS // (draws + 1), minlength=BINS) for row in ranks])
    return float(np.mean(stats.chisquare(seen, axis=1).pvalue < FALSE_ALARM / quantities))


def report(results: list[dict[str, Any]]) -> str:
    """The table in Markdown."""
    lines = [
        "| model | replications | quantities | smallest p | of | verdict | divergent draws | steps |",
        "|" + "---|" * 8,
    ]
    for name, mine in by_model(results).items():
        p = p_values(mine)
        verdict = "uniform" if p.iloc[0] > FALSE_ALARM / len(p) else "NOT UNIFORM"
        divergent = sum(r["divergent"] for r in mine) / (len(mine) * SETTINGS.draws)
        steps = np.mean([r["steps"] for r in mine])
        told = f"{p.iloc[0]:.1e} | {p.index[0]} | {verdict} | {divergent:.2%} | {steps:.0f}"
        lines.append(f"| {name} | {len(mine)} | {len(p)} | {told} |")
    return "\n".join(lines)


def matrix(results: list[dict[str, Any]]) -> str:
    """Least p-value times the number of quantities (replications) by law and pooling, one table a noise; and the
    models of which more than a hundredth of the draws diverge."""
    cells: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    diverging = []
    for name, mine in by_model(results).items():
        p = p_values(mine)
        law, pooling, noise = name.split("/")
        cells[noise][law, pooling] = f"{min(1.0, p.iloc[0] * len(p)):.2g} ({len(mine)})"
        divergent = sum(r["divergent"] for r in mine) / (len(mine) * SETTINGS.draws)
        if divergent > 0.01:
            diverging.append(f"{name} {divergent:.1%}")
    lines = []
    for noise, found in cells.items():
        laws, poolings = ([one for one in known if any(one in pair for pair in found)] for known in (LAWS, HIERARCHIES))
        lines += [f"| law, {noise} noise | {' | '.join(poolings)} |", "|" + "---|" * (len(poolings) + 1)]
        lines += [f"| {law} | {' | '.join(found.get((law, one), '') for one in poolings)} |" for law in laws]
        lines.append("")
    return "\n".join([*lines, f"more than 1% of draws diverge: {', '.join(diverging) or 'nowhere'}"])


def by_model(results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Results of every model, in the order of the file."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        found[result["model"]].append(result)
    return found


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Ranks by law and pooling: by kind of quantity, their cumulative share less that of uniform ones.

    Lines of a kind take ranks of all its quantities together. The band is the Kolmogorov bound of a single quantity, at
    ``FALSE_ALARM`` over the number of all lines: ranks taken together spread less, however they hang together.
    """
    import matplotlib.pyplot as plt

    models = by_model(results)
    columns = list(dict.fromkeys(tuple(name.split("/")[1:]) for name in models))
    columns.sort(key=lambda one: (one[1] != "student", [*HIERARCHIES].index(one[0])))
    rows = [law for law in LAWS if any(name.startswith(f"{law}/") for name in models)]
    kinds = [kind for kind in CHECKED if any(key.startswith(f"{kind}[") for r in results for key in r["ranks"])]
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(1.5 * len(columns) + 1, 0.75 * len(rows) + 1),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    count = SETTINGS.draws // THIN + 1
    places = (np.arange(count) + 1) / count
    level = FALSE_ALARM / (len(models) * len(kinds))
    colours = plt.get_cmap("tab20")
    for law, line in zip(rows, axes, strict=True):
        for column, axis in zip(columns, line, strict=True):
            mine = models.get("/".join((law, *column)))
            if mine is None:
                axis.set_axis_off()
                continue
            reach = np.sqrt(np.log(2 / level) / 2 / len(mine))
            low, high = np.maximum(-reach, -places), np.minimum(reach, 1 - places)
            axis.fill_between(places, low, high, color="#dddddd", linewidth=0)
            for number, kind in enumerate(kinds):
                ranks = [
                    rank for r in mine for key, v in r["ranks"].items() if key.startswith(f"{kind}[") for rank in v
                ]
                if ranks:
                    share = np.cumsum(np.bincount(ranks, minlength=count)) / len(ranks)
                    axis.plot(places, share - places, color=colours(number), linewidth=0.7, label=kind)
            axis.set_ylim(-0.4, 0.4)
            axis.tick_params(labelsize=5)
        line[0].set_ylabel(law, fontsize=6, rotation=0, ha="right", va="center")
    for column, axis in zip(columns, axes[0], strict=True):
        axis.set_title(f"{column[0]}, {column[1]}", fontsize=7)
    named = {text: mark for axis in axes.flat for mark, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named, loc="outside upper center", ncols=6, fontsize=6)
    figure.supxlabel(f"rank of the truth among {count - 1} draws, as a part of them", fontsize=8)
    figure.supylabel("share of ranks up to it, less that part", fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="law/pooling/noise; repeat for several")
    parser.add_argument("--all", action="store_true", help="every law, pooling and noise on offer")
    parser.add_argument("--table", action="store_true", help="run nothing: tell of everything in the file")
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("sbc.jsonl"))
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    if options.table:
        known = [json.loads(line) for line in options.out.read_text().splitlines()]
        print(report(known), matrix(known), sep="\n\n")
        if options.figure:
            draw(known, options.figure)
        return
    names = (
        ["/".join(parts) for parts in itertools.product(LAWS, HIERARCHIES, NOISES)] if options.all else options.model
    )
    for name in names:
        model_of(*name.split("/"))
    done = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    finished = {(r["model"], r["number"]) for r in done}
    # one model after another, so that a process compiles each at most once
    jobs = [(name, number) for name in names for number in range(options.replications)]
    jobs = [job for job in jobs if job not in finished]
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool, options.out.open("a") as stream:
        for number, result in enumerate(pool.imap_unordered(replicate, jobs), start=1):
            stream.write(json.dumps(result) + "\n")
            stream.flush()
            done.append(result)
            if number % 20 == 0:
                print(f"{number} of {len(jobs)}: {result['model']} in {result['seconds']:.0f} s", flush=True)
    mine = [r for r in done if r["model"] in names and r["number"] < options.replications]
    print(report(mine))
    for factor in (0.5, 2 / 3, 1.5, 2.0):
        seen = power(factor, options.replications, 76)
        print(f"a spread {factor:.2f} times the right one in one of 76 quantities: seen in {seen:.0%} of studies")
    if options.figure:
        draw(mine, options.figure)


if __name__ == "__main__":
    main()

"""Annealed, repeated and phased runs of the study: what laws with covariates say of them, in sample and held out.

    python benchmarks/covariates.py examples/data --draws 500

In sample: standard deviation of the residuals of law and base effects on all rows, on annealed rows, and on rows of
repeated corpora. Held out:

- ``branches``: every second annealed branch, from all runs at a constant rate and the other half of the branches.
- ``epochs``: rows of 8 to 16 epochs, from runs that stay below 8 epochs. ``later`` sees the first 8 epochs of the same
  runs too.
- ``phases``: every second branch that goes on at another share, from trunks and the other half; ``long``, ``up`` and
  ``size`` hold out those over the last half of the run, those with more of the domain, those of the larger size.

And the ratio of least domain loss at the end of the scarce runs, beside what three ratios measured.

By the normal approximation at the mode (``--method laplace``). Scores are those of benchmarks/held_out.py.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from held_out import points_of, scored
from jaxtyping import Array

from bayescpt.ask import predict, ratio_under_limited_data, summary
from bayescpt.data.table import Table
from bayescpt.fit import Fit, SamplerSettings, fit
from bayescpt.model.covariates import STATEMENTS, statements_of
from bayescpt.model.layout import layout_of
from bayescpt.model.model import base_deviation
from bayescpt.model.noise import NoiseDraw
from bayescpt.schema import TARGETS

NOISE = ("base_sd", "run_sd", "noise_sd", "noise_memory", "noise_share_exponent", "noise_early")
MANY = 8.0
"""Epochs beyond which rows are held out."""


class Question(NamedTuple):
    """A table, the law asked, and what is held out of it."""

    name: str
    rows: str
    laws: tuple[str, ...]


QUESTIONS = (
    Question("in sample", "annealed", ("trajectory", "memory")),
    Question("branches", "annealed", ("trajectory", "memory")),
    Question("in sample", "scarce", ("repeated", "memory")),
    Question("epochs", "scarce", ("repeated", "memory")),
    Question("later", "scarce", ("repeated", "memory")),
    Question("in sample", "phases", ("phased",)),
    *(Question(name, "phases", ("phased", "memory")) for name in ("phases", "long", "up", "size")),
)


def table_of(folder: Path, rows: str) -> Table:
    """The study with its annealed branches or its scarce runs; trunks and branches of their own."""
    more = pd.read_parquet(folder / f"study-{rows}.parquet")
    if rows == "phases":
        return Table.from_frame(more)
    # the bases of either table are those of the study
    return Table.from_frame(
        pd.concat([pd.read_parquet(folder / "study.parquet"), more[more["tokens"] > 0]], ignore_index=True)
    )


def held_out(table: Table, name: str) -> np.ndarray:
    """Which rows a question holds out."""
    if name in ("phases", "long", "up", "size"):
        late = table.phase_start > 0
        kept = {
            "phases": np.isin(table.run, np.unique(table.run[late])[::2]),
            "long": table.phase_start < 0.6 * table.tokens.max(),
            "up": table.phase_ratio > table.ratio,
            "size": table.size == table.size.max(),
        }
        return late & kept[name]
    if name == "branches":
        annealed = np.unique(table.run[table.lr_anneal > 0])
        return np.isin(table.run, annealed[::2])
    many = table.domain_epochs > MANY
    return np.isin(table.run, table.run[many]) if name == "epochs" else many


def told(table: Table) -> pd.DataFrame:
    """Points to predict at, with what may be stated of their runs."""
    points = points_of(table)
    if table.phase_start is not None:
        return points.assign(phase_part=1 - table.phase_start / table.tokens, phase_ratio=table.phase_ratio)
    points = points.assign(lr_sum=table.lr_sum, lr_anneal=table.lr_anneal)
    read = table.ratio * table.tokens
    points["domain_tokens"] = np.where(read > 0, read / np.where(read > 0, table.domain_epochs, 1.0), np.nan)
    return points


def residuals(fitted: Fit) -> np.ndarray:
    """Loss less the law's and the effect of the base, by row, at the mean of the draws."""
    model, table = fitted.model, fitted.table
    grouped = layout_of(table, model.law, model.hierarchy.groups(table))
    mean = fitted.posterior.mean(("chain", "draw"))
    coordinates = jnp.asarray(mean["coordinates"].transpose("target", "domain", "coordinate").values)
    by_name = mean["base_effect"].transpose("target", "domain", "base", "end").values
    base, domain = np.maximum(grouped.bases, 0).transpose(2, 0, 1)
    effect = np.nan_to_num(by_name[:, domain, base]) * np.asarray(grouped.rows.base_mask)[..., None]
    noise = NoiseDraw(*(jnp.asarray(mean[name].values) for name in NOISE), df=jnp.full(len(TARGETS), jnp.inf))

    def expectation(coordinates: Array, effect: Array, noise: NoiseDraw) -> Array:
        expected = model.expected(coordinates, grouped.rows.point, fitted.reference)
        return expected + base_deviation(effect, noise, grouped.rows)

    expected = jax.jit(expectation)(coordinates, jnp.asarray(effect), noise)
    found = np.empty(len(table))
    real = grouped.row_index >= 0
    found[grouped.row_index[real]] = np.asarray(grouped.rows.loss - expected)[real]
    return found


def in_sample(fitted: Fit) -> Iterator[str]:
    """Lines of the table of residuals."""
    table, away = fitted.table, residuals(fitted)
    kinds = {"all rows": np.ones(len(table), bool), "ratio below 0.9": table.ratio < 0.9}
    if (table.lr_anneal > 0).any():
        kinds["annealed"] = table.lr_anneal > 0
    if (table.domain_epochs > 1).any():
        kinds |= {"epochs 1 to 4": (table.domain_epochs > 1) & (table.domain_epochs <= 4)}
        kinds |= {"epochs above 4": table.domain_epochs > 4}
    for kind, chosen in kinds.items():
        for code, target in enumerate(TARGETS):
            rows = away[chosen & (table.target == code)]
            yield (
                f"| {kind} | {target} | {fitted.model.law.name} | {rows.std():.4f} | {rows.mean():+.4f} "
                f"| {np.median(np.abs(rows)):.4f} | {len(rows)} |"
            )


def foreseen(fitted: Fit, held: Table, name: str) -> Iterator[str]:
    """Lines of the table of held-out rows."""
    if held.phase_start is not None:
        asked = held
    elif name == "branches":
        asked = held.select(held.lr_anneal > 0)
    else:
        asked = held.select(held.domain_epochs > MANY)
    points = told(asked)
    blind = [name for name in STATEMENTS if name in points and name not in statements_of(fitted.model.law)]
    points = points.drop(columns=blind)
    frame = scored(asked, predict(fitted, points)["predictive"].values)
    for target, group in frame.groupby("target", sort=False):
        inside = " | ".join(f"{group[f'in{level}'].mean():.0%}" for level in (50, 80, 90))
        error = group["error"]
        yield (
            f"| {name} | {target} | {fitted.model.law.name} | {np.sqrt((error**2).mean()):.4f} | {error.mean():+.4f} "
            f"| {group['crps'].mean():.4f} | {inside} | {group['width90'].mean():.3f} | {len(group)} |"
        )


def limited(fitted: Fit) -> Iterator[str]:
    """The ratio under limited domain data at the end of the scarce runs, beside the losses measured there."""
    table = fitted.table
    last = (table.target == TARGETS.index("domain")) & (table.tokens == table.tokens.max())
    unique = np.round(table.ratio * table.tokens / np.where(table.domain_epochs > 0, table.domain_epochs, np.inf), -2)
    few = last & (unique > 0) & (unique < 1e5)
    for code, own in sorted({(int(d), float(u)) for d, u in zip(table.domain[few], unique[few], strict=True)}):
        mine = np.flatnonzero(few & (table.domain == code) & (unique == own))
        tokens, domain = float(table.tokens.max()), table.domains[code]
        answer = summary(ratio_under_limited_data(fitted, domain, float(table.size[mine[0]]), own, tokens))
        losses = ", ".join(f"{table.loss[i]:.2f} at {table.ratio[i]:.2f}" for i in mine[np.argsort(table.ratio[mine])])
        yield (
            f"| {domain} | {own:g} | {answer['q50']:.2f} [{answer['q05']:.2f}, {answer['q95']:.2f}] "
            f"| {answer['p_boundary']:.2f} | {losses} |"
        )


def priors_against(fitted: Fit) -> Iterator[str]:
    """What the rows made of the population's coordinates that no law without covariates has."""
    mean, sd = (getattr(fitted.posterior["population"], what)(("chain", "draw")) for what in ("mean", "std"))
    for place, coordinate in enumerate(fitted.model.law.coordinates):
        if not any(word in coordinate.name for word in ("anneal", "epochs", "harm", "bend", "inherited", "recency")):
            continue
        for code, target in enumerate(TARGETS):
            prior = coordinate.prior(target)  # type: ignore[arg-type]
            at = {"target": code, "coordinate": place}
            yield (
                f"{coordinate.name} {target}: prior {prior.loc:.2f} +- {prior.scale:.2f}, "
                f"posterior {float(mean.isel(at)):.2f} +- {float(sd.isel(at)):.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", choices=("annealed", "scarce", "phases"))
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = SamplerSettings(chains=2, draws=options.draws)
    sample = ["| rows | target | law | residual sd | mean | median size | n |", "|" + "---|" * 7]
    ratios = ["| domain | domain tokens | best ratio | p at 1 | measured |", "|" + "---|" * 5]
    held_lines = [
        "| held out | target | law | rmse | mean error | CRPS | 50 % | 80 % | 90 % | width 90 | n |",
        "|" + "---|" * 11,
    ]
    for question in QUESTIONS:
        if options.only and question.rows not in options.only:
            continue
        table = table_of(options.folder, question.rows)
        for law in question.laws:
            began = time.time()
            if question.name == "in sample":
                fitted = fit(table, law, method="laplace", seed=options.seed, settings=settings)
                sample += in_sample(fitted)
                if law == "repeated":
                    ratios += limited(fitted)
                print("\n".join(priors_against(fitted)))
            else:
                out = held_out(table, question.name)
                fitted = fit(table.select(~out), law, method="laplace", seed=options.seed, settings=settings)
                held_lines += foreseen(fitted, table.select(out), question.name)
            print(f"{question.name}, {question.rows}, {law}: {time.time() - began:.0f} s", flush=True)
    print("\n".join([*sample, "", *held_lines, "", *ratios]))


if __name__ == "__main__":
    main()

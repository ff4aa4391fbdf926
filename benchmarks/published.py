"""Tables that others published: from-scratch laws at the next scale, and the posterior of a law against a bootstrap.

    python benchmarks/published.py FOLDER --set loss_to_loss --model chinchilla/partial/student \
        --model skaling/partial/student --out published.jsonl

FOLDER holds one folder for each set, NAME/NAME.csv. Tables are made in memory; a validation set is a domain, its loss a
row of target ``domain``, and its own share of the stream the ratio. Sets:

- ``dmsl_slimpajama``: mixtures of seven sources; fitted up to 680M parameters, the 937M runs predicted. The last
  checkpoint that is listed twice and the first one of every run, which lies in the warm-up, are left out.
- ``gadre_overtraining``: fitted below 1B parameters, the runs of 1.3B and 6.7B predicted; a fit for each of eight
  validation sets, whose noise differs twentyfold, with the three training corpora as its domains.
- ``loss_to_loss``: fitted below the top isoFLOP, that one predicted; a fit for each of eight validation corpora with
  six training corpora as its domains.
- ``chinchilla_epoch``: mean and sd of A, B, E, alpha and beta against the published bootstrap, without the five points
  that it leaves out; ``chinchilla_epoch_all`` with them.

A model is law/pooling/noise. Laws joined by ``+`` are mixed with equal weights, joined by ``&`` with those of stacking
on the last scale: each is fitted without the top scale of the kept rows and weighed by what it says of that. Noise is
``normal`` or ``student``; ``points`` is Student noise without what the law misses at a size, as if points were
independent. By set and model: error of the median, share of losses inside central intervals of a new run and their
width, all relative to the loss, over all held-out rows and by their distance: training compute over the most that was
seen of that domain.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayescpt.ask import predict
from bayescpt.data.table import Table
from bayescpt.fit import Fit, SamplerSettings, astray, fit
from bayescpt.fit.compare import stacking_weights
from bayescpt.fit.foresight import expected_density, run_densities
from bayescpt.laws import BILLION, LAWS
from bayescpt.model.noise import NOISES, Noise
from bayescpt.schema import DOMAIN, SHARE

SOURCES = ("arxiv", "book", "c4", "github", "commoncrawl", "stackexchange", "wikipedia")
PUBLISHED = {
    "A": (482.01, 124.5),
    "B": (2085.43, 1293.3),
    "E": (1.8169, 0.0257),
    "alpha": (0.3478, 0.0154),
    "beta": (0.3659, 0.0206),
}
"""Besiroglu et al. 2024 (2404.10102): estimate and standard error of 4,000 resamples; N and D in ones."""
NOISE = NOISES | {"points": Noise(heavy=True, base_scale=1e-4)}
POINT = ("domain", "size", "ratio", "tokens", "target")
LEVELS = (50, 80, 90)
DISTANCES = (0.0, 1.0, 3.0, 10.0, np.inf)


@dataclass(frozen=True)
class Case:
    """Rows to fit, and rows to predict, which may be none. Each value of the column ``part`` is a fit of its own."""

    kept: pd.DataFrame
    held: pd.DataFrame
    scale: str
    """what is larger at the next scale, ``size`` or ``compute``"""

    def inner(self) -> Case:
        """The kept rows without their top scale, and that."""
        scale = self.kept["size"] * (self.kept["tokens"] if self.scale == "compute" else 1.0)
        top = scale > 0.8 * scale.max()
        return _case(self.kept[~top], self.kept[top], self.scale)

    def parts(self) -> Iterator[Case]:
        """A case for every fit."""
        for part in self.kept["part"].unique():
            kept, held = (rows[rows["part"] == part].drop(columns="part") for rows in (self.kept, self.held))
            yield Case(kept.reset_index(drop=True), held.reset_index(drop=True), self.scale)


def dmsl_slimpajama(folder: Path) -> Case:
    """Eight validation sets of every run; openhermes has no source of its own."""
    read = pd.read_csv(folder / "dmsl_slimpajama" / "dmsl_slimpajama.csv")
    read = read[~read["dup_final_row"] & ~read["first_ckpt"]]
    parts = []
    for domain in (*SOURCES, "openhermes"):
        part = pd.DataFrame({"size": read["model_size"], "tokens": read["n_tokens"], "loss": read[f"{domain}_loss"]})
        part["run"] = [
            f"{domain}-{mix}-{size:.0f}" for mix, size in zip(read["mix_id"], read["model_size"], strict=True)
        ]
        part["domain"], part["ratio"] = domain, read[f"weight_{domain}"] if domain in SOURCES else 0.0
        parts.append(part.assign(**{SHARE + source: read[f"weight_{source}"] for source in SOURCES}))
    rows = pd.concat(parts, ignore_index=True).dropna().assign(part="all")
    return _split(rows, rows["size"] > 680e6, "size")


def gadre_overtraining(folder: Path) -> Case:
    """Three training corpora by eight validation sets."""
    read = pd.read_csv(folder / "gadre_overtraining" / "gadre_overtraining.csv")
    rows = read.rename(columns={"N_no_embed": "size", "D": "tokens"})[["size", "tokens", "loss"]]
    rows["domain"], rows["part"] = read["train_dataset"] + ":" + read["val_set"], read["val_set"]
    rows["run"], rows["ratio"] = read["name"] + ":" + rows["domain"], 1.0
    return _split(rows, rows["size"] > 1e9, "size")


def loss_to_loss(folder: Path) -> Case:
    """Six training corpora by eight validation corpora."""
    read = pd.read_csv(folder / "loss_to_loss" / "loss_to_loss.csv")
    parts = []
    for column in [name for name in read if name.startswith("loss_")]:
        part = read.rename(columns={"N": "size", "D": "tokens", column: "loss"})[["size", "tokens", "loss", "iso_flop"]]
        part["domain"], part["part"] = read["train_data"] + ":" + column.removeprefix("loss_"), column
        part["run"], part["ratio"] = read["id"] + ":" + part["domain"], 1.0
        parts.append(part)
    rows = pd.concat(parts, ignore_index=True)
    top = rows["iso_flop"] > 0.99 * rows["iso_flop"].max()
    return _split(rows.drop(columns="iso_flop"), top, "compute")


def chinchilla_epoch(folder: Path, outliers: bool) -> Case:
    """Digitised points. Sizes that agree to three digits are one model; so fine is the digitisation."""
    read = pd.read_csv(folder / "chinchilla_epoch" / "chinchilla_epoch.csv")
    read = read if outliers else read[~read["outlier_excluded_by_epoch"]]
    rows = pd.DataFrame({"size": [float(f"{size:.3g}") for size in read["N"]], "tokens": read["D"].to_numpy()})
    rows["loss"], rows["ratio"], rows["domain"] = read["loss"].to_numpy(), 1.0, "text"
    rows["run"], rows["part"] = [f"run-{i}" for i in range(len(rows))], "all"
    return _split(rows, pd.Series(np.zeros(len(rows), bool)), "compute")


def _split(rows: pd.DataFrame, held: pd.Series, scale: str) -> Case:
    rows = rows.assign(target=DOMAIN, size=rows["size"].astype(float), tokens=rows["tokens"].astype(float))
    return _case(rows[~held], rows[held], scale)


def _case(kept: pd.DataFrame, far: pd.DataFrame, scale: str) -> Case:
    most = (kept["size"] * kept["tokens"]).groupby(kept["domain"]).max()
    far = far.assign(distance=far["size"] * far["tokens"] / most.reindex(far["domain"]).to_numpy())
    return Case(kept.reset_index(drop=True), far.reset_index(drop=True), scale)


@dataclass(frozen=True)
class Set:
    """A published set and the models that it is scored with unless others are named."""

    case: Callable[[Path], Case]
    models: tuple[str, ...]


SCALE_LAWS = (
    "chinchilla",
    "skaling",
    "chinchilla+skaling",
    "chinchilla&skaling",
)
MIXTURE_LAWS = (
    "additive",
    "mixing",
    "additive+mixing",
    "additive&mixing",
)
SETS = {
    "dmsl_slimpajama": Set(dmsl_slimpajama, tuple(f"{law}/partial/student" for law in MIXTURE_LAWS)),
    "gadre_overtraining": Set(gadre_overtraining, tuple(f"{law}/partial/student" for law in SCALE_LAWS)),
    "loss_to_loss": Set(loss_to_loss, tuple(f"{law}/partial/student" for law in SCALE_LAWS)),
    "chinchilla_epoch": Set(
        partial(chinchilla_epoch, outliers=False), ("chinchilla/none/student", "chinchilla/none/points")
    ),
    "chinchilla_epoch_all": Set(
        partial(chinchilla_epoch, outliers=True), ("chinchilla/none/student", "chinchilla/none/points")
    ),
}


def fits(case: Case, model: str, options: argparse.Namespace) -> list[Fit]:
    """A fit for every law of a model."""
    laws, pooling, noise = model.split("/")
    table = Table.from_frame(case.kept)
    settings = SamplerSettings(options.chains, options.warmup, options.draws, options.target_accept)
    found = []
    for law in re.split("[+&]", laws):
        one = fit(table, LAWS[law], pooling, NOISE[noise], options.method, options.seed, settings)
        found.append(one if one.passed else one.accept("a benchmark; what failed is told beside it"))
    return found


def weights(case: Case, model: str, options: argparse.Namespace) -> np.ndarray:
    """Weight of every law of a model."""
    if "&" not in model:
        count = model.split("/")[0].count("+") + 1
        return np.full(count, 1 / count)
    inner = case.inner()
    held = Table.from_frame(inner.held)
    density = [expected_density(run_densities(one, held)) for one in fits(inner, model, options)]
    return stacking_weights(np.stack(density, axis=1))


def mixed(found: list[Fit], weight: np.ndarray, points: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Draws of a new run at every point (draw, point) from the mixture of fits."""
    each = np.stack([predict(one, points)["predictive"].to_numpy() for one in found])
    chosen = rng.choice(len(found), each.shape[1] * len(found), p=weight)
    return each[chosen, rng.integers(0, each.shape[1], len(chosen))]


def scored(held: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:
    """One row a held-out loss: relative error of the median, which central intervals hold it, their relative widths."""
    truth = held["loss"].to_numpy()
    rows = held[["domain", "size", "tokens", "distance"]].copy()
    rows["error"] = np.median(draws, axis=0) / truth - 1
    for level in LEVELS:
        low, high = np.quantile(draws, [0.5 - level / 200, 0.5 + level / 200], axis=0)
        rows[f"in{level}"], rows[f"width{level}"] = (low <= truth) & (truth <= high), (high - low) / truth
    return rows


def parameters(found: Fit) -> dict[str, tuple[float, float]]:
    """Posterior mean and sd of the Chinchilla parameters with N and D in ones."""
    posterior = found.posterior.sel(target=DOMAIN).isel(domain=0)
    each = {name: posterior[name].to_numpy().ravel() for name in PUBLISHED}
    each["A"], each["B"] = each["A"] * BILLION ** each["alpha"], each["B"] * BILLION ** each["beta"]
    return {name: (float(values.mean()), float(values.std(ddof=1))) for name, values in each.items()}


def study(name: str, model: str, options: argparse.Namespace) -> dict[str, Any]:
    """One model on one set."""
    began = time.time()
    result: dict[str, Any] = {"set": name, "model": model, "method": options.method}
    failed: set[str] = set()
    rows, told = [], []
    for part in SETS[name].case(options.folder).parts():
        case = part.inner() if options.inner else part
        found = fits(case, model, options)
        failed |= {check.name for one in found for check in one.checks if not check.passed}
        if len(case.held):
            points = case.held[[*POINT, *(column for column in case.held if column.startswith(SHARE))]]
            weight = weights(case, model, options)
            told.append(weight.round(2).tolist())
            rows.append(scored(case.held, mixed(found, weight, points, np.random.default_rng(options.seed))))
        else:
            result["parameters"] = parameters(found[0])
    if rows:
        result |= {"rows": pd.concat(rows).to_dict(orient="list"), "weights": told}
    return result | {"failed": sorted(failed), "seconds": time.time() - began}


def report(results: list[dict[str, Any]]) -> str:
    """The tables in Markdown."""
    parts = [_coverage(results), _by_distance(results), _parameters(results)]
    return "\n\n".join(part for part in parts if part)


def _called(result: dict[str, Any]) -> str:
    failed = f", failed {', '.join(result['failed'])}" if result["failed"] else ""
    return f"{result['model']} ({result['method']}{failed})"


def _line(group: pd.DataFrame) -> str:
    inside = " | ".join(f"{group[f'in{level}'].mean():.0%}" for level in LEVELS)
    error, bias = group["error"].abs().median(), group["error"].mean()
    return f"{len(group)} | {error:.2%} | {bias:+.2%} | {inside} | {group['width90'].mean():.2%}"


def _coverage(results: list[dict[str, Any]]) -> str:
    lines = [
        "| set | model | n | median error | bias | 50 % | 80 % | 90 % | width 90 | groups held |",
        "|" + "---|" * 10,
    ]
    for result in (r for r in results if "rows" in r):
        rows = pd.DataFrame(result["rows"])
        held = rows.groupby("domain")["in90"].mean() >= 0.8
        lines.append(f"| {result['set']} | {_called(result)} | {_line(rows)} | {held.sum()} of {len(held)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def _by_distance(results: list[dict[str, Any]]) -> str:
    lines = ["| set | model | compute | n | median error | bias | 50 % | 80 % | 90 % | width 90 |", "|" + "---|" * 10]
    for result in (r for r in results if "rows" in r):
        rows = pd.DataFrame(result["rows"])
        bins = pd.cut(rows["distance"], DISTANCES, labels=["up to 1x", "1 to 3x", "3 to 10x", "beyond 10x"])
        for label, group in rows.groupby(bins, observed=True):
            lines.append(f"| {result['set']} | {_called(result)} | {label} | {_line(group)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def _parameters(results: list[dict[str, Any]]) -> str:
    head = " | ".join(PUBLISHED)
    lines = [f"| set | model | {head} |", "|" + "---|" * (2 + len(PUBLISHED))]
    lines.append(f"| | published bootstrap | {' | '.join(_pm(*pair) for pair in PUBLISHED.values())} |")
    for result in (r for r in results if "parameters" in r):
        told = " | ".join(_pm(*result["parameters"][name]) for name in PUBLISHED)
        lines.append(f"| {result['set']} | {_called(result)} | {told} |")
    return "\n".join(lines) if len(lines) > 3 else ""


def _pm(mean: float, sd: float) -> str:
    return f"{mean:.4g} ({sd:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", action="append", choices=tuple(SETS))
    parser.add_argument("--model", action="append")
    parser.add_argument("--inner", action="store_true", help="predict the last scale of the rows that are fitted")
    parser.add_argument("--beyond", type=float, help="how fast laws go astray with compute, instead of the package's")
    parser.add_argument("--method", default="laplace", choices=("laplace", "nuts"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--target-accept", type=float, default=0.97)
    parser.add_argument("--out", type=Path, default=Path("published.jsonl"))
    options = parser.parse_args()
    if options.beyond is not None:
        astray.BEYOND_COMPUTE = options.beyond
    done = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    finished = {(r["set"], r["model"], r["method"]) for r in done}
    for name in options.set or SETS:
        for model in options.model or SETS[name].models:
            if (name, model, options.method) in finished:
                continue
            done.append(study(name, model, options))
            with options.out.open("a") as stream:
                stream.write(json.dumps(done[-1]) + "\n")
            print(f"{name}, {model}: {done[-1]['seconds']:.0f} s", flush=True)
    print(report(done))


if __name__ == "__main__":
    main()

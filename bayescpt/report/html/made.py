"""Where all of it comes from: rows, model, priors, versions, and the commands that make it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from bayescpt.data.overview import overview
from bayescpt.fit import Fit, Mixture
from bayescpt.fit.fit import NUTS, PRIOR, versions
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Block, Cell, Code, Folded, Grid, Heading, Section, Words, cells
from bayescpt.report.units import count, share
from bayescpt.schema import TARGETS

ROWS = "ROWS"
"""Stands for the file of rows, which a fit does not remember by name."""


def made(fit: Fit | Mixture, command: str) -> Section:
    """Rows, models and versions; ``command`` makes the report again."""
    blocks: list[Block] = [Heading("Rows"), _rows(fit)]
    members: Mapping[str, Fit] = {"": fit} if isinstance(fit, Fit) else fit.members
    if isinstance(fit, Mixture):
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in fit.weights.items())
        blocks += [Heading("Average"), Words(f"{fit.size} draws averaged over {weights} ({fit.made}).")]
    for name, member in members.items():
        blocks += _model(name, member)
    blocks += [
        Heading("Make it again"),
        Code("\n".join([*(fit_command(member) for member in members.values()), command])),
        Words(
            f"{ROWS} stands for the table with the digest above. Fits of the same rows, settings, seed and versions "
            "have the same draws on the same machine; on another they agree up to rounding.",
            aside=True,
        ),
    ]
    return Section("origin", "Data, model, priors and versions", "Origin", blocks)


def _rows(fit: Fit | Mixture) -> Grid:
    seen = overview(fit.table)
    rows = [
        cells(
            one.name,
            str(one.rows),
            str(one.runs),
            ", ".join(map(count, one.sizes)),
            ", ".join(map(share, one.ratios)),
            f"{count(one.tokens[0])} to {count(one.tokens[1])}",
        )
        for one in seen.domains
    ]
    caption = (
        f"{seen.rows} training rows of {seen.runs} runs on {seen.bases} bases, {seen.base_losses} base losses; digest "
        f"of the rows (SHA-256) {seen.digest}."
    )
    columns = ("Domain", "Rows", "Runs", "Parameters", "Shares", "Tokens")
    return Grid(caption, columns, rows, stacked=True, words=(3, 4))


def _model(name: str, fit: Fit) -> list[Block]:
    law, pooling, noise = fit.model.law, fit.model.hierarchy, fit.model.noise
    model = [
        cells("Law", law.name, law.equation),
        cells("After", "", law.reference),
        cells("Pooling", pooling.name, pooling.meaning),
        cells("Noise", noise.name, noise.describe().partition(": ")[2] or noise.describe()),
        cells("Draws", str(fit.size), f"method {fit.method}, seed {fit.seed}"),
    ]
    priors = []
    for one in law.coordinates:
        numbers = [one.prior(target) for target in TARGETS]
        told = [Cell(f"{p.loc:.3g} ± {p.scale:g}", f"spread {p.spread:g}") for p in numbers]
        priors.append([Cell(one.name, one.unit), Cell(one.meaning), *told, Cell(one.source)])
    columns = ("Coordinate", "Meaning", *(f"{target.capitalize()} loss" for target in TARGETS), "Source")
    caption = (
        f"Prior of the population's mean (location ± scale) and of the spread over domains. A domain: {pooling.prior}."
    )
    used = json.loads(fit.tree.attrs.get("versions", versions()))
    label = f" of {name}" if name else ""
    return [
        Heading(f"Model{label}"),
        Grid("The parts of the model.", ("Part", "Name", "In words"), model, stacked=True, words=(1, 2)),
        Folded(f"Priors{label}", [Grid(caption, columns, priors, stacked=True, words=(1, 4))]),
        Words("Fitted with " + ", ".join(f"{package} {number}" for package, number in used.items()) + ".", aside=True),
    ]


def fit_command(fit: Fit) -> str:
    """The command that makes such a fit, as far as its file says; of a mixture's member, one of those it averages."""
    if fit.method == PRIOR:
        return "# draws of the prior: bayescpt.prior_fit"
    model, settings = fit.model, json.loads(fit.tree.attrs.get("sampler", "{}"))
    options = {
        "law": model.law.name,
        "pooling": model.hierarchy.name,
        "noise": model.noise.name,
        "method": fit.method,
        "seed": fit.seed,
        "chains": fit.posterior.sizes["chain"],
        **({"warmup": settings["warmup"]} if "warmup" in settings else {}),
        "draws": fit.posterior.sizes["draw"],
        **({"target-accept": settings["target_accept"]} if fit.method == NUTS and "target_accept" in settings else {}),
    }
    return f"bayescpt fit {ROWS} -o FIT.nc " + " ".join(f"--{name} {value}" for name, value in options.items())


def report_command(path: str, asked: Asked, accepted: str | None, space: str | None, budget: float | None) -> str:
    """The command that makes this report again.

    Args:
        path: of the fit; space: of the candidates, with the FLOPs of ``budget``.
    """
    eps = asked.budget.max_forgetting
    words = ["bayescpt", "report", path, "-o", "report.html"]
    for domain in asked.domains:
        words += ["--domain", domain]
    words += ["--size", f"{asked.size:.12g}", "--tokens", f"{asked.tokens:.12g}"]
    words += ["--max-forgetting", f"{100 * eps:g}%" if asked.budget.relative else f"{eps:g}"]
    words += ["--confidence", f"{asked.confidence:g}"]
    words += ["--accept", accepted] if accepted is not None else []
    words += ["--space", space, "--budget", f"{budget:g}"] if space is not None else []
    return shlex.join(words)

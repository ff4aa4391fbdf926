"""``bayescpt fit``: from rows to a checked posterior in one file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.diagnose import SHORT, lines
from bayescpt.cli.files import check_output
from bayescpt.cli.findings import tell, usable
from bayescpt.cli.options import FIT_SUFFIX, MOST_SEED, Debug, Json, UseSe, bounded
from bayescpt.cli.sampling import in_background, use_devices
from bayescpt.cli.session import FAILED, Gather, Session, session
from bayescpt.data.files import OutputError, atomic_path
from bayescpt.settings import SamplerSettings

if TYPE_CHECKING:
    from rich.console import Console

    from bayescpt.ask.ridges import Ridge
    from bayescpt.fit import Fit

DEFAULTS = SamplerSettings()
LOOK = (
    "a normal approximation at the mode, noise and spreads held fixed: a quick look, nothing checked; "
    "decide with --method nuts"
)
LEAST_DRAWS = 4
"""R-hat splits a chain in two and needs two draws in either half."""


def fit(
    rows: Annotated[str, typer.Argument(metavar="ROWS", help="Observation table, CSV or Parquet.")],
    out: Annotated[str, typer.Option("-o", "--out", metavar="FIT.nc", help="Where to write the fit.")],
    law: Annotated[str, typer.Option(help="Scaling law; an unknown name lists those on offer.")] = "memory",
    pooling: Annotated[str, typer.Option(help="How domains share the law; an unknown name lists those on offer.")] = (
        "partial"
    ),
    noise: Annotated[str, typer.Option(help="What lies on top of the law: student or normal.")] = "student",
    method: Annotated[
        str, typer.Option(help="nuts samples; laplace is a quick look: intervals are too narrow, unchecked.")
    ] = "nuts",
    seed: Annotated[int, typer.Option(help="Seed of everything random; at least 0.")] = 0,
    chains: Annotated[int, typer.Option(help="Chains, in parallel where there are cores.")] = DEFAULTS.chains,
    warmup: Annotated[int, typer.Option(help="Draws of each chain to adapt on, then dropped.")] = DEFAULTS.warmup,
    draws: Annotated[int, typer.Option(help="Draws of each chain to keep.")] = DEFAULTS.draws,
    target_accept: Annotated[float, typer.Option(help="Acceptance to adapt to; towards 0.99 if draws diverge.")] = (
        DEFAULTS.target_accept
    ),
    use_se: UseSe = False,
    priors: Annotated[
        bool, typer.Option("--priors", help="Say first what is fitted: law, every prior, noise.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Posterior and diagnostics. FIT.nc is self-contained: data, model, draws, provenance.

    A fit that fails its checks is written too, and the command exits 1: answers from it need --accept REASON. One that
    stood there and had passed is kept beside it, or beside a quick look, as FIT.before.nc.
    """
    with session(json, debug) as say:
        gather = Gather()
        path = gather(check_output, out, [rows], [FIT_SUFFIX])
        gather(bounded, "--seed", seed, 0, MOST_SEED)
        gather(bounded, "--chains", chains, 1)
        gather(bounded, "--warmup", warmup, 1)
        gather(bounded, "--draws", draws, LEAST_DRAWS)
        gather(bounded, "--target-accept", target_accept, 0, 1, False)
        use_devices(max(chains, 1))
        from bayescpt.data import Table
        from bayescpt.data.overview import overview
        from bayescpt.fit.run import check_method, model_of, posterior

        model = gather(model_of, law, pooling, noise, use_se)
        gather(check_method, method)
        table = gather(Table.read, rows)
        gather.done()
        findings = overview(table).findings
        tell(findings, say)
        usable(table, model, findings)
        model = model.on(table)
        if priors:
            say.note(model.describe())
        settings = SamplerSettings(chains, warmup, draws, target_accept)
        what = f"{chains} x ({warmup} + {draws}) draws" if method == "nuts" else "around the mode"
        label = f"sampling {what} of the {law} law on {len(table)} rows"
        found, seconds = in_background(lambda: posterior(table, model, method, seed, settings), label)
        kept = None if found.passed and found.checks else set_aside(path, say)
        found.save(path)
        if kept:
            say.warn(f"the fit that was at {path} passed its checks and is kept as {kept}; its rows may be older")
        open_ = left_open(found, say)
        say.result(
            {
                "path": str(path),
                "law": law,
                "pooling": pooling,
                "noise": noise,
                "use_se": use_se,
                "model": model.describe(),
                "method": method,
                "seed": seed,
                "chains": chains,
                "warmup": warmup,
                "draws": draws,
                "target_accept": target_accept,
                "rows": len(table),
                "domains": list(table.domains),
                "digest": table.digest,
                "findings": [one.as_dict() for one in findings],
                "seconds": round(seconds, 2),
                "passed": found.passed,
                "checks": [vars(one) for one in found.checks],
                "ridges": None if open_ is None else [one.as_dict() for one in open_],
            },
            lambda console: draw(found, str(path), seconds, open_, console),
        )
        if not found.passed:
            say.warn(failure(found, str(path)))
            raise typer.Exit(FAILED)


def left_open(found: Fit, say: Session) -> Sequence[Ridge] | None:
    """Directions that the rows leave open; None where the law cannot be asked about runs by itself, which is said, and
    after a quick look, which does not wait for them (``bayescpt diagnose`` names them)."""
    if found.method == "laplace":
        return None
    from bayescpt.ask.ridges import ridges

    try:
        return ridges(found)
    except ValueError as error:
        say.warn(f"which run would tell what these rows leave open cannot be said: {error}")
        return None


def set_aside(path: Path, say: Session) -> Path | None:
    """Keep a fit that passed its checks as NAME.before.nc, where that is; None where none stands at ``path``, or where
    it cannot be kept, which is said: the new one is not to be lost for it."""
    from bayescpt.fit import load

    try:
        standing = load(path)
    except ValueError:  # nothing, or nothing that could answer
        return None
    if not (standing.checks and standing.passed):
        return None
    kept = path.with_suffix(f".before{path.suffix}")
    try:
        if kept.exists():
            load(kept)  # one of ours gives way
    except ValueError as error:
        say.warn(f"the fit that was at {path} passed its checks and could not be kept: {error}")
        return None
    try:
        with atomic_path(kept) as temporary:
            shutil.copyfile(path, temporary)
    except OutputError as error:
        say.warn(f"the fit that was at {path} passed its checks and could not be kept: {error}")
        return None
    return kept


def failure(found: Fit, path: str) -> str:
    """What is wrong with a fit that failed, and what to do."""
    failed = [f"  {one.name}: {one.message}" for one in found.checks if not one.passed]
    head = f"{path} is written, but it failed {len(failed)} of {len(found.checks)} checks:"
    return "\n".join([head, *failed, "fit again as they say; answers from this file need --accept REASON"])


def draw(found: Fit, path: str, seconds: float, open_: Sequence[Ridge] | None, console: Console) -> None:
    """The checks, what is left open, and where the fit is, for a person."""
    from rich.table import Table as Grid
    from rich.text import Text

    if found.method == "laplace":
        console.print(LOOK, soft_wrap=True)
    grid: Any = Grid("check", "", "", box=None, show_header=False, pad_edge=False)
    for one in found.checks:
        mark = Text("passed", style="green") if one.passed else Text("FAILED", style="bold red")
        grid.add_row(one.name, mark, Text(one.message))
    console.print(grid)
    for line in () if open_ is None else lines(open_, SHORT):
        console.print(line, soft_wrap=True)
    console.print(f"{path}: {found.size} draws of the {found.model.law.name} law in {seconds:.0f} s", soft_wrap=True)

"""``bayescpt compare``: laws, poolings and noises side by side, by what they say of runs they have not seen."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.files import check_output
from bayescpt.cli.findings import tell, usable
from bayescpt.cli.options import FIT_SUFFIX, MOST_SEED, Debug, Json, UseSe, bounded
from bayescpt.cli.sampling import in_background, use_devices
from bayescpt.cli.session import FAILED, Gather, Session, session
from bayescpt.settings import SamplerSettings

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from bayescpt.fit import Mixture

DEFAULTS = SamplerSettings(draws=500)


def compare(
    rows: Annotated[str, typer.Argument(metavar="ROWS", help="Observation table, CSV or Parquet.")],
    laws: Annotated[str, typer.Option(metavar="A,B,...", help="Laws; an unknown name lists those on offer.")],
    pooling: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="partial, correlated, learnability, none, complete; each with each law."),
    ] = "partial",
    noise: Annotated[str, typer.Option(metavar="A,B,...", help="student, normal; each with each law.")] = "student",
    by: Annotated[
        str,
        typer.Option(
            help="What is held out: run (importance sampling, refits where needed), ratio, size, domain, tokens. "
            "Weights by size are those of what foresees the next scale."
        ),
    ] = "run",
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", metavar="MIX.nc", help="Write the mixture of the models by their weights."),
    ] = None,
    method: Annotated[str, typer.Option(help="nuts, or laplace for a quick look.")] = "nuts",
    seed: Annotated[int, typer.Option(help="Seed of everything random; at least 0.")] = 0,
    chains: Annotated[int, typer.Option(help="Chains of every fit.")] = DEFAULTS.chains,
    warmup: Annotated[int, typer.Option(help="Draws of each chain to adapt on, then dropped.")] = DEFAULTS.warmup,
    draws: Annotated[int, typer.Option(help="Draws of each chain to keep.")] = DEFAULTS.draws,
    use_se: UseSe = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Held-out comparison: sum of log predictive densities by model, differences with errors, stacking weights.

    With -o the models are averaged by these weights: predict, ratio and cmr answer from MIX.nc as from a fit.
    """
    with session(json, debug) as say:
        gather = Gather()
        gather(bounded, "--seed", seed, 0, MOST_SEED)
        for option, value, least in (("--chains", chains, 1), ("--warmup", warmup, 1), ("--draws", draws, 4)):
            gather(bounded, option, value, least)
        path = None if out is None else gather(check_output, out, [rows], [FIT_SUFFIX])
        use_devices(max(chains, 1))
        from bayescpt.data import Table
        from bayescpt.data.overview import overview
        from bayescpt.fit.averaging import compare_models, models_of, stacked
        from bayescpt.fit.folds import check_folds, folds_of
        from bayescpt.fit.foresight import ENOUGH
        from bayescpt.fit.held_out import check_foresight
        from bayescpt.fit.run import check_method

        table = gather(Table.read, rows)
        gather(check_method, method)
        options = {"--laws": laws, "--pooling": pooling, "--noise": noise}
        parts = [gather(parts_of, option, text) for option, text in options.items()]
        gather(check_folds, by)
        gather.done()
        models = models_of(parts[0], parts[1], parts[2], use_se)
        findings = overview(table).findings
        tell(findings, say)
        gather(folds_of, table, by)
        for model in models.values():
            gather(usable, table, model, findings)
            gather(check_foresight, model, by)
        gather.done()
        settings = SamplerSettings(chains, warmup, draws)

        def progress(line: str) -> None:
            print(line, file=sys.stderr, flush=True)

        how = (method, seed, settings, progress)
        found, _ = in_background(
            lambda: compare_models(table, models, by, *how), f"comparing {len(models)} models, by {by}"
        )
        frame = found.frame
        mixture = None
        if path is not None:
            mixture, _ = in_background(lambda: stacked(found, table, models, *how), "averaging")
            mixture.save(path)
        records = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
        say.result(records, lambda console: draw(frame, by, console))
        if thin := [f"{row['model']} {row['thin']}" for row in records if row["thin"]]:
            say.warn(
                f"of {records[0]['runs']} held-out runs fewer than {ENOUGH} effective draws foresee {', '.join(thin)}: "
                "elpd is uncertain by simulation se from that alone, and rather too low: more --draws, or another --by"
            )
        doubtful = [row["model"] for row in records if row["failed_fits"]]
        if doubtful:
            say.warn(f"fits of {', '.join(doubtful)} failed their checks: their lines are to be read with doubt")
        if path is not None and mixture is not None:
            written(mixture, path, say)


def parts_of(option: str, text: str) -> list[str]:
    """Names of laws, poolings or noises, separated by commas.

    Raises ValueError naming every one that is not on offer, or named twice.
    """
    from bayescpt.fit.run import model_of

    names = [name.strip() for name in text.split(",")]
    part = {"--laws": "law", "--pooling": "pooling", "--noise": "noise"}[option]
    faults = [f"{option}: expected each name once, got '{name}' twice" for name in repeated(names)]
    for name in dict.fromkeys(names):
        try:
            asked: dict[str, Any] = {part: name}
            model_of(**asked)
        except ValueError as error:
            faults.append(f"{option}: {error}")
    if faults:
        raise ValueError("\n".join(faults))
    return names


def repeated(names: list[str]) -> list[str]:
    """Names that stand there more than once."""
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def written(mixture: Mixture, path: Path, say: Session) -> None:
    """Say what is in a mixture's file. Ends with status 1 where a member failed its checks."""
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in mixture.weights.items())
    say.note(f"{path}: {mixture.size} draws of {weights}; {mixture.made}")
    if not mixture.passed:
        failed = [f"  {one.name}: {one.message}" for one in mixture.checks if not one.passed]
        head = f"members of {path} failed {len(failed)} of their checks; answers from it need --accept REASON:"
        say.warn("\n".join([head, *failed]))
        raise typer.Exit(FAILED)


def draw(frame: pd.DataFrame, by: str, console: Console) -> None:
    """The table for a person."""
    from rich.table import Table as Grid

    runs, folds = frame["runs"].iloc[0], frame["folds"].iloc[0]
    title = f"log predictive density of held-out runs (nats), by {by}; {runs} runs in {folds} folds"
    grid: Any = Grid(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    columns = ("model", "elpd", "se", "simulation se", "difference", "se", "weight", "refits", "failed fits")
    for column in columns:
        grid.add_column(column, justify="left" if column == "model" else "right")
    for row in frame.to_dict(orient="records"):
        numbers = (row["elpd"], row["elpd_se"], row["simulation_se"], row["difference"], row["difference_se"])
        told = ["-" if math.isnan(number) else f"{number:,.1f}" for number in numbers]
        grid.add_row(row["model"], *told, f"{row['weight']:.2f}", str(row["refits"]), str(row["failed_fits"]))
    console.print(grid)

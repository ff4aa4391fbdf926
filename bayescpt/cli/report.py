"""``bayescpt report``: everything that a fit says, as one HTML file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.answers import load
from bayescpt.cli.files import check_output
from bayescpt.cli.options import Accept, Debug, FitFile, Json, bounded, count, forgetting
from bayescpt.cli.predict import also
from bayescpt.cli.session import Gather, session

if TYPE_CHECKING:
    from bayescpt.design.files import SpaceFile
    from bayescpt.fit import Fit, Mixture
    from bayescpt.report import Asked

SUFFIXES = (".html", ".htm")


def report(
    fit: FitFile,
    out: Annotated[str, typer.Option("-o", "--out", metavar="REPORT.html", help="Where to write the report.")],
    domain: Annotated[
        list[str] | None, typer.Option(help="Domain of the table; may be repeated. All of them by default.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="N", help="Parameters of the run; the table's largest by default.")
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(metavar="T", help="Tokens of the run; the table's most by default.")
    ] = None,
    max_forgetting: Annotated[
        str, typer.Option(metavar="X", help="Rise of the general loss that is allowed: nats (0.05) or relative (3%).")
    ] = "0.05",
    confidence: Annotated[
        float, typer.Option(metavar="P", help="Probability with which the forgetting budget is to hold.")
    ] = 0.9,
    space: Annotated[
        str | None, typer.Option(metavar="SPACE.yaml", help="What may be run next, as for `bayescpt next`.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="FLOPS", help="FLOPs for all further runs together, with --space.")
    ] = None,
    accept: Accept = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """One HTML file that needs nothing beside itself: the decision with its odds, and all that speaks for it.

    With losses, ratios of all domains, the Pareto front, learnability, the next runs (with --space), what is
    extrapolation, checks, and where it all comes from.
    """
    with session(json, debug) as say:
        gather = Gather()
        place = (
            None if size is None else gather(count, "--size", size),
            None if tokens is None else gather(count, "--tokens", tokens),
        )
        allowed = gather(forgetting, "--max-forgetting", max_forgetting)
        gather(bounded, "--confidence", confidence, 0, 1, False)
        if budget is not None:
            gather(bounded, "--budget", budget, 0, math.inf, False)
        if (space is None) != (budget is None):
            gather.fault("--space and --budget go together: what may be run, and the FLOPs to spend on it")
        path = gather(check_output, out, [fit, *([space] if space else [])], SUFFIXES)
        file = None if space is None else gather(_read_space, space)
        found = gather(load, fit, accept, say)
        # of a setting that cannot be read a fault is kept already
        readable = (*allowed, confidence) if allowed is not None and 0 < confidence < 1 else ()
        asked = None if found is None else gather(_asked, found, domain or (), place, readable)
        gather.done()
        assert asked is not None
        from bayescpt.report import report as make

        made = make(found, asked, fit, file, budget, space or "")
        made.write(path)
        if asked.assumed:
            say.note(f"{' and '.join(asked.assumed)} not stated: the largest of the table")
        written: dict[str, Any] = {"path": str(path), "bytes": path.stat().st_size}
        say.note(f"{path}: {written['bytes'] / 1e6:.2f} MB")
        say.result(written | made.told | also(found), lambda console: console.print(made.lead, soft_wrap=True))


def _read_space(space: str) -> SpaceFile:
    from bayescpt.design.files import read_space

    return read_space(Path(space))


def _asked(
    found: Fit | Mixture,
    domains: Sequence[str],
    place: tuple[float | None, float | None],
    settings: tuple[float, bool, float] | tuple[()],
) -> Asked:
    from bayescpt.report import asked_of

    return asked_of(found.table, domains, *place, *settings)

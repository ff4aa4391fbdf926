"""``bayescpt diagnose``: what a fit leaves open, which run would tell, and how much answers hang on the prior."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.options import Debug, FitFile, Json, bounded, count
from bayescpt.cli.session import Gather, session

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from bayescpt.ask.ridges import Ridge

SHORT = 5
"""Directions that `bayescpt fit` tells of."""
SHOWN_DOMAINS = 3
ACCEPTED = "a diagnosis"


def diagnose(
    fit: FitFile,
    size: Annotated[
        str | None, typer.Option(metavar="N", help="Size of the decisions; the table's largest by default.")
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(metavar="T", help="Tokens of the decisions; the table's most by default.")
    ] = None,
    tolerance: Annotated[float, typer.Option(metavar="NATS", help="Forgetting that the decisions allow.")] = 0.05,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Directions that the rows leave open, with the run that would tell, and sensitivity to prior and likelihood.

    A fit that failed its checks is diagnosed too. Of a mixture every member is.
    """
    with session(json, debug) as say:
        gather = Gather()
        place = (
            None if size is None else gather(count, "--size", size),
            None if tokens is None else gather(count, "--tokens", tokens),
            gather(bounded, "--tolerance", tolerance, 0),
        )
        from bayescpt.ask.ridges import ridges
        from bayescpt.ask.sensitivity import decisions, sensitivity
        from bayescpt.fit import Fit, load

        found = gather(load, fit)
        gather.done()
        members = {"": found} if isinstance(found, Fit) else dict(found.members)
        told: dict[str, tuple[Sequence[Ridge], pd.DataFrame]] = {}
        for name, member in members.items():
            if not member.passed:
                say.warn(f"{name or fit} failed its checks: what is told here is to be read with doubt")
            asked = member if member.passed else member.accept(ACCEPTED)
            told[name] = ridges(asked), sensitivity(asked, decisions(asked, None, *place))
        values = {name: as_value(*parts) for name, parts in told.items()}
        say.result(values[""] if isinstance(found, Fit) else {"members": values}, lambda console: draw(told, console))


def as_value(open_: Sequence[Ridge], frame: pd.DataFrame) -> dict[str, Any]:
    """A diagnosis as plain values."""
    return {"ridges": [one.as_dict() for one in open_], "sensitivity": frame.to_dict("records")}


def draw(told: dict[str, tuple[Sequence[Ridge], pd.DataFrame]], console: Console) -> None:
    """Diagnoses for a person: every direction, every decision, and the parameters that the prior decides."""
    for name, (open_, frame) in told.items():
        if name:
            console.print(f"{name}:", soft_wrap=True, style="bold")
        for line in lines(open_, len(open_)):
            console.print(line, soft_wrap=True)
        console.print("power scaling, change of a distribution per doubling of prior or likelihood (0.05 counts):")
        for row in frame[frame["kind"] == "decision"].to_dict("records"):
            console.print(_sensitive(row), soft_wrap=True)
        parameters = frame[frame["kind"] == "parameter"]
        counts = ", ".join(f"{count} {verdict}" for verdict, count in parameters["verdict"].value_counts().items())
        console.print(f"  coordinates: {counts}; most by the prior:", soft_wrap=True)
        for row in parameters.sort_values("prior", ascending=False).head(SHORT).to_dict("records"):
            console.print(f"  {_sensitive(row)}", soft_wrap=True)


def _sensitive(row: dict[Any, Any]) -> str:
    return f"  {row['quantity']}: prior {row['prior']:.3f}, likelihood {row['likelihood']:.3f}: {row['verdict']}"


def lines(open_: Sequence[Ridge], most: int) -> Iterable[str]:
    """Directions that are not identified, in words, at most so many."""
    if not open_:
        yield "every coordinate is identified: nowhere more than 0.7 of the prior's variance is left"
        return
    yield "not identified by these rows:"
    for one in open_[:most]:
        left = "known only together" if one.learned else f"{one.contraction:.0%} of the prior's variance is left"
        where = ", ".join(one.domains[:SHOWN_DOMAINS])
        more = f" and {len(one.domains) - SHOWN_DOMAINS} more" if len(one.domains) > SHOWN_DOMAINS else ""
        yield f"  {one.target} loss, {one.name}: {left} ({where}{more}); {one.run.text}"
    if len(open_) > most:
        yield f"  and {len(open_) - most} more (bayescpt diagnose shows all)"

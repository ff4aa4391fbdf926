"""``bayescpt predict``: expected losses and those of a new run, at points from a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.answers import averaged, load
from bayescpt.cli.check import short
from bayescpt.cli.files import check_output, write_frame
from bayescpt.cli.options import Accept, Debug, FitFile, Json
from bayescpt.cli.session import Gather, session

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from bayescpt.ask.horizon import Horizon
    from bayescpt.fit import Fit, Mixture

ANSWERS = ("mean", "sd", "q05", "q50", "q95", "pred_q05", "pred_q50", "pred_q95")
EXTRAS = ("extrapolation", "new_domain", "accepted", "weights", "weights_by")
COUNTS = ("size", "tokens")


def predict(
    fit: FitFile,
    at: Annotated[
        str,
        typer.Option(
            metavar="POINTS",
            help="CSV or Parquet with columns domain, size, ratio, tokens, target, and what the law can be told "
            "of a run besides (lr_sum, lr_anneal, domain_tokens, phase_part with phase_ratio).",
        ),
    ],
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="OUT", help="Write here, CSV or Parquet, instead of a table.")
    ] = None,
    accept: Accept = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Losses at points, nats per token: mean, sd and quantiles of the expected loss, quantiles of a new run (pred_)."""
    with session(json, debug) as say:
        from bayescpt.data.read import CSV_SUFFIXES, PARQUET_SUFFIXES

        gather = Gather()
        path = None if out is None else gather(check_output, out, [fit, at], CSV_SUFFIXES + PARQUET_SUFFIXES)
        found = gather(load, fit, accept, say)
        points = gather(read_points, at, () if found is None else found.table.domains)
        gather.done()
        from bayescpt.ask import summarise
        from bayescpt.ask.horizon import horizon, warnings

        answer = summarise(found, points)
        places = [
            horizon(found.table, str(domain), float(size), float(tokens))
            for domain, size, tokens in zip(points["domain"], points["size"], points["tokens"], strict=True)
        ]
        for line in warnings(places):
            say.warn(line)
        extra = also(found)
        if "weights" in extra and not json:
            say.note(averaged(extra["weights"], extra["weights_by"]))
        if path is not None:
            write_frame(answer, path)
            say.note(f"{len(answer)} points written to {path}")
        if json or path is None:
            say.result(records(answer, places, extra), lambda console: draw(answer, console))


def read_points(path: str, known: Iterable[str]) -> pd.DataFrame:
    """The points of a file. Raises ValueError naming everything that is wrong with them.

    Args:
        known: domains of the table that they are asked of.
    """
    from bayescpt.ask.predict import check_points
    from bayescpt.data.read import read_frame

    points = read_frame(path)
    taken = [name for name in (*ANSWERS, *EXTRAS) if name in points]
    gather = Gather()
    gather(check_points, points, known)
    if taken:
        gather.fault(f"the points have the columns of an answer already ({', '.join(taken)}): rename or drop them")
    gather.done()
    return points


def also(found: Fit | Mixture) -> dict[str, Any]:
    """What goes with every point of an answer: why it may be given, and what was averaged."""
    from bayescpt.fit import Mixture

    reason = {} if found.accepted is None else {"accepted": found.accepted}
    return reason | ({"weights": dict(found.weights), "weights_by": found.made} if isinstance(found, Mixture) else {})


def records(answer: pd.DataFrame, places: list[Horizon], extra: dict[str, Any]) -> list[dict[str, Any]]:
    """Every point with its answer as plain values; a missing value in a column of the user's own is null."""
    own = [name for name in answer.columns if name not in ANSWERS]
    plain = answer.astype(object)
    plain[own] = plain[own].where(answer[own].notna(), None)
    rows = plain.to_dict("records")
    return [
        {str(k): v for k, v in row.items()} | place.fields() | extra for row, place in zip(rows, places, strict=True)
    ]


def draw(answer: pd.DataFrame, console: Console) -> None:
    """The points as a table, for a person."""
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=None, header_style="bold", pad_edge=False)
    for name in answer.columns:
        grid.add_column(Text(str(name)))
    for row in answer.to_dict("records"):
        grid.add_row(*(Text(_cell(str(name), value)) for name, value in row.items()))
    console.print(grid)


def _cell(name: str, value: Any) -> str:
    if name in ANSWERS:
        return f"{value:.4f}"
    return short(float(value)) if name in COUNTS else str(value)

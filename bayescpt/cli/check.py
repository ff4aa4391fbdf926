"""``bayescpt check``: what is in a table, and what a model can learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bayescpt.cli.options import Debug, Json
from bayescpt.cli.session import session

if TYPE_CHECKING:
    from rich.console import Console

    from bayescpt.data.overview import Overview

STYLES = {"INFO": "dim", "REVIEW": "yellow", "FAIL": "red"}


def check(
    rows: Annotated[str, typer.Argument(metavar="ROWS", help="Observation table, CSV or Parquet.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """What is in the table, what the model will and will not be able to learn from it."""
    with session(json, debug) as say:
        from bayescpt.data import Table
        from bayescpt.data.overview import overview

        seen = overview(Table.read(rows))
        say.result(seen.as_dict(), lambda console: draw(seen, rows, console))


def draw(seen: Overview, source: str, console: Console) -> None:
    """Counts by domain and findings, for a person."""
    from rich.table import Table as Grid
    from rich.text import Text

    console.print(
        f"{source}: {seen.rows} rows of {seen.runs} runs on {seen.bases} bases, {seen.base_losses} base losses",
        soft_wrap=True,
    )
    grid = Grid("domain", "rows", "runs", "sizes", "ratios", "tokens", box=None, header_style="bold", pad_edge=False)
    for domain in seen.domains:
        grid.add_row(
            Text(domain.name),
            str(domain.rows),
            str(domain.runs),
            _values(domain.sizes),
            _values(domain.ratios),
            " to ".join(short(value) for value in domain.tokens),
        )
    console.print(grid)
    if seen.given:
        console.print(f"optional columns: {', '.join(seen.given)}", soft_wrap=True)
    if seen.unused:
        console.print(f"unused columns: {', '.join(seen.unused)}", soft_wrap=True)
    for finding in seen.findings:
        level = finding.level.value
        console.print(Text.assemble((f"{level:<6} ", STYLES[level]), str(finding)), soft_wrap=True)


def _values(values: Sequence[float]) -> str:
    return ", ".join(short(value) for value in values)


def short(value: float) -> str:
    """A number as a person reads it: 590,720 and 0.25, but 1.5e+09."""
    return f"{value:,.0f}" if value >= 1000 and float(value).is_integer() and value < 1e7 else f"{value:.4g}"

"""What is extrapolation: how far the question lies beyond the rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from bayescpt.ask.horizon import warnings
from bayescpt.data.runs import SAME_RATIO
from bayescpt.data.table import Table
from bayescpt.report import plots
from bayescpt.report.extent import extent_panel
from bayescpt.report.html.asked import Asked
from bayescpt.report.html.blocks import Block, Cell, Grid, Pictures, Section, Words, cells
from bayescpt.report.html.decided import Decision
from bayescpt.report.html.picture import picture
from bayescpt.report.units import count, decided_share, share, times

KEY = (
    ("dot", plots.MEASURED, "rows of the table"),
    ("band", plots.LAW, "range of the rows"),
    ("star", plots.BUDGET, "the run asked about"),
)
SIZE = (4.4, 2.7)
"""Inches."""


def beyond_rows(table: Table, decisions: Mapping[str, Decision], asked: Asked) -> Section:
    """Ranges of the rows against what was asked, and a map."""
    places = [one.place for one in decisions.values()]
    lines = warnings(places)
    text = (
        f"{lines[0][0].upper()}{lines[0][1:]}. An interval tells how sure the law is, not whether the law holds there."
        if lines
        else "Size and tokens asked about lie within those of the rows."
    )
    factor = {"size": places[0].size, "tokens": places[0].tokens}
    rows = [
        _row("Parameters", table.size, asked.size, factor["size"]),
        _row("Tokens", table.tokens, asked.tokens, factor["tokens"]),
        *(_share(table, name, one) for name, one in decisions.items()),
    ]
    columns = ("What", "Rows", "Asked", "Beyond")
    alt = (
        f"Rows of the table between {count(table.tokens.min())} and {count(table.tokens.max())} tokens and "
        f"{count(table.size.min())} and {count(table.size.max())} parameters; the run asked about has {asked.run}."
    )
    draw = partial(extent_panel, table=table, size=asked.size, tokens=asked.tokens)
    blocks: list[Block] = [
        Words(text),
        Grid("Ranges of the rows, and what is asked of them or decided.", columns, rows),
        Pictures(
            [picture(draw, alt, size=SIZE)],
            "Sizes and tokens of all rows, and the run that this report is about.",
            KEY,
            form="single",
        ),
    ]
    return Section("extrapolation", "What is extrapolation", "Extrapolation", blocks)


def _row(what: str, values: np.ndarray, asked: float, factor: float) -> list[Cell]:
    far = Cell(times(factor), "", "review") if factor > 1 else Cell("no")
    return cells(what, f"{count(values.min())} to {count(values.max())}", count(asked), far)


def _share(table: Table, name: str, decision: Decision) -> list[Cell]:
    mine = table.ratio[table.domain == table.domains.index(name)]
    if not len(mine):
        return cells(f"Share of {name}", "-", decided_share(decision.ratio), Cell("no rows", "", "review"))
    low, high = float(mine.min()), float(mine.max())
    outside = decision.ratio < low - SAME_RATIO or decision.ratio > high + SAME_RATIO
    far = Cell("yes", "", "review") if outside else Cell("no")
    return cells(f"Share of {name}", f"{share(low)} to {share(high)}", decided_share(decision.ratio), far)

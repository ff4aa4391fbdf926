"""Answers as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from bayescpt.ask import summary
from bayescpt.report.answers import Answers
from bayescpt.report.units import count, percent


def answers_table(answers: Sequence[Answers]) -> Table:
    """One row for each setting: median and 90 % interval of both ratios, and how often none or all ratios qualify.

    Raises:
        ValueError: if there is no answer, or answers differ in their forgetting budget or in being accepted.

    Examples:
        >>> from bayescpt.report import answers_at, answers_table
        >>> table_of = answers_table([answers_at(fitted, "cpp", 590720, 204800, max_forgetting=0.05)])
        >>> [column.header for column in table_of.columns]
        ['domain', 'size', 'optimal ratio', 'none', 'all', 'CMR', 'none', 'all']
    """
    budgets = {answer.max_forgetting for answer in answers}
    accepted = {answer.accepted for answer in answers}
    if len(budgets) != 1 or len(accepted) != 1:
        raise ValueError(
            f"expected answers of one forgetting budget and one fit, got {len(answers)} with budgets {sorted(budgets)} "
            f"and reasons of acceptance {sorted(map(str, accepted))}; make a table of each"
        )
    title = f"Share of domain data within a forgetting budget of {budgets.pop():g} nats"
    lengths = sorted({answer.tokens for answer in answers})
    if len(lengths) == 1:
        title += f", {count(lengths[0])} tokens"
    reason = accepted.pop()
    if reason is not None:
        title = f"NOT RELIABLE: {escape(reason)}\n{title}"
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold" if reason is None else "bold red",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("domain", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    if len(lengths) > 1:
        table.add_column("tokens", justify="right", no_wrap=True)
    for name in ("optimal ratio", "CMR"):
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("none", justify="right", no_wrap=True)
        table.add_column("all", justify="right", no_wrap=True)
    for answer, after in zip(answers, [*answers[1:], None], strict=True):
        settings = [escape(answer.domain), count(answer.size)]
        if len(lengths) > 1:
            settings.append(count(answer.tokens))
        last_of_domain = after is not None and after.domain != answer.domain
        table.add_row(*settings, *_cells(answer.ratio), *_cells(answer.critical), end_section=last_of_domain)
    return table


def _cells(answer: xr.Dataset) -> tuple[str, str, str]:
    said = summary(answer)
    interval = rf"{said['q50']:.2f} \[{said['q05']:.2f}, {said['q95']:.2f}]"
    return interval, percent(said["p_none"]), percent(said["p_all"])

"""Laws that cannot be asked about a domain that was never trained on: the report does without it and says why."""

from __future__ import annotations

import pytest

from bayescpt.data import Table
from bayescpt.fit import Fit, prior_fit
from bayescpt.report import asked_of, report
from bayescpt.report.html.blocks import Grid, Words
from bayescpt.report.html.pooled import pooled, ratios_of
from tests.tables import with_every_column

CASES = [
    ("dcpt_cross", "complete", "k1, k2 of a new domain cannot be told from these rows"),
    ("additive", "partial", "no source of the name"),
    ("mixing", "partial", "no source of the name"),
]


@pytest.fixture(scope="module")
def table() -> Table:
    return with_every_column()


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[0])
def case(request: pytest.FixtureRequest, table: Table) -> tuple[Fit, str]:
    law, pooling, why = request.param
    return prior_fit(table, law, pooling, draws=40), why


def test_the_new_domain_is_left_out_and_that_is_said(case: tuple[Fit, str]) -> None:
    fit, why = case
    asked = asked_of(fit.table, ["code"], max_forgetting=2.0, confidence=0.5)
    ratios = ratios_of(fit, asked)
    assert ratios.new is None
    section = pooled(fit, ratios, asked)
    words = " ".join(one.text for one in section.blocks if isinstance(one, Words))
    assert "There is no line of a domain that was never trained on: " in words
    assert why in words
    assert "From the population alone" not in words
    grid = next(one for one in section.blocks if isinstance(one, Grid))
    assert tuple(grid.columns) == ("Domain", "Optimal ratio", "CMR")
    assert [row[0].text for row in grid.rows] == ["code", "law"]
    assert "Width left" not in grid.caption


def test_the_report_is_whole_without_it(case: tuple[Fit, str]) -> None:
    fit, _ = case
    asked = asked_of(fit.table, ["code"], max_forgetting=2.0, confidence=0.5)
    assert "There is no line of a domain that was never trained on" in report(fit, asked).html

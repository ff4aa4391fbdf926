"""Laws that cannot be asked about a domain that was never trained on: the report does without it and says why."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from bayescpt.data import Table
from bayescpt.fit import Fit, prior_fit
from bayescpt.report import asked_of, report
from bayescpt.report.html.blocks import Grid, Words
from bayescpt.report.html.pooled import pooled, ratios_of

DOMAINS, SIZES, RATIOS, TOKENS = ("code", "law"), (1e5, 6e5), (0.2, 0.8), (4e3, 8e3, 1.6e5)
CASES = [
    ("dcpt_cross", "complete", "k1, k2 of a new domain cannot be told from these rows"),
    ("additive", "partial", "no source of the name"),
    ("mixing", "partial", "no source of the name"),
]


@pytest.fixture(scope="module")
def table() -> Table:
    """Curves that slow down and streams of three sources."""
    rows = []
    for domain, size, target in itertools.product(DOMAINS, SIZES, ("general", "domain")):
        start = (3.1 if target == "general" else 4.8) - size / 4e6
        common = {"domain": domain, "size": size, "target": target, "base": f"base-{size:g}"}
        for ratio, tokens in [(0.0, 0.0), *itertools.product(RATIOS, TOKENS)]:
            own = ratio if target == "domain" else 1 - ratio
            shares = {"share_general": 1 - ratio} | {f"share_{name}": ratio * (name == domain) for name in DOMAINS}
            run = f"{domain}-{size:g}-{ratio:g}" if tokens else f"base-{domain}-{size:g}"
            loss = start - 0.3 * own * np.log1p(tokens / 2e4)
            rows.append(common | shares | {"run": run, "ratio": ratio, "tokens": tokens, "loss": loss})
    return Table.from_frame(pd.DataFrame(rows))


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

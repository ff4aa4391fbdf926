from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from bayescpt.data import Table
from bayescpt.fit import Check, Fit, prior_fit
from bayescpt.report import Answers, Report, answers_at, asked_of, report

SIZES = (1e5, 6e5)
TOKENS = (4e3, 2e4, 1e5, 2e5)
RATIOS = (0.0, 0.25, 0.75)
BUDGET = 0.05


def rows() -> pd.DataFrame:
    """Two domains, two sizes, three ratios, four checkpoints: enough of a design for draws of the prior."""
    found = []
    for domain, level in (("code", 4.5), ("law[s]", 4.0)):
        for size in SIZES:
            base = {"general": 3.1 - 0.02 * math.log(size / 1e5), "domain": level}
            for ratio in RATIOS:
                run = {"run": f"{domain}-{size:g}-{ratio:g}", "domain": domain, "size": size, "base": f"b{size:g}"}
                for target, start in base.items():
                    found.append({**run, "ratio": ratio, "tokens": 0.0, "target": target, "loss": start})
                    share = ratio if target == "domain" else 1 - ratio
                    for tokens in TOKENS:
                        loss = start - 0.2 * share * math.log1p(tokens / 1e4)
                        found.append({**run, "ratio": ratio, "tokens": tokens, "target": target, "loss": loss})
    return pd.DataFrame(found)


@pytest.fixture(scope="session")
def table() -> Table:
    return Table.from_frame(rows())


@pytest.fixture(scope="session")
def drawn(table: Table) -> Fit:
    """Draws of the prior: of the type of a fit, without sampling."""
    return prior_fit(table, "memory", seed=0, draws=60)


@pytest.fixture(scope="session")
def unreliable(drawn: Fit) -> Fit:
    return replace(drawn, checks=(Check("r_hat", False, "1.5"),)).accept("wanted for a test")


@pytest.fixture(scope="session")
def answers(drawn: Fit) -> list[Answers]:
    """Both domains at both sizes."""
    return [answers_at(drawn, domain, size, TOKENS[-1], BUDGET) for domain in ("code", "law[s]") for size in SIZES]


ODD = "<b>law</b> $x$ & co"
"""A name that HTML, mathematical text and shells would each trip over."""


@pytest.fixture(scope="session")
def odd(table: Table) -> Fit:
    """A fit with an oddly named domain that failed its checks, accepted for an odd reason."""
    frame = table.frame().replace({"domain": {"law[s]": ODD}})
    drawn = prior_fit(Table.from_frame(frame), "memory", seed=0, draws=60)
    failed = (Check("r_hat", False, "1.5 at beta; wanted below 1.01: sample more"), Check("divergences", True, "none"))
    return replace(drawn, checks=failed).accept('for "a test" <i>only</i>')


@pytest.fixture(scope="session")
def page(odd: Fit) -> Report:
    """The report of it, for a run beyond the rows."""
    return report(odd, asked_of(odd.table, size=2e6, tokens=1e6, confidence=0.6), "a fit.nc")

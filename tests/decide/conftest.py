"""Laws whose best actions are known in closed form, shared with the questions; streams of more sources, other rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayescpt.data.table import Table
from bayescpt.fit import Fit, prior_fit
from tests.ask.conftest import altered, hump, level, memory, ramp, table

__all__ = ["altered", "hump", "level", "memory", "ramp", "rated", "sourced", "table"]

RATE, STEPS = 1e-3, 2000


@pytest.fixture(scope="session")
def rated(table: Table) -> Table:
    """The table with the columns of a constant rate and 2,000 steps a run."""
    whole = table.tokens.max()
    return replace(
        table,
        lr=np.full(len(table), RATE),
        lr_sum=RATE * STEPS * table.tokens / whole,
        lr_anneal=np.zeros(len(table)),
    )


@pytest.fixture(scope="session")
def sourced(table: Table) -> Fit:
    """Under a law of many sources: of what a domain leaves four fifths are general text, the rest the other domain."""
    code = np.where(table.domain == 0, table.ratio, 0.2 * (1 - table.ratio))
    law = np.where(table.domain == 1, table.ratio, 0.2 * (1 - table.ratio))
    shares = np.stack([code, 1 - code - law, law], axis=1)
    return prior_fit(replace(table, shares=shares, sources=("code", "general", "law")), "additive", seed=5, draws=60)

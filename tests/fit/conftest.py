"""Fits of prior draws: what a fit is can be tested without sampling a posterior."""

from __future__ import annotations

import pytest

from bayescpt.data.table import Table
from bayescpt.fit import Fit, prior_fit


@pytest.fixture(scope="session")
def prior(study_table: Table) -> Fit:
    """500 draws of the memory law's prior on the small study."""
    return prior_fit(study_table, "memory", seed=3, draws=500)

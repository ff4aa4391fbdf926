"""What the command line says of a plan's choices, read."""

from __future__ import annotations

import pytest

from bayescpt.cli.plan_space import retained_set
from bayescpt.data.table import Table
from bayescpt.fit import prior_fit


@pytest.mark.parametrize("text", ["books", "books=fit.nc", "books=fit.nc:much", "=fit.nc:0.1", "books=fit.nc:-1"])
def test_a_set_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--retain.*expected (NAME=FIT\.nc:BUDGET|nats per token)"):
        retained_set("--retain", text, lambda path: pytest.fail(f"read {path}"))


def test_a_set_is_read_from_its_text(study_table: Table) -> None:
    fit = prior_fit(study_table, "memory", draws=5)
    found = retained_set("--retain", "books=dir:x/fit.nc:2%", lambda path: {"dir:x/fit.nc": fit}[path])
    assert (found.name, found.max_forgetting, found.relative) == ("books", 0.02, True)
    assert found.budget.limit() == "2% of it"

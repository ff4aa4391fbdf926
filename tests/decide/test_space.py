"""What may be chosen: budgets are spent, nothing impossible is on offer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.data import Table
from bayescpt.decide import domain_limited, outcomes, ratios, under_compute
from bayescpt.decide.space import FLOPS_PER_TOKEN
from bayescpt.fit import Fit, prior_fit


@given(flops=st.floats(1e17, 1e22), sizes=st.lists(st.floats(1e6, 1e11), min_size=1, max_size=4, unique=True))
def test_every_action_spends_the_flops(table: Table, flops: float, sizes: list[float]) -> None:
    long_enough = {size for size in sizes if flops / (FLOPS_PER_TOKEN * size) >= table.tokens.min()}
    if not long_enough:
        with pytest.raises(ValueError, match="do not pay for a run"):
            under_compute(flops, table, sizes)
        return
    found = under_compute(flops, table, sizes)
    np.testing.assert_allclose(FLOPS_PER_TOKEN * found["size"] * found["tokens"], flops)
    assert set(found["size"]) == long_enough


def test_sizes_that_nobody_names_have_runs_as_long_as_the_first_checkpoint(table: Table) -> None:
    found = under_compute(6 * 1e7 * 2e8, table)
    assert found["tokens"].min() >= table.tokens.min()
    assert found["size"].min() == pytest.approx(table.size.min())
    with pytest.raises(ValueError, match="do not pay for a run as long as"):
        under_compute(1e3, table)


@given(share=st.floats(0.01, 1), domain_tokens=st.floats(1e3, 1e12))
def test_domain_tokens_are_read_once(share: float, domain_tokens: float) -> None:
    found = domain_limited(1e8, domain_tokens, [share])
    np.testing.assert_allclose(found["tokens"] * found["ratio"], domain_tokens)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ratios(-1, 1e9), "size must be a positive"),
        (lambda: ratios(1e8, np.nan), "tokens must be a positive"),
        (lambda: ratios(1e8, 1e9, [0.2, 1.2]), "ratios within"),
        (lambda: ratios(1e8, 1e9, []), "at least one"),
        (lambda: domain_limited(1e8, 1e9, [0.0, 0.5]), "no run reads the domain tokens"),
    ],
)
def test_impossible_actions_are_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        make()


def test_tables_that_are_no_actions_are_refused(ramp: Fit) -> None:
    for actions, message in (
        (pd.DataFrame({"size": [1e7]}), "no column tokens, ratio"),
        (ratios(1e7, 1e9).iloc[:0], "nothing to choose from"),
        (pd.DataFrame({"size": [1e7], "tokens": [1e9], "ratio": [1.5]}), "ratios within"),
        (pd.DataFrame({"size": [-1e7], "tokens": [1e9], "ratio": [0.5]}), "size must be a positive"),
    ):
        with pytest.raises(ValueError, match=message):
            outcomes(ramp, "code", actions)


def test_a_law_that_sees_no_ratio_plans_none(table: Table) -> None:
    blind = prior_fit(table, "chinchilla", draws=8)
    with pytest.raises(ValueError, match="does not see what a model is trained on"):
        outcomes(blind, "code", ratios(1e7, 1e9), with_base=False)

"""Candidates are what the table does not have, and cost what rows say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bayescpt.data import Table
from bayescpt.design import Cost, Space, candidates, cost_of

WHOLE: dict[str, Any] = {
    "domains": ["code", "art"],
    "sizes": [1e7, 4e7],
    "ratios": [0.1, 0.3],
    "tokens": [1e8, 1e9, 3e9],
}


def test_what_was_run_is_not_offered(table: Table) -> None:
    """Its runs: code and law, ratios 0.1, 0.5, 0.9, both sizes, to 1e9 tokens."""
    found = candidates(Space(**WHOLE), table)
    code = found[(found["domain"] == "code") & (found["ratio"] == 0.1)]
    assert set(code["tokens"]) == {3e9}
    assert len(found[(found["domain"] == "code") & (found["ratio"] == 0.3)]) == 6
    assert len(found[found["domain"] == "art"]) == 12
    np.testing.assert_allclose(found["cost"], 6 * found["size"] * found["tokens"])
    assert (found["start"] == 0).all()


def test_a_run_that_is_continued_costs_its_further_tokens(table: Table) -> None:
    found = candidates(Space(**WHOLE, continue_runs=True), table)
    longer = found[(found["domain"] == "code") & (found["ratio"] == 0.1)]
    np.testing.assert_allclose(longer["start"], 1e9)
    np.testing.assert_allclose(longer["cost"], 6 * longer["size"] * 2e9)


def test_several_seeds_are_offered_where_the_table_knows_seeds(table: Table) -> None:
    seeded = replace(table, seed=np.zeros(len(table), dtype=int))
    found = candidates(Space(**WHOLE, seeds=[0, 1]), seeded)
    here = found[(found["domain"] == "code") & (found["ratio"] == 0.1) & (found["tokens"] == 1e9)]
    assert set(here["seed"]) == {1}


def test_a_space_that_is_done_is_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="no run that the table does not have"):
        candidates(Space(["code"], [1e7], [0.1], [1e9]), table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domains": []}, "domains: expected at least one"),
        ({"domains": [""]}, "domains: expected a name"),
        ({"sizes": [-1.0]}, "sizes: expected numbers from 1"),
        ({"tokens": ["many"]}, "tokens: expected numbers from 1"),
        ({"ratios": [1.5]}, "ratios: expected shares within"),
        ({"seeds": [-1]}, "seeds: expected whole numbers"),
        ({"ratios": [0.1, 0.1]}, "ratios: 0.1 stands twice"),
    ],
)
def test_impossible_spaces_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Space(**(WHOLE | change))


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"domains: .*; .*sizes: .*; .*ratios: "):
        Space(domains=[], sizes=[0.0], ratios=[-1.0], tokens=[1.0])


def test_costs_are_those_of_the_rows(table: Table) -> None:
    assert cost_of(table) == Cost()
    spent = 6 * table.size**0.9 * 1e8**0.1 * table.tokens
    found = cost_of(replace(table, flops=spent))
    assert found.runs == len(table.runs)
    np.testing.assert_allclose(found.of(np.array([2e7]), np.array([1e10])), 6 * (2e7) ** 0.9 * 1e8**0.1 * 1e10)
    # a large model never costs less than its parameters and tokens
    np.testing.assert_allclose(found.of(np.array([1e10]), np.array([1e10])), 6e20)
    one = table.select(table.size == 1e7)
    same = cost_of(replace(one, flops=7 * one.size * one.tokens))
    np.testing.assert_allclose(same.of(np.array([1e9]), np.array([1e10])), 7e19)
    assert "runs" in same.says()
    assert "no row says" in Cost().says()


def test_device_hours_are_those_of_the_rows(table: Table) -> None:
    with pytest.raises(ValueError, match="needs the column gpu_hours"):
        cost_of(table, "GPU-hours")
    with pytest.raises(ValueError, match="expected costs in FLOPs or GPU-hours, got 'euros'"):
        cost_of(table, "euros")
    took = 1e-15 * table.size**0.8 * table.tokens
    found = cost_of(replace(table, gpu_hours=took), "GPU-hours")
    np.testing.assert_allclose(found.of(np.array([3e7]), np.array([2e9])), 1e-15 * 3e7**0.8 * 2e9)
    # beyond what was timed hours go with the size, and nobody is told that they are known
    largest = table.size.max()
    one, ten = found.of(np.array([largest, 10 * largest]), np.array([1e9, 1e9]))
    assert ten == pytest.approx(10 * one)
    assert found.knows(largest)
    assert not found.knows(2 * largest)
    assert Cost().knows(1e12)
    assert found.says() == f"by the GPU-hours of {len(table.runs)} runs"

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.ask.horizon import Horizon, horizon, warnings
from bayescpt.data import Table

INSIDE = Horizon("code", 1.0, 1.0, 4.0, 10.0, False)


@pytest.mark.parametrize(
    ("domain", "size", "tokens", "fields"),
    [
        ("code", 10_000_000, 1e9, {}),
        ("code", 25_000_000, 1, {}),
        ("law", 40_000_000, 1e8, {}),
        ("code", 10_000_000, 1.01e9, {}),
        ("code", 80_000_000, 1e9, {"extrapolation": {"size": 2}}),
        ("code", 5_000_000, 1e9, {"extrapolation": {"size": 2}}),
        ("code", 40_000_000, 5e9, {"extrapolation": {"tokens": 5}}),
        ("art", 4e9, 1e11, {"extrapolation": {"size": 100, "tokens": 100}, "new_domain": True}),
        ("art", 1e7, 1e9, {"new_domain": True}),
    ],
)
def test_fields(table: Table, domain: str, size: float, tokens: float, fields: dict[str, object]) -> None:
    assert horizon(table, domain, size, tokens).fields() == fields


@given(factor=st.floats(1.03, 1e6))
def test_a_size_beyond_either_end_counts_from_the_nearest(table: Table, factor: float) -> None:
    assert horizon(table, "code", 40_000_000 * factor, 1e9).size == pytest.approx(factor)
    assert horizon(table, "code", 10_000_000 / factor, 1e9).size == pytest.approx(factor)
    assert horizon(table, "code", 2e7, 1e9 * factor).tokens == pytest.approx(factor)


@pytest.mark.parametrize("size", [1.01e7, 9.9e6, 4.02e7])
def test_a_size_that_was_rounded_is_told(table: Table, size: float) -> None:
    place = horizon(table, "code", size, 1e9)
    assert place.fields() == {}
    (line,) = warnings([place, place])
    assert line.startswith(
        f"size {size:,.0f} is nearly the table's {place.meant:,.0f}, and counts as one whose base was"
    )
    assert warnings([horizon(table, "code", 1e7, 1e9), horizon(table, "code", 1.05e7, 1e9)]) == []


def test_a_domain_whose_base_was_measured_and_no_run_trained_is_new(table: Table) -> None:
    rows = table.frame()
    known = Table.from_frame(rows[(rows["domain"] == "code") | (rows["tokens"] == 0)])
    assert "law" in known.domains
    assert horizon(known, "law", 1e7, 1e9).fields() == {"new_domain": True}
    assert horizon(known, "code", 1e7, 1e9).fields() == {}


def test_inside_there_is_nothing_to_warn_of(table: Table) -> None:
    assert warnings([]) == []
    assert warnings([INSIDE, horizon(table, "law", 4e7, 1e9)]) == []


def test_one_line_holds_the_farthest_of_each(table: Table) -> None:
    (line,) = warnings(
        [horizon(table, "code", 8e7, 1e9), horizon(table, "code", 4e9, 1e8), horizon(table, "law", 1e7, 2e9)]
    )
    assert line.startswith(
        "extrapolation: size 100x beyond the table (more than its own span, 4x) and tokens 2x beyond"
    )
    assert "\n" not in line
    assert "own span" not in line.split(" and ")[1]


def test_a_run_before_the_first_checkpoint_is_told(table: Table) -> None:
    (line,) = warnings([horizon(table, "code", 1e7, 1e9), horizon(table, "code", 1e7, 9e7)])
    assert line == "the run ends before the table's first checkpoint (100,000,000 tokens): no row is near"


def test_unknown_domains_are_named_once_and_then_counted(table: Table) -> None:
    (line,) = warnings([horizon(table, name, 1e7, 1e9) for name in ("art", "law", "art")])
    assert "was trained on 'art';" in line
    (line,) = warnings([horizon(table, f"d{i}", 1e7, 1e9) for i in range(10)])
    assert "'d7' and 2 more" in line
    assert "'d8'" not in line


def test_impossible_settings(table: Table) -> None:
    with pytest.raises(ValueError, match="size must be a positive"):
        horizon(table, "code", 0, 1e9)

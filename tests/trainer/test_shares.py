from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from trainer.shares import bounded, on_grid


def drawn(parts: list[int]) -> dict[str, Fraction]:
    return {f"s{i}": Fraction(part, sum(parts)) for i, part in enumerate(parts)}


parts = st.lists(st.integers(1, 10_000), min_size=2, max_size=8)


@given(parts, st.integers(0, 20), st.integers(0, 20))
def test_bounded_shares_sum_to_one_within_bounds_and_keep_ratios_between_them(
    given_parts: list[int], down: int, up: int
) -> None:
    k = len(given_parts)
    low, high = Fraction(1, k + down), min(Fraction(1), Fraction(k + up, k * k))
    before = drawn(given_parts)
    after = bounded(before, low, high)
    assert sum(after.values()) == 1
    assert all(low <= share <= high for share in after.values())
    inside = {after[name] / before[name] for name in before if low < after[name] < high}
    assert len(inside) <= 1
    for a in before:
        for b in before:
            assert before[a] > before[b] or after[a] <= after[b]
    if all(low <= share <= high for share in before.values()):
        assert after == before


@given(parts, st.integers(1, 1_000))
def test_a_grid_moves_nothing_by_a_step_and_keeps_the_sum(given_parts: list[int], steps: int) -> None:
    before = drawn(given_parts)
    after = on_grid(before, steps)
    assert sum(after.values()) == 1
    for name, share in after.items():
        assert abs(share - before[name]) < Fraction(1, steps)
        assert (share * steps).denominator == 1
    assert after == on_grid(dict(reversed(before.items())), steps)
    assert on_grid(after, steps) == after

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.chairman import chairman, exact_shares
from trainer.mixture import Mixture, Phase, shuffled

weights = st.lists(st.integers(1, 40), min_size=1, max_size=8)


@given(weights)
@settings(deadline=None)
def test_every_prefix_is_within_one_row_of_its_share(given_weights: list[int]) -> None:
    total = sum(given_weights)
    shares = [Fraction(w, total) for w in given_weights]
    rows = 2 * total + 5
    chosen = chairman([(0, shares)], rows)
    k = len(shares)
    bound = 1 - Fraction(1, 2 * k - 2) if k > 1 else Fraction(0)
    counts = [0] * k
    for n, source in enumerate(chosen, 1):
        counts[source] += 1
        for count, share in zip(counts, shares, strict=True):
            assert abs(count - n * share) <= bound


@given(weights, st.integers(0, 2**31))
@settings(deadline=None, max_examples=50)
def test_the_repeated_pattern_equals_the_long_one(given_weights: list[int], seed: int) -> None:
    total = sum(given_weights)
    shares = {f"s{i}": w / total for i, w in enumerate(given_weights)}
    rows = 3 * total + 7
    stream = Mixture((Phase(0, shares),), dict.fromkeys(shares, 5), rows, seed)
    exact = exact_shares(shares)
    for n in range(1, rows + 1):
        for name, count in stream.counts(n).items():
            assert abs(count - n * exact[name]) < 1
        assert sum(stream.counts(n).values()) == n


@given(st.floats(0.001, 0.999).map(lambda r: round(r, 3)))
@settings(deadline=None, max_examples=50)
def test_realised_ratio_of_two_sources_is_within_one_row_on_every_prefix(ratio: float) -> None:
    stream = Mixture((Phase(0, {"general": 1.0 - ratio, "domain": ratio}),), {"general": 11, "domain": 7}, 400, 0)
    for n in range(1, 401):
        assert abs(stream.realised(n)["domain"] - ratio) * n < 1
        assert stream.realised(n)["domain"] + stream.realised(n)["general"] == pytest.approx(1)


def test_an_epoch_goes_through_every_row_once_and_the_next_in_another_order() -> None:
    stream = Mixture((Phase(0, {"a": 0.75, "b": 0.25}),), {"a": 30, "b": 10}, 120, 3)
    drawn = [stream.at(position) for position in range(120)]
    of_a = [row for name, row in drawn if name == "a"]
    assert sorted(of_a[:30]) == sorted(of_a[30:60]) == list(range(30))
    assert of_a[:30] != of_a[30:60]
    assert stream.epochs(120) == {"a": 3.0, "b": 3.0}
    assert stream.epochs(40) == {"a": 1.0, "b": 1.0}


def test_the_stream_is_a_function_of_seed_and_position_in_any_order_of_asking() -> None:
    def stream(seed: int) -> Mixture:
        return Mixture((Phase(0, {"a": 0.3, "b": 0.7}),), {"a": 4, "b": 9}, 80, seed)

    forward = [stream(5).at(position) for position in range(80)]
    backward = stream(5)
    assert [backward.at(position) for position in reversed(range(80))] == forward[::-1]
    assert [stream(6).at(position) for position in range(80)] != forward


def test_a_share_of_zero_gives_nothing_and_needs_no_rows() -> None:
    stream = Mixture((Phase(0, {"a": 1.0, "b": 0.0}),), {"a": 3}, 10, 0)
    assert stream.counts(10) == {"a": 10, "b": 0}
    assert stream.epochs(10)["b"] == 0


def test_a_tiny_share_is_not_rounded_away() -> None:
    chosen = chairman([(0, list(exact_shares({"a": 0.999, "b": 0.001}).values()))], 2000)
    assert np.count_nonzero(chosen == 1) == 2


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({"a": 0.5, "b": 0.4}, "must sum to 1"),
        ({"a": 1.2, "b": -0.2}, r"a: .*1\.2; b: .*-0\.2"),
        ({"a": float("nan")}, "nan"),
        ({"a": 1 - 1e-9, "b": 1e-9}, "b: 1e-09 is not a fraction"),
    ],
)
def test_bad_shares_are_refused_by_name(shares: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        exact_shares(shares)


def test_a_source_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows for b"):
        Mixture((Phase(0, {"a": 0.5, "b": 0.5}),), {"a": 3, "b": 0}, 10, 0)


changing = st.lists(
    st.tuples(st.integers(1, 25), st.lists(st.integers(0, 9), min_size=3, max_size=3)), min_size=1, max_size=5
)


@given(changing.filter(lambda phases: all(sum(weights) for _, weights in phases)), st.integers(0, 2**31))
@settings(deadline=None, max_examples=200)
def test_shares_may_change_and_every_prefix_is_still_within_one_row(
    planned: list[tuple[int, list[int]]], seed: int
) -> None:
    starts = np.cumsum([0, *(length for length, _ in planned)])
    total = int(starts[-1])
    fractions = [[Fraction(w, sum(weights)) for w in weights] for _, weights in planned]
    phases = [
        Phase(int(start), {f"s{i}": float(share) for i, share in enumerate(shares)})
        for start, shares in zip(starts[:-1], fractions, strict=True)
    ]
    stream = Mixture(phases, {f"s{i}": 6 for i in range(3)}, total, seed)
    owed = [Fraction(0)] * 3
    seen: dict[str, list[int]] = {f"s{i}": [] for i in range(3)}
    for n in range(total):
        phase = int(np.searchsorted(starts, n, side="right")) - 1
        owed = [o + share for o, share in zip(owed, fractions[phase], strict=True)]
        name, row = stream.at(n)
        seen[name].append(row)
        for i, count in enumerate(stream.counts(n + 1).values()):
            assert abs(count - owed[i]) < 1
    # no row is skipped and none repeated before its epoch is over
    for rows in seen.values():
        for epoch in range(0, len(rows) - 5, 6):
            assert sorted(rows[epoch : epoch + 6]) == list(range(6))


def test_a_branch_reads_on_where_its_trunk_was() -> None:
    rows = {"a": 10, "b": 10, "c": 4}
    trunk = Mixture((Phase(0, {"a": 0.6, "b": 0.4}),), rows, 40, 3)
    branch = Mixture((Phase(0, {"b": 0.5, "c": 0.5}), Phase(8, {"a": 1.0})), rows, 16, 3, before=(trunk, 20))
    assert [branch.at(i) for i in range(20)] == [trunk.at(i) for i in range(20)]
    assert branch.counts(36) == {"b": 8 + 4, "c": 4, "a": 12 + 8}
    of_b = [row for name, row in (branch.at(i) for i in range(36)) if name == "b"]
    assert sorted(of_b[:10]) == list(range(10))  # the trunk took eight of them
    assert branch.epochs(36)["b"] == pytest.approx(1.2)


def test_an_order_of_its_own_is_followed_and_the_rest_shuffled() -> None:
    stream = Mixture(
        (Phase(0, {"a": 0.5, "b": 0.5}),), {"a": 5, "b": 5}, 20, 1, orders={"a": lambda epoch: np.arange(5)[::-1]}
    )
    drawn = [stream.at(i) for i in range(20)]
    assert [row for name, row in drawn if name == "a"] == [4, 3, 2, 1, 0] * 2
    assert [row for name, row in drawn if name == "b"][:5] == shuffled(1, "b", 5, 0).tolist()


def test_repetition_is_refused_beyond_what_is_allowed() -> None:
    phases = (Phase(0, {"a": 0.5, "b": 0.5}),)
    Mixture(phases, {"a": 10, "b": 5}, 20, 0, max_epochs={"b": 2})
    with pytest.raises(ValueError, match=r"b: 4 epochs, 2 allowed; lower the share"):
        Mixture(phases, {"a": 10, "b": 5}, 40, 0, max_epochs={"b": 2})


@pytest.mark.parametrize("starts", [[], [1], [0, 4, 4], [0, 5, 2]])
def test_phases_out_of_order_are_refused(starts: list[int]) -> None:
    with pytest.raises(ValueError, match="phases must start at row 0"):
        Mixture([Phase(start, {"a": 1.0}) for start in starts], {"a": 3}, 10, 0)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.curriculum import ASCENDING, DESCENDING, KINDS, ORIGINAL, RANDOM, SCORED, Order, load_scores
from trainer.mixture import Mixture, Phase

finite = st.floats(allow_nan=False, allow_infinity=False)


def order(kind: str, scores: Any) -> Order:
    return Order(kind, "web", np.asarray(scores, float) if kind in SCORED else None)


@given(st.lists(finite, min_size=1, max_size=40), st.integers(0, 5), st.integers(0, 9), st.sampled_from(KINDS))
def test_every_order_goes_through_every_row_once_and_is_a_pure_function(
    scores: list[float], epoch: int, seed: int, kind: str
) -> None:
    found = order(kind, scores).positions(len(scores), epoch, seed)
    assert sorted(found.tolist()) == list(range(len(scores)))
    assert found.dtype == np.int64
    assert np.array_equal(found, order(kind, scores).positions(len(scores), epoch, seed))


@given(st.lists(st.one_of(finite, st.sampled_from([-0.0, 0.0, 1.0])), min_size=1, max_size=40))
def test_scores_are_sorted_and_ties_lie_as_before_in_both_directions(scores: list[float]) -> None:
    rows = range(len(scores))
    up = order(ASCENDING, scores).positions(len(scores), 3, 1)
    down = order(DESCENDING, scores).positions(len(scores), 3, 1)
    assert up.tolist() == sorted(rows, key=lambda row: (scores[row], row))
    assert down.tolist() == sorted(rows, key=lambda row: (-scores[row], row))


def test_random_is_the_order_that_a_mixture_uses_by_itself() -> None:
    stream = Mixture((Phase(0, {"web": 1.0}),), {"web": 13}, 39, 5)
    drawn = [stream.at(position)[1] for position in range(39)]
    assert drawn == [row for epoch in range(3) for row in order(RANDOM, None).positions(13, epoch, 5)]
    assert drawn[:13] != drawn[13:26]


def test_orders_compose_with_a_mixture() -> None:
    scores = np.array([3.0, 1.0, 2.0, 1.0])
    easy = Order(ASCENDING, "web", scores)
    stream = Mixture(
        (Phase(0, {"web": 0.5, "code": 0.5}),),
        {"web": 4, "code": 9},
        16,
        0,
        orders={"web": lambda epoch: easy.positions(4, epoch, 0)},
    )
    drawn = [row for name, row in map(stream.at, range(16)) if name == "web"]
    assert drawn == [1, 3, 2, 0, 1, 3, 2, 0]


def test_original_is_how_the_rows_lie_or_how_an_earlier_run_read_them() -> None:
    assert Order(ORIGINAL, "web").positions(5, 2, 7).tolist() == [0, 1, 2, 3, 4]
    base = Order(RANDOM, "general")
    again = Order(ORIGINAL, "replayed", read_by=(7, "general"))
    for epoch in range(3):
        assert np.array_equal(again.positions(20, epoch, 99), base.positions(20, epoch, 7))


def test_sources_and_seeds_are_permuted_differently() -> None:
    found = {
        tuple(Order(RANDOM, name).positions(30, epoch, seed))
        for name in ("web", "code")
        for epoch in range(2)
        for seed in range(2)
    }
    assert len(found) == 8


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sideways", "web"), "expected one of shuffled, original, ascending, descending, got 'sideways'"),
        ((ASCENDING, "web"), "order of web: scores: ascending needs them, got none"),
        ((RANDOM, "web", np.ones(3)), "scores: shuffled has no use for them, got some"),
        ((RANDOM, "web", None, (3, "web")), "read_by: shuffled has no use for it"),
        ((DESCENDING, "web", None, (3, "web")), "scores: .*; read_by: "),
        ((ASCENDING, "web", np.array([1.0, np.nan, np.inf])), r"got 2 that are not \(row 1: nan, row 2: inf\)"),
        ((ASCENDING, "web", np.ones((2, 2))), r"got shape \(2, 2\)"),
        ((ASCENDING, "web", np.array(["a", "b"])), "expected numbers, got <U1"),
    ],
)
def test_unusable_orders_are_refused(arguments: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Order(*arguments)


def test_another_number_of_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"order of web: expected one score for each of 4 rows, got shape \(3,\)"):
        Order(ASCENDING, "web", np.ones(3)).positions(4, 0, 0)


def test_scores_of_an_order_cannot_change_under_it() -> None:
    mine = np.array([2.0, 1.0])
    kept = Order(ASCENDING, "web", mine)
    mine[:] = mine[::-1]
    assert kept.positions(2, 0, 0).tolist() == [1, 0]
    assert kept.scores is not None
    with pytest.raises(ValueError, match="read-only"):
        kept.scores[0] = 5


def test_score_files_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "scores.npy"
    np.save(path, np.array([2.5, 1.5], np.float32))
    assert load_scores(path, 2).tolist() == [2.5, 1.5]
    with pytest.raises(ValueError, match=r"scores\.npy: expected one score for each of 3 rows"):
        load_scores(path, 3)
    np.save(path, np.array([2.5, np.nan]))
    with pytest.raises(ValueError, match=r"scores\.npy: expected finite scores, got 1 that are not \(row 1: nan\)"):
        load_scores(path, 2)
    path.write_text("2.5\n1.5\n", "utf-8")
    with pytest.raises(ValueError, match=r"scores\.npy: expected a \.npy file of scores"):
        load_scores(path, 2)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected a \.npy file of scores"):
        load_scores(path, 2)
    with path.open("wb") as file:
        np.savez(file, np.ones(2))
    with pytest.raises(ValueError, match="archive"):
        load_scores(path, 2)

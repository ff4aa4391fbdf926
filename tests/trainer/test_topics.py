from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.chairman import RESOLUTION, exact_shares
from trainer.topics import NORMALISE, TopicController, TopicOptions, replay

NAMES = "abcdefgh"
normalisations = pytest.mark.parametrize("normalise", NORMALISE)


def even(topics: str = "abc", **changes: Any) -> TopicOptions:
    settings: dict[str, Any] = {
        "shares": dict.fromkeys(topics, Fraction(1, len(topics))),
        "alpha": 0.3,
        "normalise": "maxabs",
        "weights": dict.fromkeys(topics, 1.0),
        "interval_tokens": 1000,
    }
    return TopicOptions(**settings | changes)


def run(options: TopicOptions, *measured: dict[str, float]) -> TopicController:
    controller = TopicController(options)
    for perplexities in measured:
        controller.update(perplexities)
    return controller


@st.composite
def studies(draw: st.DrawFn) -> tuple[TopicOptions, list[dict[str, float]]]:
    """A controller whose factors stay positive, and perplexities of three measurements."""
    topics = NAMES[: draw(st.integers(2, 8))]
    parts = [draw(st.integers(1, 50)) for _ in topics]
    normalise = draw(st.sampled_from(sorted(NORMALISE)))
    # The least delta: -1 of maxabs, above -1 of relative, at least -sqrt(k - 1) of z scores.
    bound = 1 / math.sqrt(len(topics) - 1) if normalise == "zscore" else 1.0
    options = TopicOptions(
        shares={topic: Fraction(part, sum(parts)) for topic, part in zip(topics, parts, strict=True)},
        alpha=draw(st.floats(0.01, 0.98)) * bound,
        normalise=normalise,
        weights={topic: draw(st.floats(0, 1)) for topic in topics},
        interval_tokens=draw(st.integers(1, 10**9)),
    )
    values = st.floats(1.0, 1e4)
    return options, [{topic: draw(values) for topic in topics} for _ in range(3)]


@given(studies())
def test_shares_stay_exact_positive_and_acceptable_to_a_mixture(study: Any) -> None:
    options, measured = study
    controller = run(options, *measured)
    for entry in controller.log:
        assert sum(entry.after.values()) == 1
        assert all(share >= Fraction(1, RESOLUTION) for share in entry.after.values())
        assert all(share.denominator <= RESOLUTION for share in entry.after.values())
        assert exact_shares({topic: float(share) for topic, share in entry.after.items()}) == entry.after
    assert controller.shares == controller.log[-1].after
    assert [entry.tokens for entry in controller.log] == [0, options.interval_tokens, 2 * options.interval_tokens]
    assert controller.next_tokens == 3 * options.interval_tokens
    assert all(first.after == second.before for first, second in pairwise(controller.log))


@given(studies())
def test_an_update_is_the_published_formula_to_the_rounding(study: Any) -> None:
    options, measured = study
    for first, entry in pairwise(run(options, *measured).log):
        for topic, factor in entry.factors.items():
            assert factor == 1 + options.alpha * (entry.deltas[topic] * options.weights[topic])
        total = sum(first.after[t] * Fraction(f) for t, f in entry.factors.items())
        for topic, share in entry.after.items():
            exact = first.after[topic] * Fraction(entry.factors[topic]) / total
            # Two millionths a topic: one of the rounding, one of those that are kept from zero.
            assert abs(share - exact) <= Fraction(len(measured[0]) + 1, RESOLUTION)


@given(studies())
def test_of_two_equally_weighted_topics_the_worse_one_gains_on_the_other(study: Any) -> None:
    options, measured = study
    options = replace(options, weights=dict.fromkeys(options.weights, 1.0))
    step = Fraction(1, RESOLUTION)
    for entry in run(options, *measured).log[1:]:
        for a, delta in entry.deltas.items():
            for b, other in entry.deltas.items():
                if delta >= other:
                    assert (entry.after[a] + step) * entry.before[b] >= (entry.after[b] - step) * entry.before[a]


@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_topics_does_not_matter(study: Any, random: Any) -> None:
    options, measured = study
    order = list(options.shares)
    random.shuffle(order)

    def turned(values: Any) -> Any:
        return {topic: values[topic] for topic in order}

    other = replace(options, shares=turned(options.shares), weights=turned(options.weights))
    assert run(other, *map(turned, measured)).log == run(options, *measured).log


@given(studies())
def test_nothing_changes_where_nothing_changed(study: Any) -> None:
    options, (first, *_) = study
    controller = run(options, first, first, first)
    assert controller.shares == exact_shares(dict(options.shares))
    assert all(set(entry.factors.values()) == {1.0} for entry in controller.log)


@given(studies())
def test_a_log_replays_and_survives_json_whatever_the_order_of_its_keys(study: Any) -> None:
    options, measured = study
    controller = run(options, *measured)
    assert replay(options, controller.log) == controller.shares
    again = TopicController.from_json(json.loads(json.dumps(controller.to_json(), sort_keys=True, allow_nan=False)))
    assert again.log == controller.log
    last = {topic: value + 1 for topic, value in measured[-1].items()}
    assert again.update(last) == controller.update(last)


changes = st.lists(st.tuples(st.floats(1, 1e3), st.floats(1, 1e3)), min_size=2, max_size=8)


@given(changes, st.floats(0.1, 50))
@pytest.mark.parametrize("normalise", NORMALISE)
def test_no_normalisation_sees_the_unit_of_perplexity(
    normalise: str, pairs: list[tuple[float, float]], scale: float
) -> None:
    before, after = map(list, zip(*pairs, strict=True))
    deltas = NORMALISE[normalise](before, after)
    scaled = NORMALISE[normalise]([scale * p for p in before], [scale * p for p in after])
    spread = max(abs(b - a) for a, b in pairs)
    if spread > 1e-6:  # smaller changes drown in the rounding of the scaled perplexities
        assert scaled == pytest.approx(deltas, abs=1e-5)


def test_maxabs_and_zscore_have_a_fixed_size_and_relative_shrinks_with_the_change() -> None:
    before = [10.0, 20.0, 30.0]
    for size in (1.0, 0.01):
        after = [10.0 + size, 20.0, 30.0 - 2 * size]
        assert NORMALISE["maxabs"](before, after) == pytest.approx([0.5, 0, -1])
        assert NORMALISE["relative"](before, after) == pytest.approx([size / 10, 0, -2 * size / 30])
        z = NORMALISE["zscore"](before, after)
        assert math.fsum(z) == pytest.approx(0, abs=1e-9)
        assert math.fsum(d * d for d in z) == pytest.approx(3)
    assert NORMALISE["relative"]([10.0, 2000.0], [11.0, 2200.0]) == pytest.approx([0.1, 0.1])
    assert NORMALISE["zscore"](before, [p + 0.7 for p in before]) == [0, 0, 0]
    assert NORMALISE["maxabs"](before, [p + 0.7 for p in before]) == pytest.approx([1, 1, 1])


@normalisations
def test_figure_one_of_the_paper(normalise: str) -> None:
    """Only the directions are published: 1.26 to 1.32 up, 1.82 to 1.45 down, 1.54 to 1.60 up."""
    options = even(normalise=normalise)
    controller = run(options, {"a": 1.26, "b": 1.82, "c": 1.54}, {"a": 1.32, "b": 1.45, "c": 1.60})
    assert controller.log[0].after == dict.fromkeys("abc", Fraction(1, 3))
    assert controller.shares["a"] > Fraction(1, 3)
    assert controller.shares["b"] < Fraction(1, 3)
    assert controller.shares["c"] > Fraction(1, 3)


def test_maxabs_by_hand() -> None:
    controller = run(even("ab", alpha=0.5), {"a": 2, "b": 3}, {"a": 2.5, "b": 2})
    assert controller.log[1].factors == {"a": 1.25, "b": 0.5}
    # 1.25 / 1.75 and 0.5 / 1.75, to millionths
    assert controller.shares == {"a": Fraction(714_286, 10**6), "b": Fraction(285_714, 10**6)}


def test_floor_and_ceiling_hold_and_the_rest_keeps_its_ratios() -> None:
    options = even("abcd", alpha=0.9, floor=0.2, ceiling=0.3)
    controller = run(options, dict.fromkeys("abcd", 5.0), {"a": 6.0, "b": 4.0, "c": 5.1, "d": 5.0})
    assert controller.shares["a"] == Fraction(3, 10)
    assert controller.shares["b"] == Fraction(1, 5)
    assert float(controller.shares["c"] / controller.shares["d"]) == pytest.approx(1.09, abs=1e-4)
    assert sum(controller.shares.values()) == 1


def test_a_topic_never_dies_out() -> None:
    controller = run(even("ab", alpha=0.999), *({"a": 2.0 + i, "b": 30.0 - i} for i in range(25)))
    assert controller.shares["b"] == Fraction(1, RESOLUTION)
    controller.update({"a": 25.0, "b": 7.0})
    controller.update({"a": 20.0, "b": 8.0})
    assert controller.shares["b"] > Fraction(1, RESOLUTION)


def test_too_large_an_alpha_is_refused_with_the_largest_allowed_and_nothing_is_changed() -> None:
    options = even("ab", alpha=4.0, weights={"a": 1.0, "b": 0.5})
    controller = run(options, {"a": 5.0, "b": 5.0})
    before = list(controller.log)
    with pytest.raises(ValueError, match=r"b: -1 with alpha 4; these perplexities allow an alpha below 2$"):
        controller.update({"a": 5.5, "b": 4.0})
    assert controller.log == before
    with pytest.raises(ValueError, match="b: 0 with alpha 2"):
        run(replace(options, alpha=2.0), {"a": 5.0, "b": 5.0}, {"a": 5.5, "b": 4.0})
    run(replace(options, alpha=1.999), {"a": 5.0, "b": 5.0}, {"a": 5.5, "b": 4.0})


@pytest.mark.parametrize(
    ("perplexities", "told"),
    [
        ({"a": float("nan"), "b": float("inf"), "c": 2.0}, "a: expected a perplexity.*got nan; .*b: .*got inf"),
        ({"a": 0.7, "b": 2.0, "c": 2.0}, "a: expected a perplexity, from 1 .*got 0.7"),
        ({"a": "2", "b": 2.0, "c": 2.0}, "got '2'"),
        ({"a": 2.0, "c": 2.0, "d": 2.0}, "nothing for topic 'b'; perplexities: no topic is called 'd'"),
    ],
)
def test_unusable_perplexities_are_refused_by_topic(perplexities: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TopicController(even()).update(perplexities)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"alpha": 0}, "alpha: expected a positive number, got 0"),
        ({"alpha": float("inf")}, "alpha: .*inf"),
        ({"normalise": "softmax"}, "expected one of maxabs, relative, zscore, got 'softmax'"),
        ({"weights": {"a": 1.0, "b": -1.0, "d": 1.0}}, "nothing for topic 'c'.*no topic is called 'd'.*b: .*-1"),
        ({"interval_tokens": 1.5}, "interval_tokens: expected a whole number, got 1.5"),
        ({"interval_tokens": 0}, "interval_tokens: expected at least 1, got 0"),
        ({"floor": 0}, "floor: expected 0.000001 to 1"),
        ({"ceiling": 1.1}, "ceiling: expected 0.000001 to 1"),
        ({"floor": 0.4}, "shares: a: expected 2/5 to 1 .*got 1/3"),
        ({"shares": {"a": 0.5, "b": 0.5, "c": 0.0}}, "c: expected 1/1000000 to 1 .*got 0"),
        ({"shares": {"a": 0.5, "b": 0.4, "c": 0.0}}, "must sum to 1"),
        ({"shares": {"a": 1.0}, "weights": {"a": 1.0}}, "at least two topics"),
        ({"alpha": -1, "floor": 2}, "alpha: .*; floor: "),
    ],
)
def test_unusable_settings_are_refused_by_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        even(**changes)


def test_a_changed_log_is_found() -> None:
    controller = run(even(), {"a": 2, "b": 3, "c": 4}, {"a": 2.5, "b": 3, "c": 4})
    entry = replace(controller.log[1], after=dict.fromkeys("abc", Fraction(1, 3)))
    with pytest.raises(ValueError, match=r"entry 1 of the log \(token 1000\) differs in after"):
        replay(controller.options, [controller.log[0], entry])
    with pytest.raises(ValueError, match=r"entry 1 .*differs in tokens"):
        replay(replace(controller.options, interval_tokens=7), controller.log)
    assert replay(controller.options, []) == controller.options.start
    value = controller.to_json()
    value["log"][1]["factors"]["a"] = 1.0
    with pytest.raises(ValueError, match="differs in factors"):
        TopicController.from_json(value)


@pytest.mark.parametrize("spoil", ["missing", "unknown", "share"])
def test_json_that_is_not_a_controller_is_refused(spoil: str) -> None:
    value = run(even(), {"a": 2, "b": 3, "c": 4}).to_json()
    if spoil == "missing":
        del value["options"]["alpha"]
    elif spoil == "unknown":
        value["log"][0]["mood"] = 1
    else:
        value["options"]["floor"] = "1/0"
    with pytest.raises(ValueError, match="topics: expected"):
        TopicController.from_json(value)


def test_shares_handed_out_are_copies() -> None:
    controller = run(even(), {"a": 2, "b": 3, "c": 4})
    controller.shares["a"] = Fraction(1)
    controller.to_json()["log"][0]["perplexities"]["a"] = 9.0
    assert replay(controller.options, controller.log) == controller.shares

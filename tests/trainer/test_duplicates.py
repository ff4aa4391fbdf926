from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.duplicates import MISSED, VIEWS, View, near_duplicates, similarity

WORDS = [
    f"{a}{b}" for a in ("ka", "lo", "mi", "ne", "pu", "ra", "so", "ti") for b in ("bal", "den", "fur", "gom", "vix")
]


def document(draw: random.Random, length: int) -> str:
    return " ".join(draw.choices(WORDS, k=length))


def edited(draw: random.Random, text: str, count: int) -> str:
    """The text with so many words replaced, anywhere."""
    words = text.split()
    for place in draw.sample(range(len(words)), count):
        words[place] = "replaced"
    return " ".join(words)


def brute_force(documents: list[str], held_out: list[str]) -> set[int]:
    found = set()
    for view in VIEWS:
        kept = [view.shingles(text) for text in held_out]
        for i, text in enumerate(documents):
            shingles = view.shingles(text)
            if any(similarity(shingles, other) >= view.threshold for other in kept):
                found.add(i)
    return found


@settings(deadline=None, max_examples=60, derandomize=True)  # a pair near the threshold may be overlooked, by design
@given(st.integers(0, 2**32), st.integers(15, 400))
def test_a_copy_with_one_word_in_twenty_replaced_is_found_and_no_other(seed: int, length: int) -> None:
    draw = random.Random(seed)
    held_out = [document(draw, draw.randint(15, 400)) for _ in range(5)] + [document(draw, length)]
    copy = edited(draw, held_out[-1], length // 20)
    unrelated = [document(draw, draw.randint(15, 400)) for _ in range(5)]
    assert near_duplicates([*unrelated, copy], held_out) == {5}
    assert near_duplicates([*unrelated, copy], held_out[:-1]) == set()


@pytest.mark.parametrize("seed", range(3))
def test_what_is_found_is_what_comparing_all_pairs_finds(seed: int) -> None:
    # Copies from untouched to beyond recognition, so that many pairs lie near the threshold, on both of its sides.
    # A pair at the threshold is overlooked with chance MISSED, these few hundred with less than one in a hundred;
    # the hash functions are fixed, so that a seed that passes always passes.
    draw = random.Random(seed)
    held_out = [document(draw, draw.randint(1, 120)) for _ in range(80)]
    documents = [edited(draw, text, int(len(text.split()) * draw.uniform(0, 0.15))) for text in held_out * 3]
    expected = brute_force(documents, held_out)
    assert 60 < len(expected) < 230
    assert near_duplicates(documents, held_out) == expected
    left = [text for i, text in enumerate(documents) if i not in expected]
    assert not brute_force(left, held_out)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=60), max_size=6), st.lists(st.text(max_size=60), max_size=6))
def test_nothing_is_dropped_that_is_not_similar(documents: list[str], held_out: list[str]) -> None:
    assert near_duplicates(documents, held_out) <= brute_force(documents, held_out)
    assert near_duplicates(documents, documents) >= {i for i, text in enumerate(documents) if text.strip()}


def test_the_answer_does_not_depend_on_the_order() -> None:
    draw = random.Random(5)
    held_out = [document(draw, 60) for _ in range(40)]
    documents = [edited(draw, text, i % 12) for i, text in enumerate(held_out)]
    found = {documents[i] for i in near_duplicates(documents, held_out)}
    assert 0 < len(found) < len(documents)
    draw.shuffle(held_out)
    draw.shuffle(documents)
    assert {documents[i] for i in near_duplicates(documents, held_out)} == found


def test_copies_that_differ_in_case_marks_and_spacing_only_are_found() -> None:
    text = "The quick brown fox, and then 20 lazy dogs; over the hill they went (all of them), never to return."
    other = "  the QUICK brown\tfox and then 20 lazy dogs\n\nover the hill they went all of them never to return!"
    assert near_duplicates([other, other[: len(other) // 2]], [text]) == {0}


def test_text_without_spaces_is_compared_by_its_signs() -> None:
    text = "西經十八度線是本初子午線向西的經線由北極點起穿過北冰洋格陵蘭冰島大西洋加那利群島南冰洋以及南極洲直到南極點"
    copy = text.replace("冰島", "冰嶋")
    assert near_duplicates([copy, text[::-1]], [text]) == {0}


@pytest.mark.parametrize("length", [13, 14, 15, 28, 29, 30, 31])
def test_pairs_on_either_side_of_a_limit_of_length_are_compared(length: int) -> None:
    text = document(random.Random(length), length)
    assert near_duplicates([f"{text} more", text], [text]) == {0, 1}
    assert near_duplicates([text], [f"{text} more"]) == {0}


def test_short_texts_that_differ_in_more_than_a_word_stay() -> None:
    held_out = ["What is 17 times 23?", "The capital of France is Paris."]
    others = ["What is the capital of Peru?", "The capital of Norway is Oslo.", "", "?"]
    assert near_duplicates([*others, "the capital of france is paris"], held_out) == {4}


def test_a_long_document_needs_little_memory_and_is_found() -> None:
    draw = random.Random(11)
    text = " ".join(str(draw.randrange(10**6)) for _ in range(30_000))
    assert near_duplicates([edited(draw, text, 1500), document(draw, 3000)], [text]) == {0}


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.8, 0.95])
def test_bands_keep_the_promise_of_what_is_overlooked(threshold: float) -> None:
    bands, rows = replace(VIEWS[0], threshold=threshold).bands
    assert (1 - threshold**rows) ** bands <= MISSED
    assert bands * rows <= 192


def test_unusable_views_name_every_fault() -> None:
    with pytest.raises(ValueError, match=r"unit must be .* 'lines'; size must be .* 0; threshold must be .* 0\.99"):
        View("lines", 0, 0, None, 0.99)

"""A last phase: the memory law where there is none, and what its tokens count where there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.laws import LAWS, Point
from bayescpt.laws.base import Theta
from bayescpt.laws.phased import recent

if TYPE_CHECKING:
    from conftest import Subject

LAW = LAWS["phased"]
LOSS, PLAIN = jax.jit(LAW.loss), jax.jit(LAWS["memory"].loss)
BASE, USUAL = 3.0, 3.1
parts, factors = st.floats(0, 1), st.floats(0.05, 50)


@given(parts, factors)
def test_the_weight_lies_within_and_is_the_part_itself_where_all_tokens_count_alike(part: float, factor: float) -> None:
    assert recent(part, 1.0) == pytest.approx(part, abs=1e-12)
    weight = float(recent(part, factor))
    assert 0 <= weight <= 1
    assert (weight - part) * (factor - 1) >= -1e-12


def test_values_of_the_weight() -> None:
    # by hand: a fifth that counts four times is half of what is remembered; 1 token in 1000 counts as 3
    assert recent(0.2, 4.0) == pytest.approx(0.5, rel=1e-12)
    assert recent(1e-3, 3.0) == pytest.approx(3e-3, rel=3e-3)
    assert (recent(0.0, 3.0), recent(1.0, 3.0)) == (0, 1)


def at(theta: Theta, subject: Subject, before: float, late: float, part: float, tokens: float = 2.0) -> float:
    """The loss of a run with these shares of the own corpus, after ``tokens`` times the reference tokens."""
    reference = subject.reference
    share = (1 - part) * before + part * late
    places = (reference.size, tokens * reference.tokens, share, BASE, subject.base_share, USUAL)
    point = Point(*map(jnp.asarray, places))
    return float(LOSS(theta, point._replace(given={"phase_part": jnp.asarray(part), "phase_share": jnp.asarray(late)})))


def plain(theta: Theta, subject: Subject, share: float, tokens: float = 2.0) -> float:
    reference = subject.reference
    places = (reference.size, tokens * reference.tokens, share, BASE, subject.base_share, USUAL)
    return float(PLAIN(theta, Point(*map(jnp.asarray, places))))


def thetas(subject: Subject, count: int = 5) -> list[Theta]:
    natural = subject.natural(subject.coordinates(count))
    return [{name: jnp.asarray(values[i]) for name, values in natural.items()} for i in range(count)]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_with_one_share_it_is_the_memory_law(phased_subject: Subject, share: float) -> None:
    for theta in thetas(phased_subject):
        expected = plain(theta, phased_subject, share)
        assert at(theta, phased_subject, share, share, 0.3) == pytest.approx(expected, rel=1e-12)
        assert at(theta, phased_subject, share, 0.7, 0.0) == pytest.approx(expected, rel=1e-12)


def test_a_phase_of_almost_the_whole_run_is_the_run(phased_subject: Subject) -> None:
    for theta in thetas(phased_subject):
        expected = plain(theta, phased_subject, 0.6)
        assert at(theta, phased_subject, 0.1, 0.6, 1 - 1e-9) == pytest.approx(expected, rel=1e-6)


def test_more_of_the_own_corpus_in_either_phase_never_raises_the_loss(phased_subject: Subject) -> None:
    shares = np.linspace(0, 1, 9)
    for theta in thetas(phased_subject):
        for fixed in (0.0, 0.4, 1.0):
            early = [at(theta, phased_subject, share, fixed, 0.2) for share in shares]
            late = [at(theta, phased_subject, fixed, share, 0.2) for share in shares]
            assert (np.diff(early) <= 1e-12).all()
            assert (np.diff(late) <= 1e-12).all()


def test_what_comes_last_counts_for_more_the_larger_r(phased_subject: Subject) -> None:
    # the same text in the other order: all of the own corpus at the end, or at the beginning
    for theta in thetas(phased_subject):
        gaps = []
        for factor in (1.0, 3.0, 9.0):
            changed = {**theta, "R": jnp.asarray(factor)}
            gaps.append(at(changed, phased_subject, 0.9, 0.1, 0.5) - at(changed, phased_subject, 0.1, 0.9, 0.5))
        assert gaps[0] == pytest.approx(0, abs=1e-9)
        assert 0 < gaps[1] < gaps[2]

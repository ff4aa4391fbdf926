"""Effective tokens in their limits, and the memory law with repetition against the memory law."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.laws import LAWS, Point
from bayescpt.laws.base import Theta
from bayescpt.laws.repetition import effective_epochs, effective_tokens, part_that_counts, wasted_epochs

if TYPE_CHECKING:
    from conftest import Subject

LAW, MEMORY = LAWS["repeated"], LAWS["memory"]
LOSS, PLAIN = jax.jit(LAW.loss), jax.jit(MEMORY.loss)
BASE, USUAL = 3.0, 3.1

worths = st.floats(0.05, 100.0)


@given(st.floats(0, 1), st.floats(1e-3, 1e3), worths)
def test_up_to_one_epoch_all_tokens_count(epochs: float, unique: float, worth: float) -> None:
    assert effective_tokens(epochs * unique, unique, worth) == pytest.approx(epochs * unique, rel=1e-12)
    assert part_that_counts(jnp.asarray(epochs), jnp.asarray(worth)) == 1
    assert wasted_epochs(epochs, worth) == 0


@given(st.floats(1, 1e3), worths)
def test_repeated_tokens_count_for_less_and_for_no_more_than_r_star_epochs(epochs: float, worth: float) -> None:
    counted = float(effective_epochs(epochs, worth))
    assert counted <= epochs
    assert counted <= (1 + worth) * (1 + 1e-12)
    assert counted >= 1 - 1e-12
    assert effective_epochs(epochs + 1, worth) >= counted
    assert counted + wasted_epochs(epochs, worth) == pytest.approx(epochs, rel=1e-12)


def test_values_of_the_formula_and_its_limit() -> None:
    # 2305.16264: D' = U + U R* (1 - exp(-(k - 1)/R*)), by hand for 4 epochs of 100 tokens
    assert effective_tokens(400.0, 100.0, 15.4) == pytest.approx(100 + 1540 * (1 - np.exp(-3 / 15.4)), rel=1e-12)
    assert effective_tokens(1e9, 100.0, 15.4) == pytest.approx(100 * 16.4, rel=1e-12)
    assert wasted_epochs(1.01, 2.0) == pytest.approx(0.01**2 / 4, rel=2e-3)


@pytest.mark.parametrize("worth", [0.3, 15.4])
def test_the_slope_is_continuous_at_one_epoch(worth: float) -> None:
    slope = jax.grad(effective_epochs)
    before, after = (float(slope(1.0 + step, worth)) for step in (-1e-9, 1e-9))
    assert before == 1
    assert after == pytest.approx(1, abs=1e-7)


def at(
    theta: Theta, subject: Subject, epochs: float, share: float, tokens: float = 3.0, law: str = "repeated"
) -> float:
    """The loss at the reference size and after ``tokens`` times the reference tokens."""
    reference = subject.reference
    places = (reference.size, tokens * reference.tokens, share, BASE, subject.base_share, USUAL)
    point = Point(*map(jnp.asarray, places))
    if law == "memory":
        return float(PLAIN(theta, point))
    return float(LOSS(theta, point._replace(given={"domain_epochs": jnp.asarray(epochs)})))


def thetas(subject: Subject, count: int = 5) -> list[Theta]:
    natural = subject.natural(subject.coordinates(count))
    return [{name: jnp.asarray(values[i]) for name, values in natural.items()} for i in range(count)]


@pytest.mark.parametrize("epochs", [0.0, 0.4, 1.0])
def test_up_to_one_epoch_it_is_the_memory_law(repeated_subject: Subject, epochs: float) -> None:
    for theta in thetas(repeated_subject):
        for share in (0.0, 0.1, 0.6, 1.0):
            plain = at(theta, repeated_subject, epochs, share, law="memory")
            assert at(theta, repeated_subject, epochs, share) == pytest.approx(plain, rel=1e-14)


def test_its_coordinates_are_the_memory_law_s_and_three_more(repeated_subject: Subject) -> None:
    coordinates = repeated_subject.coordinates(3)
    mine = repeated_subject.natural(coordinates)
    plain = replace(repeated_subject, law=MEMORY).natural(coordinates[:, :-3])
    assert set(mine) - set(plain) == {"R", "W", "p"}
    for name, values in plain.items():
        np.testing.assert_allclose(mine[name], values, rtol=1e-12)
    np.testing.assert_allclose(np.log([mine[name] for name in ("R", "W", "p")]).T, coordinates[:, -3:], rtol=1e-12)


def test_losses_rise_with_epochs_except_where_the_general_corpus_is_all(repeated_subject: Subject) -> None:
    epochs = (1.0, 2.0, 4.0, 16.0)
    for theta in thetas(repeated_subject):
        rises = np.array([[at(theta, repeated_subject, k, s) for k in epochs] for s in (0.1, 0.5, 1.0)])
        if repeated_subject.base_share == 0.0:
            assert (np.diff(rises, axis=1) > 0).all()
        else:
            assert (np.diff(rises[:2], axis=1) > 0).all()
            np.testing.assert_allclose(rises[2], rises[2, 0], rtol=1e-14)
            harm = np.log(rises[:, -1] / rises[:, 0])
            assert harm[0] > harm[1] > harm[2] - 1e-14  # replay protects


def test_the_loss_has_no_kink_where_the_second_epoch_begins(repeated_subject: Subject) -> None:
    for theta in thetas(repeated_subject):
        before, here, after = (at(theta, repeated_subject, 1 + step, 0.4) for step in (-1e-5, 0.0, 1e-5))
        assert after - here == pytest.approx(here - before, abs=1e-9)


def test_effective_tokens_alone_only_slow_the_fall(repeated_subject: Subject) -> None:
    if repeated_subject.base_share == 1.0:
        return
    for drawn in thetas(repeated_subject):
        theta = {**drawn, "W": jnp.asarray(0.0)}
        fresh, often = (at(theta, repeated_subject, k, 0.5) for k in (1.0, 16.0))
        none_counts = at({**theta, "G": jnp.asarray(0.0)}, repeated_subject, 16.0, 0.5)
        assert fresh < often < none_counts

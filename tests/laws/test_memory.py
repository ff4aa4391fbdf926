"""Limits of the memory law: a power law far out, nothing gained without own data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import LAWS, Point
from bayescpt.laws.base import Theta

if TYPE_CHECKING:
    from conftest import Subject

LAW = LAWS["memory"]
USUAL = 1.05
"""As in conftest.py."""
LOSS = jax.jit(LAW.loss)
BASE = 3.0


def at(theta: Theta, subject: Subject, tokens: float, share: float) -> float:
    """The loss at the reference size."""
    place = Point(*map(jnp.asarray, (subject.reference.size, tokens, share, BASE, subject.base_share, BASE)))
    return float(LOSS(theta, place))


def thetas(subject: Subject, count: int) -> list[Theta]:
    natural = subject.natural(subject.coordinates(count))
    return [{name: jnp.asarray(values[i]) for name, values in natural.items()} for i in range(count)]


def test_far_out_it_falls_to_its_floor_as_a_power_of_tokens(memory_subject: Subject) -> None:
    # far enough for the terms in 1/D to be small beside the one in D^-beta, near enough for that one to show
    far = 1e8 * memory_subject.reference.tokens
    for drawn in thetas(memory_subject, 5):
        theta = {**drawn, "delta": jnp.asarray(0.0), "beta": jnp.asarray(0.3)}  # the share term is a constant out there
        near, mid, further = (at(theta, memory_subject, factor * far, 0.4) for factor in (1, 100, 10_000))
        assert near > mid > further
        assert np.log((near - mid) / (mid - further)) / np.log(100) == pytest.approx(float(theta["beta"]), rel=0.02)


def test_without_own_data_nothing_is_gained(memory_subject: Subject) -> None:
    tokens = 3 * memory_subject.reference.tokens
    for theta in thetas(memory_subject, 5):
        more = {**theta, "G": 5 * theta["G"], "beta": 2 * theta["beta"]}
        assert at(theta, memory_subject, tokens, 0.0) == at(more, memory_subject, tokens, 0.0)
        assert at(theta, memory_subject, tokens, 0.1) > at(more, memory_subject, tokens, 0.1)


def test_without_replay_rewarming_and_healing_the_general_loss_rises_for_good(memory_subject: Subject) -> None:
    tokens = np.geomspace(1e-3, 1e6, 30) * memory_subject.reference.tokens
    for theta in thetas(memory_subject, 5):
        calm = {**theta, **dict.fromkeys(("rho", "delta"), jnp.asarray(0.0))}
        losses = np.array([at(calm, memory_subject, t, 0.0) for t in tokens])
        if memory_subject.base_share == 1.0:
            assert (np.diff(losses) > 0).all()
        else:
            np.testing.assert_allclose(losses, BASE, rtol=1e-12)


def index(name: str) -> int:
    return [c.name for c in LAW.coordinates].index(name)


def test_the_effect_coordinate_is_that_of_an_even_mix_at_the_reference_point(memory_subject: Subject) -> None:
    coordinates, reference = memory_subject.coordinates(5), memory_subject.reference
    base_share = memory_subject.base_share
    losses = memory_subject.losses(coordinates, reference.size, reference.tokens, np.array([base_share, 0.5]))
    effect = np.abs(np.diff(np.log(losses)))[:, 0]
    np.testing.assert_allclose(np.log(effect), coordinates[:, index("log_effect")], atol=1e-10)


def test_a_domain_never_trained_on_moves_by_the_drift_and_towards_its_usual_loss(memory_subject: Subject) -> None:
    coordinates, reference = memory_subject.coordinates(5), memory_subject.reference
    bases = np.array([1.5, 3.0])
    losses = memory_subject.losses(coordinates, reference.size, 1e6 * reference.tokens, 0.0, bases)
    levelled = jax.nn.sigmoid(coordinates[:, [index("logit_levelling")]]) * np.log(USUAL)
    moved = np.tile(coordinates[:, [index("drift")]] + np.asarray(levelled), 2)
    if memory_subject.base_share == 0.0:
        np.testing.assert_allclose(np.log(losses / bases), moved, atol=1e-4)
    else:
        assert (np.abs(np.log(losses / bases) - moved) > 1e-3).any()


def test_expected_losses_stay_finite_and_positive(memory_subject: Subject) -> None:
    losses = memory_subject.losses(memory_subject.coordinates(200), *memory_subject.grid())
    assert np.isfinite(losses).all()
    assert (losses > 0).all()


def test_losses_stay_finite_where_an_even_mix_has_all_but_healed(memory_subject: Subject) -> None:
    # what heals at an even mix does not at a missing corpus, and by the former the latter is measured
    coordinates = memory_subject.coordinates(50)
    coordinates[:, index("log_healing")] += 5.0
    places = memory_subject.grid()
    losses = memory_subject.losses(coordinates, *places)
    assert np.isfinite(losses).all()
    if memory_subject.target == "general":
        assert losses.max() > 1e12  # it is the bound that keeps them

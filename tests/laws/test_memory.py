"""Limits of the memory law: a power law far out, nothing gained without own data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import LAWS, Point
from bayescpt.laws.base import Theta
from bayescpt.laws.memory import SHARE_FLOOR

if TYPE_CHECKING:
    from conftest import Subject

LAW = LAWS["memory"]
BASE = 3.0


def at(theta: Theta, subject: Subject, tokens: float, share: float) -> float:
    """The loss at the reference size."""
    return float(
        LAW.loss(theta, Point(*map(jnp.asarray, (subject.reference.size, tokens, share, BASE, subject.base_share))))
    )


def thetas(subject: Subject, count: int) -> list[Theta]:
    natural = subject.natural(subject.coordinates(count))
    return [{name: jnp.asarray(values[i]) for name, values in natural.items()} for i in range(count)]


def test_far_out_it_falls_to_its_floor_as_a_power_of_tokens(memory_subject: Subject) -> None:
    # far enough for the terms in 1/D to be small beside the one in D^-beta, near enough for that to show against the floor
    share, far = 0.4, 1e10 * memory_subject.reference.tokens
    for theta in thetas(memory_subject, 5):
        held = share ** theta["q"]
        log_share = jnp.log((held + SHARE_FLOOR) / (memory_subject.base_share + SHARE_FLOOR))
        floor = float(BASE + theta["R"] - theta["C"] * log_share - theta["G"])
        near, further = (at(theta, memory_subject, tokens, share) - floor for tokens in (far, 100 * far))
        assert near > further > 0
        assert np.log(near / further) / np.log(100) == pytest.approx(float(theta["beta"]), rel=1e-2)


def test_without_own_data_nothing_is_gained(memory_subject: Subject) -> None:
    tokens = 3 * memory_subject.reference.tokens
    for theta in thetas(memory_subject, 5):
        more = {**theta, "G": 5 * theta["G"], "beta": 2 * theta["beta"]}
        assert at(theta, memory_subject, tokens, 0.0) == at(more, memory_subject, tokens, 0.0)
        assert at(theta, memory_subject, tokens, 0.1) > at(more, memory_subject, tokens, 0.1)


def test_without_replay_and_rewarming_the_general_loss_rises_for_good(memory_subject: Subject) -> None:
    tokens = np.geomspace(1e-3, 1e6, 30) * memory_subject.reference.tokens
    for theta in thetas(memory_subject, 5):
        calm = {**theta, "R": jnp.asarray(0.0)}
        losses = np.array([at(calm, memory_subject, t, 0.0) for t in tokens])
        if memory_subject.base_share == 1.0:
            assert (np.diff(losses) > 0).all()
        else:
            np.testing.assert_allclose(losses, BASE, rtol=1e-12)


def test_the_change_coordinate_is_the_change_at_the_reference_point(memory_subject: Subject) -> None:
    coordinates = memory_subject.coordinates(5)
    change = [c.name for c in LAW.coordinates].index("change")
    losses = memory_subject.losses(
        coordinates, memory_subject.reference.size, memory_subject.reference.tokens, 0.5, BASE
    )
    np.testing.assert_allclose(losses[:, 0] - BASE, coordinates[:, change], atol=1e-10)

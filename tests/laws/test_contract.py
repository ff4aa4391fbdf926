"""What every law promises, at draws of its prior and far from the reference. Nothing here knows a particular law."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import Point

USUAL = 1.05
"""As in conftest.py."""

if TYPE_CHECKING:
    from conftest import Subject

DRAWS = 400


def test_value_and_gradient_are_finite_everywhere(subject: Subject) -> None:
    value, gradient = subject.gradients(subject.coordinates(DRAWS), *subject.grid())
    assert np.isfinite(value).all()
    for name, derivative in gradient._asdict().items():
        assert np.isfinite(derivative).all(), name


def test_more_of_its_own_data_never_raises_a_loss(subject: Subject) -> None:
    _, gradient = subject.gradients(subject.coordinates(DRAWS), *subject.grid())
    assert gradient.share.max() <= 1e-9  # nats per unit of share; rounding, where the constraint of D-CPT binds


def test_the_loss_really_falls_in_the_share(subject: Subject) -> None:
    reference, coordinates = subject.reference, subject.coordinates(DRAWS)
    losses = subject.losses(coordinates, reference.size, reference.tokens, np.linspace(0, 1, 9))
    assert (np.diff(losses, axis=1) < 0).all()


def test_gradient_agrees_with_finite_differences(subject: Subject) -> None:
    reference, coordinates = subject.reference, subject.coordinates(16)
    size, tokens, share = subject.grid((0.5, 20), (reference.tokens / 9, 30 * reference.tokens), (0.05, 0.5, 0.95))
    _, gradient = subject.gradients(coordinates, size, tokens, share)
    step = 1e-5

    def check(above: np.ndarray, below: np.ndarray, derivative: np.ndarray) -> None:
        difference = (above - below) / (2 * step)
        np.testing.assert_allclose(difference, derivative, rtol=1e-5, atol=1e-6)

    for k in range(coordinates.shape[1]):
        shift = step * np.eye(coordinates.shape[1])[k]
        above, below = (subject.losses(coordinates + sign * shift, size, tokens, share) for sign in (1, -1))
        check(above, below, gradient.coordinates[..., k])
    for name, factor in (("size", size), ("tokens", tokens), ("share", share)):
        places = {"size": size, "tokens": tokens, "share": share}
        above, below = (subject.losses(coordinates, **{**places, name: factor * (1 + sign * step)}) for sign in (1, -1))
        check(above, below, getattr(gradient, name) * factor)  # per e-fold of the factor


def test_natural_parameters_are_those_documented_and_finite(subject: Subject) -> None:
    natural = subject.natural(subject.coordinates(DRAWS))
    assert set(natural) == {param.name for param in subject.law.params}
    for name, values in natural.items():
        assert np.isfinite(values).all(), name


def test_every_coordinate_moves_the_loss_somewhere(subject: Subject) -> None:
    _, gradient = subject.gradients(subject.coordinates(20), *subject.grid())
    assert (np.abs(gradient.coordinates).max(axis=(0, 1)) > 1e-6).all()


def test_many_draws_at_once_equal_one_at_a_time(subject: Subject) -> None:
    coordinates = subject.coordinates(3)
    size, tokens, share = subject.grid((1,), None, (0.0, 0.3))
    together = subject.losses(coordinates, size, tokens, share)
    base_share, base_loss = jnp.asarray(subject.base_share), jnp.asarray(3.0)
    for d, draw in enumerate(coordinates):
        theta = subject.law.natural(jnp.asarray(draw), subject.reference, base_share)
        for p in range(len(size)):
            given = subject.given(share[p])
            where = (jnp.asarray(a[p]) for a in (size, tokens, share))
            place = Point(*where, base_loss, base_share, USUAL * base_loss, given)
            assert float(subject.law.loss(theta, place)) == pytest.approx(together[d, p], rel=1e-11)


def test_single_precision_is_good_to_a_thousandth_of_a_nat(subject: Subject) -> None:
    coordinates = subject.coordinates(DRAWS)
    size, tokens, share = subject.grid((0.4, 1, 4), (subject.reference.tokens / 9, 9 * subject.reference.tokens))
    double = subject.losses(coordinates, size, tokens, share)
    assert double.dtype == np.float64
    with jax.enable_x64(False):
        single = subject.losses(coordinates, size, tokens, share)
    assert single.dtype == np.float32
    error = np.abs(single - double)
    assert np.quantile(error, 0.99) < 1e-3
    assert (error < 1e-3 * (10 + np.abs(double))).all()


def test_a_law_with_a_base_starts_at_its_loss(based_subject: Subject) -> None:
    subject = based_subject
    coordinates, base = subject.coordinates(DRAWS), np.array([1.7, 3.0])
    size, share = 5 * subject.reference.size, np.array([[0.0], [0.3], [1.0]])
    at_zero, gradient = subject.gradients(coordinates, size, 0.0, share, base)
    assert (at_zero == np.tile(base, 3)).all()
    np.testing.assert_allclose(gradient.coordinates, 0, atol=1e-12)
    soon = subject.losses(coordinates, size, 1e-9 * subject.reference.tokens, share, base)
    np.testing.assert_allclose(soon, at_zero, atol=1e-5)


def test_a_law_without_a_base_does_not_look_at_one(baseless_subject: Subject) -> None:
    subject = baseless_subject
    coordinates, points = subject.coordinates(20), subject.grid()
    unknown = subject.losses(coordinates, *points, base_loss=np.nan)
    np.testing.assert_array_equal(unknown, subject.losses(coordinates, *points, base_loss=3.0))


def slopes_along_a_run(subject: Subject) -> np.ndarray:
    """dL/dD at an even mix, from the first checkpoint to a hundred times the last: (draw, tokens)."""
    reference = subject.reference
    tokens = np.geomspace(reference.tokens_min, 300 * reference.tokens, 60)
    _, gradient = subject.gradients(subject.coordinates(DRAWS), reference.size, tokens, 0.5)
    return gradient.tokens


def test_a_law_rises_and_turns_exactly_if_it_says_so(subject: Subject) -> None:
    slopes = slopes_along_a_run(subject)
    if not subject.law.can_rise:
        assert slopes.max() <= 0
    elif subject.target == "general":
        risen = (slopes > 0).any(axis=1)
        assert risen.mean() > 0.05
        assert (risen & (slopes[:, -1] < 0)).mean() > 0.05

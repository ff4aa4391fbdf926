"""The program's density: the same in white coordinates, blind to padding, and that of its own simulations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import Point
from bayescpt.model.layout import Rows
from bayescpt.model.whiten import Whitening

if TYPE_CHECKING:
    from conftest import Program

SEEDS = range(4)


def random_whitening(shape: tuple[int, ...], count: int, seed: int) -> Whitening:
    """A whitening that has nothing to do with the posterior; ``count`` coordinates have a population."""
    rng = np.random.default_rng(seed)
    lower = np.tril(0.3 * rng.standard_normal((*shape, shape[-1])), -1)
    diagonal = np.exp(rng.uniform(-2, 2, shape))
    return Whitening(
        jnp.asarray(rng.standard_normal(shape)),
        jnp.asarray(lower + diagonal[..., None] * np.eye(shape[-1])),
        jnp.asarray(rng.standard_normal((shape[0], count))),
        jnp.asarray(rng.standard_normal((*shape, count))),
    )


def no_whitening(shape: tuple[int, ...], count: int) -> Whitening:
    """The map that changes nothing."""
    identity = jnp.broadcast_to(jnp.eye(shape[-1]), (*shape, shape[-1]))
    return Whitening(jnp.zeros(shape), identity, jnp.zeros((shape[0], count)), jnp.zeros((*shape, count)))


@pytest.mark.parametrize("kind", ["identity", "bad"])
def test_whitening_changes_the_coordinates_and_never_the_density(program: Program, kind: str) -> None:
    points = [program.params(seed) for seed in SEEDS]
    shape = points[0]["latent"].shape
    count = len(program.model.law.coordinates)
    whitening = no_whitening(shape, count) if kind == "identity" else random_whitening(shape, count, 3)
    plain = np.array([program.log_density(point) for point in points])
    white = np.array([program.log_density(program.whitened(point, whitening), whitening=whitening) for point in points])
    assert np.isfinite(plain).all()
    assert np.ptp(plain) > 1  # otherwise equal differences would say nothing
    np.testing.assert_allclose(white, plain, rtol=1e-9)


def padded(rows: Rows, extra_rows: int, extra_slots: int) -> Rows:
    """``rows`` with more padding, filled with what would matter if it were read."""

    def pad(values: jax.Array, width: int, fill: float) -> jax.Array:
        return jnp.pad(values, ((0, 0), (0, 0), (0, width)), constant_values=fill)

    point = Point(
        *(pad(field, extra_rows, fill) for field, fill in zip(rows.point, (1.0, 2.0, 0.9, 5.0, 0.5), strict=True))
    )
    return Rows(
        point=point,
        loss=pad(rows.loss, extra_rows, 7.0),
        run=pad(rows.run, extra_rows, 1),
        progress=pad(rows.progress, extra_rows, 0.3),
        mask=pad(rows.mask, extra_rows, False),
        run_mask=pad(rows.run_mask, extra_slots, False),
    )


def test_padding_rows_change_neither_density_nor_gradient(program: Program) -> None:
    params = program.params(0)
    spoilt = program.rows._replace(loss=jnp.where(program.rows.mask, program.rows.loss, 50.0))
    for rows in (spoilt, padded(program.rows, 32, 0)):
        assert program.log_density(params, rows) == pytest.approx(program.log_density(params), rel=1e-12)
    gradients = program.gradient(params, spoilt), program.gradient(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), *gradients)


def test_a_real_row_does_change_the_density(program: Program) -> None:
    params = program.params(0)
    moved = program.rows._replace(loss=program.rows.loss.at[0, 0, 0].add(0.1))
    assert bool(program.rows.mask[0, 0, 0])
    assert abs(program.log_density(params, moved) - program.log_density(params)) > 1e-3


def test_slots_without_a_run_add_their_own_prior_and_nothing_else(program: Program) -> None:
    extra = 4
    more = padded(program.rows, 0, extra)
    forward = program.forward(1, more)
    params = forward.params
    # latent: the law's coordinates, the first offsets of all slots, their last offsets
    count, slots = len(program.model.law.coordinates), more.run_mask.shape[-1]
    added = np.r_[count + slots - extra : count + slots, count + 2 * slots - extra : count + 2 * slots]
    small = params | {"latent": jnp.delete(params["latent"], added, axis=-1)}
    own_prior = forward.latent_prior[..., added].sum()
    difference = program.log_density(params, more) - program.log_density(small)
    assert difference == pytest.approx(float(own_prior), rel=1e-9)


def test_simulated_losses_have_the_shape_of_the_rows(program: Program) -> None:
    losses, again, other = (np.asarray(program.forward(seed, observed=False).loss) for seed in (0, 0, 1))
    assert losses.shape == program.rows.loss.shape
    assert np.isfinite(losses).all()
    assert not np.array_equal(losses, np.asarray(program.rows.loss))  # drawn, not handed back
    np.testing.assert_array_equal(losses, again)
    assert not np.array_equal(losses, other)


def test_rows_of_one_run_share_its_deviation(program: Program) -> None:
    forward = program.forward(2)
    expected = jax.jit(program.model.expected)
    law = expected(forward.derived["coordinates"], program.rows.point, program.reference)
    offset = np.asarray(forward.mean - law)
    run, mask = np.asarray(program.rows.run), np.asarray(program.rows.mask)
    first, last = np.split(np.asarray(forward.derived["run_offset"]), 2, axis=-1)
    along = np.asarray(program.rows.progress)
    assert along.min() == 0
    assert along.max() == pytest.approx(1)
    share, exponent = np.asarray(program.rows.point.share), np.asarray(forward.params["noise_share_exponent"])
    for t, d in np.ndindex(mask.shape[:2]):
        real = mask[t, d]
        slot, part = run[t, d, real], along[t, d, real]
        louder = ((share[t, d, real] + 0.1) / 0.6) ** -exponent[t]
        own = louder * ((1 - part) * first[t, d, slot] + part * last[t, d, slot])
        np.testing.assert_allclose(offset[t, d, real], own, atol=1e-9)
        assert len(np.unique(run[t, d, real])) > 1


def test_the_description_names_every_coordinate_with_its_unit(program: Program) -> None:
    told = program.model.describe()
    assert program.model.law.equation in told
    for coordinate in program.model.law.coordinates:
        assert f"{coordinate.name} [{coordinate.unit}]" in told

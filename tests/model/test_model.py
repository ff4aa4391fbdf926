"""The program's density: the same in white coordinates, blind to padding, and that of its own simulations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayescpt.laws import Point
from bayescpt.model.layout import Rows, compact
from bayescpt.model.whiten import Whitening

if TYPE_CHECKING:
    from conftest import Program

SEEDS = range(4)


def random_whitening(shape: tuple[int, ...], count: int, seed: int) -> Whitening:
    """A whitening that has nothing to do with the posterior; ``count`` coordinates have a population."""
    rng = np.random.default_rng(seed)

    def matrix() -> jax.Array:
        lower = np.tril(0.3 * rng.standard_normal((*shape, shape[-1])), -1)
        return jnp.asarray(lower + np.exp(rng.uniform(-2, 2, shape))[..., None] * np.eye(shape[-1]))

    return Whitening(
        basis=matrix(),
        share=jnp.asarray(rng.uniform(0, 1, shape)),
        base_sd=jnp.asarray(np.exp(rng.uniform(-5, -3, shape[:2]))),
        centre=jnp.asarray(rng.standard_normal(shape)),
        mean=jnp.asarray(rng.standard_normal((*shape[:2], count))),
        follow=jnp.asarray(rng.standard_normal((*shape, count))),
        root=matrix(),
    )


def test_whitening_changes_the_coordinates_and_never_the_density(program: Program) -> None:
    points = [program.forward(seed) for seed in SEEDS]
    shape = points[0].params["latent"].shape
    whitening = random_whitening(shape, len(program.model.law.coordinates), 3)
    plain = np.array([program.log_density(point.params) for point in points])
    moved = [program.whitened(point, whitening) for point in points]
    volume = np.array([volume for _, volume in moved])
    white = np.array([program.log_density(params, whitening=whitening) for params, _ in moved])
    assert np.isfinite(plain).all()
    assert np.ptp(plain) > 1  # otherwise equal differences would say nothing
    assert np.ptp(volume) > 0.1  # base_sd scales the map
    difference = white - volume - plain  # the same everywhere: a constant is left out
    np.testing.assert_allclose(difference, difference.mean(), atol=1e-6)


def padded(rows: Rows, slots: int, checkpoints: int) -> Rows:
    """``rows`` with more padding, filled with what would matter if it were read."""

    def pad(values: jax.Array, fill: float) -> jax.Array:
        return jnp.pad(values, ((0, 0), (0, 0), (0, slots), (0, checkpoints)), constant_values=fill)

    fills = (1.0, 2.0, 0.9, 5.0, 0.5, 4.0)
    return rows._replace(
        point=Point(*(pad(field, fill) for field, fill in zip(rows.point[:-1], fills, strict=True))),
        loss=pad(rows.loss, 7.0),
        se=pad(rows.se, 0.2),
        progress=pad(rows.progress, 0.3),
        gap=pad(rows.gap, 1.0),
        mask=pad(rows.mask, False),
        base=jnp.pad(rows.base, ((0, 0), (0, slots)), constant_values=0),
        base_mask=rows.base_mask,
        base_root=rows.base_root,
        traits=rows.traits,
        trait_se=rows.trait_se,
    )


def test_padding_changes_neither_density_nor_gradient(program: Program) -> None:
    params = program.params(0)
    spoilt = program.rows._replace(loss=jnp.where(program.rows.mask, program.rows.loss, 50.0))
    for rows in (spoilt, padded(program.rows, 4, 4)):
        assert program.log_density(params, rows) == pytest.approx(program.log_density(params), rel=1e-12)
    gradients = program.with_gradient(params, spoilt)[1], program.with_gradient(params)[1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), *gradients)


def test_rows_with_short_axes_have_the_density_and_the_gradient_of_whole_ones(program: Program) -> None:
    params, short = program.params(1), compact(program.rows)
    assert short.point.size.shape[-1] == 1  # a run has one size
    assert short.gap.size < program.rows.gap.size  # all runs of this study have the same checkpoints
    assert short.se is None
    (density, gradient), (whole, other) = program.with_gradient(params, short), program.with_gradient(params)
    assert density == pytest.approx(whole, rel=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), gradient, other)


def test_a_real_row_does_change_the_density(program: Program) -> None:
    params = program.params(0)
    moved = program.rows._replace(loss=program.rows.loss.at[0, 0, 0, 0].add(0.1))
    assert bool(program.rows.mask[0, 0, 0, 0])
    assert abs(program.log_density(params, moved) - program.log_density(params)) > 1e-3


def test_simulated_losses_have_the_shape_of_the_rows(program: Program) -> None:
    losses, again, other = (np.asarray(program.forward(seed).loss) for seed in (0, 0, 1))
    assert losses.shape == program.rows.loss.shape
    assert np.isfinite(losses).all()
    assert not np.array_equal(losses, np.asarray(program.rows.loss))  # drawn, not handed back
    np.testing.assert_array_equal(losses, again)
    assert not np.array_equal(losses, other)


def test_runs_of_one_base_share_what_the_law_misses_there(program: Program) -> None:
    forward = program.forward(2)
    law = jax.jit(program.model.expected)(forward.derived["coordinates"], program.rows.point, program.reference)
    missed, mask = np.asarray(forward.mean - law), np.asarray(program.rows.mask)
    progress, share = np.asarray(program.rows.progress), np.asarray(program.rows.point.share)
    if not program.model.hierarchy.early:  # which reads the first rows as statistics
        assert progress[mask].min() == 0
    assert progress[mask].max() == pytest.approx(1)
    exponent, early = (
        np.asarray(forward.params[n])[:, None, None, None] for n in ("noise_share_exponent", "noise_early")
    )
    louder = ((share + 0.01) / 0.51) ** -exponent * np.exp(early * (1 - progress))
    base = np.asarray(program.rows.base)
    place = np.broadcast_to(base[..., None], (2, *base.shape, 1))
    effect = np.take_along_axis(np.asarray(forward.derived["base_effect"]), place, -2)
    line = (1 - progress) * effect[..., :1] + progress * effect[..., 1:]
    np.testing.assert_allclose(missed[mask], (louder * line)[mask], atol=1e-9)
    assert len(np.unique(base)) > 1


def test_what_a_law_misses_is_alike_at_bases_of_similar_size(program: Program) -> None:
    """Scores of the effects of bases in units of their prior are standard normal; 600 of them, false alarm 1e-3."""
    scores = []
    for seed in range(40):
        forward = program.forward(seed)
        relative = np.exp(np.asarray(forward.params["log_noise_sd"]))
        relative = relative / np.asarray(forward.params["noise_typical"])[:, None]
        sd = np.asarray(forward.params["base_sd"])[:, None] * relative
        effect = np.asarray(forward.derived["base_effect"]) / sd[..., None, None]
        scores.append(np.linalg.solve(np.asarray(program.rows.base_root), effect))
    assert stats.kstest(np.ravel(scores), "norm").pvalue > 1e-3
    # two sizes a factor of six apart share some of it, wherever both are of one domain
    assert 0.2 < float(np.abs(np.tril(np.asarray(program.rows.base_root)[0], -1)).max()) < 0.8


def test_the_description_names_every_coordinate_with_its_unit(program: Program) -> None:
    told = program.model.describe()
    assert program.model.law.equation in told
    for coordinate in program.model.law.coordinates:
        assert f"{coordinate.name} [{coordinate.unit}]" in told

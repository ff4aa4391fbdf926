"""The sampler: maps learnt from all chains, and refits that compile nothing and go on where the last one ended."""

from __future__ import annotations

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.data.table import Table
from bayescpt.fit import Sampler, SamplerSettings, fit
from bayescpt.fit.adapt import Map, root_of, rounder, stretches
from bayescpt.fit.run import model_of
from bayescpt.model.layout import reference_of
from bayescpt.model.whiten import WHITE, Whitening

SETTINGS = SamplerSettings(chains=2, warmup=60, draws=30, refit_warmup=10, max_tree_depth=4)
SHAPE, REST = (2, 3, 4), 5
"""of the white coordinates, and number of all others"""


def some_map(rng: np.random.Generator) -> Map:
    """A map with nothing regular about it."""
    root = np.tril(rng.standard_normal((*SHAPE, SHAPE[-1]))) + 3 * np.eye(SHAPE[-1])
    zeros = np.zeros(SHAPE)
    whitening = Whitening(root, zeros, np.ones(SHAPE[:2]), zeros, zeros[..., :1], zeros[..., None], root)  # type: ignore[arg-type]
    centre = {"a": rng.standard_normal(REST)}
    return Map(whitening, centre, np.tril(rng.standard_normal((REST, REST))) + 3 * np.eye(REST))  # type: ignore[arg-type]


def test_a_rounder_map_keeps_the_places_and_makes_the_draws_round() -> None:
    rng = np.random.default_rng(0)
    before = some_map(rng)
    size = int(np.prod(SHAPE)) + REST
    mixing = rng.standard_normal((size, size))
    # of the correlations only those within a block can be taken out
    scale = np.exp(rng.uniform(-3, 3, size))
    draws = (rng.standard_normal((4, 4000, size)) @ mixing + rng.standard_normal(size)) * scale
    after, places = rounder(before, draws, draws[:, -1])
    for old, new in zip(draws[:, -1], places, strict=True):
        was, found = before.sites(jnp.asarray(old)), after.sites(jnp.asarray(new))
        np.testing.assert_allclose(found["a"], was["a"], rtol=1e-9)
        own = [np.einsum("tgij,tgj->tgi", m.whitening.root, s[WHITE]) for m, s in ((before, was), (after, found))]
        np.testing.assert_allclose(own[1], own[0], rtol=1e-9)
    _, again = rounder(before, draws.reshape(-1, 1, size), draws.reshape(-1, size))
    for block in (again[:, :4], again[:, 20:24], again[:, -REST:]):
        # but for the shrinkage of correlations, which weighs as little as coordinates against draws
        np.testing.assert_allclose(np.cov(block.T), np.eye(block.shape[1]), atol=0.02)


def test_correlations_of_few_draws_are_shrunk_and_variances_are_not() -> None:
    draws = np.random.default_rng(1).standard_normal((6, 12)) * 10
    root = root_of(draws)
    covariance = root @ root.T
    np.testing.assert_allclose(np.diag(covariance), draws.var(axis=0, ddof=1))
    assert np.linalg.eigvalsh(covariance).min() > 0  # six draws by themselves leave seven directions without spread


def test_stretches_are_the_whole_warm_up() -> None:
    for warmup in (1, 20, 60, 500, 1000):
        assert sum(stretches(warmup)) == warmup
        assert min(stretches(warmup)) > 0


def test_a_refit_with_a_run_more_compiles_nothing_and_goes_on(study_table: Table) -> None:
    runs = study_table.run == study_table.run.max()
    fewer = study_table.select(~runs)
    sampler = Sampler(model_of("dcpt_l5", "none", "normal").on(fewer), SETTINGS)
    seen: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, _, **__: seen.append(event))
    fit(fewer, sampler=sampler)
    assert [event for event in seen if event.endswith("backend_compile_duration")]
    assert sampler.end is not None
    learnt = sampler.end.map
    seen.clear()
    again = fit(study_table, sampler=sampler, go_on=True)
    assert len(again.table) > len(fewer)
    assert not [event for event in seen if event.endswith("backend_compile_duration")]
    assert sampler.end.map is learnt
    fit(study_table, sampler=sampler)
    assert sampler.end.map is not learnt


@pytest.mark.slow
def test_going_on_starts_anew_where_the_coordinates_are_others(study_table: Table) -> None:
    sampler = Sampler(model_of("dcpt_l5", "none", "normal").on(study_table), SETTINGS)
    frame = study_table.frame()
    one = Table.from_frame(frame[frame["domain"] == study_table.domains[0]])
    key = jax.random.key(0)
    sampler.run(sampler.model.layout(one).rows, reference_of(one), key)
    assert sampler.end is not None
    before = sampler.end.map
    whole = sampler.run(sampler.model.layout(study_table).rows, reference_of(study_table), key, go_on=True)
    assert whole.sites["coordinates"].shape[3] == len(study_table.domains) == 2
    assert sampler.end.map is not before


def test_only_what_is_cut_is_widened(study_table: Table) -> None:
    sampler = Sampler(model_of("dcpt_l5", "none", "normal").on(study_table), SETTINGS)
    whole = sampler.model.layout(study_table).rows
    assert sampler.settled(whole) is whole
    cut = whole._replace(gap=whole.gap[:, :1])
    assert sampler.settled(cut).gap.shape == whole.gap.shape
    # one base less: its effects must not be copied into the place of the other
    fewer = sampler.model.layout(study_table.select(study_table.size == study_table.size.max())).rows
    assert fewer.base_inverse.shape != whole.base_inverse.shape
    assert sampler.settled(fewer) is fewer


def test_without_a_mode_to_start_from_it_is_said(study_table: Table) -> None:
    sampler = Sampler(model_of("dcpt_l5", "none", "normal").on(study_table), SETTINGS)
    rows = sampler.model.layout(study_table).rows
    with pytest.raises(ValueError, match="no mode of the law 'dcpt_l5' with a finite curvature"):
        sampler.run(rows._replace(loss=rows.loss * jnp.nan), reference_of(study_table), jax.random.key(0))

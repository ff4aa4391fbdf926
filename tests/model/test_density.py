"""The prior of draws: its parts make up the joint density, and its moments are those in closed form."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from numpyro.handlers import seed, trace
from numpyro.infer.util import log_density

from bayescpt.data.table import Table
from bayescpt.laws import LAWS, Reference
from bayescpt.model.density import coordinate_moments, densities, stated_parts
from bayescpt.model.hierarchy import HIERARCHIES, SPREAD_SD, constants_of
from bayescpt.model.layout import Rows, layout_of, reference_of
from bayescpt.model.model import Model
from bayescpt.model.noise import NOISES

LAW = LAWS["dcpt_l5"]
FEW = 400
"""Draws of the population: their variance is known to 7 % (one sigma), and five sigma are allowed."""


def model_of(pooling: str) -> Model:
    return Model(LAW, HIERARCHIES[pooling], NOISES["student"])


@partial(jax.jit, static_argnames="model")
def parts_of(model: Model, rows: Rows, reference: Reference, moved: Array) -> tuple[Array, Array, dict[str, Array]]:
    """Of one prior draw, its effects of bases in padded places moved: joint density, likelihood, parts of the prior."""
    sites = trace(seed(model, 3)).get_trace(rows, reference)
    drawn = {name: site["value"] for name, site in sites.items() if not site.get("is_observed")}
    drawn["base_effect"] = jnp.where(rows.base_mask[..., None], drawn["base_effect"], moved)
    joint = log_density(model, (rows, reference), {}, drawn)[0]
    prior, runs = densities(model, rows, reference, drawn)
    return joint, runs.sum(), prior


@pytest.mark.parametrize("pooling", ["correlated", "none"])
def test_the_parts_of_the_prior_and_the_likelihood_are_the_joint_density(pooling: str, study_table: Table) -> None:
    model, reference = model_of(pooling), reference_of(study_table)
    rows = layout_of(study_table, LAW, model.hierarchy.groups(study_table)).rows
    assert rows.base_mask.all()  # no padded place, which the joint density would count
    joint, likelihood, parts = parts_of(model, rows, reference, jnp.asarray(0.0))
    assert float(sum(parts.values()) + likelihood) == pytest.approx(float(joint), rel=1e-9)
    assert set(parts) == {*model.hierarchy.sites, "noise", "coordinates", "base_effect"}


def test_a_padded_base_adds_nothing(study_table: Table) -> None:
    model, reference = model_of("none"), reference_of(study_table)
    few = study_table.select((study_table.domain == 0) | (study_table.size == study_table.size.min()))
    rows = layout_of(few, LAW).rows
    assert not rows.base_mask.all()
    here, there = (parts_of(model, rows, reference, jnp.asarray(value)) for value in (0.0, 7.0))
    assert here[2] == there[2]


@pytest.mark.parametrize("pooling", ["partial", "none"])
def test_moments_of_the_coordinates_are_those_of_the_stated_constants(pooling: str, study_table: Table) -> None:
    model, prior = model_of(pooling), constants_of(LAW)
    rows = layout_of(study_table, LAW, model.hierarchy.groups(study_table)).rows
    mean, covariance = coordinate_moments(model, rows, reference_of(study_table), jax.random.key(0), FEW)
    # the square of a log-normal spread is larger on average than that of its median
    larger = np.exp(2 * SPREAD_SD**2) if pooling == "partial" else 1.0
    variance = np.asarray(prior.scale**2 + larger * prior.spread**2)[:, None]
    error = 5 * np.sqrt(2 / FEW) if pooling == "partial" else 1e-9
    np.testing.assert_allclose(np.diagonal(covariance, axis1=-2, axis2=-1) / variance, 1.0, atol=error)
    np.testing.assert_allclose((mean - prior.loc[:, None]) / np.sqrt(variance), 0.0, atol=5 / np.sqrt(FEW))
    scale = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    correlation = np.asarray(covariance) / scale[..., :, None] / scale[..., None, :]
    off = correlation[..., ~np.eye(correlation.shape[-1], dtype=bool)]
    assert np.abs(off).max() < 5 / np.sqrt(FEW)


def test_what_is_stated_is_of_the_population_where_there_is_one() -> None:
    assert stated_parts(HIERARCHIES["partial"]) == ("population", "spread", "noise")
    assert stated_parts(HIERARCHIES["none"]) == ("coordinates", "noise")

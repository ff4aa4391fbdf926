"""From a table to a checked fit, and from a model to draws of its prior in the same shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray
from numpyro.infer import Predictive

from bayescpt.data.table import Table
from bayescpt.fit.checks import check_posterior
from bayescpt.fit.fit import Fit
from bayescpt.fit.sample import Sampler, SamplerSettings
from bayescpt.laws import LAWS, Law, Reference
from bayescpt.model.layout import Layout, Rows, layout_of, reference_of
from bayescpt.model.model import Model
from bayescpt.model.noise import NoiseDraw
from bayescpt.schema import TARGETS

DEFAULT_LAW = "memory"

DIMS = {
    "coordinates": ["target", "domain", "coordinate"],
    "population": ["target", "coordinate"],
    "spread": ["target", "coordinate"],
    "run_sd": ["target"],
    "noise_typical": ["target"],
    "noise_sd": ["target", "domain"],
    "noise_df": ["target"],
    "noise_share_exponent": ["target"],
    "run_offset": ["target", "end", "run"],
}


def law_named(name: str) -> Law:
    """The law of that name. Raises ValueError naming those on offer."""
    if name not in LAWS:
        raise ValueError(f"no law is called '{name}'; on offer: {', '.join(LAWS)}")
    return LAWS[name]


def fit(
    table: Table,
    law: str | Law = DEFAULT_LAW,
    seed: int = 0,
    settings: SamplerSettings | None = None,
    sampler: Sampler | None = None,
) -> Fit:
    """Sample the hierarchical model of ``law`` on ``table`` with NUTS and check the draws.

    Args:
        law: a law or its name.
        seed: of everything random: start values, chains, and later draws of new runs and domains.
        settings: chains, warm-up, draws.
        sampler: a compiled sampler to use again; its model and settings then count.

    Raises ValueError where the rows cannot carry the law (for example, no base losses for a law that starts there).
    """
    if sampler is None:
        sampler = Sampler(Model(law_named(law) if isinstance(law, str) else law), settings or SamplerSettings())
    model = sampler.model
    layout, reference = layout_of(table, model.law), reference_of(table)
    samples = sampler.run(layout.rows, reference, jax.random.key(seed))
    tree = _tree(model, table, layout, reference, samples.sites, samples.stats)
    tree.attrs["sampler"] = json.dumps(vars(sampler.settings))
    checks = check_posterior(tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset())
    return Fit(model=model, table=table, reference=reference, tree=tree, checks=checks, seed=seed)


def prior_fit(table: Table, law: str | Law = DEFAULT_LAW, seed: int = 0, draws: int = 500) -> Fit:
    """Draws of the prior on the design of ``table``, typed as a fit: what the model believes before the losses."""
    model = Model(law_named(law) if isinstance(law, str) else law)
    layout, reference = layout_of(table, model.law), reference_of(table)
    rows = layout.rows
    sites = _prior_sites(model, rows, reference, draws, jax.random.key(seed))
    arrays = {name: np.asarray(value)[None] for name, value in sites.items()}
    tree = _tree(model, table, layout, reference, arrays, {})
    return Fit(model=model, table=table, reference=reference, tree=tree, checks=(), seed=seed)


@partial(jax.jit, static_argnames=("model", "draws"))
def _prior_sites(model: Model, rows: Rows, reference: Reference, draws: int, key: PRNGKeyArray) -> dict[str, Array]:
    sites = Predictive(lambda: model(rows, reference, observed=False), num_samples=draws)(key)
    return {name: sites[name] for name in DIMS}  # without the losses, which cost most to draw and are not kept


@partial(jax.jit, static_argnames="model")
def _derived(
    model: Model, rows: Rows, reference: Reference, coordinates: Array, offsets: Array, noise: NoiseDraw
) -> tuple[dict[str, Array], Array]:
    """Natural parameters and pointwise log-likelihood of draws (chain, draw, ...)."""

    def one(coordinates: Array, offsets: Array, noise: NoiseDraw) -> tuple[dict[str, Array], Array]:
        density = model.likelihood(coordinates, offsets, noise, rows, reference).log_prob(rows.loss)
        return model.natural(coordinates, reference), density

    return jax.vmap(jax.vmap(one))(coordinates, offsets, noise)


def _tree(
    model: Model,
    table: Table,
    layout: Layout,
    reference: Reference,
    sites: Mapping[str, np.ndarray],
    stats: Mapping[str, np.ndarray],
) -> xr.DataTree:
    """The draws as an ArviZ DataTree: named coordinates, natural parameters, pointwise log-likelihood."""
    posterior = {name: sites[name] for name in DIMS if name != "run_offset"}
    posterior["run_offset"] = _by_run(sites["run_offset"], layout, len(table.runs))
    rows = layout.rows

    noise = NoiseDraw(*(jnp.asarray(sites[n]) for n in ("run_sd", "noise_sd", "noise_df", "noise_share_exponent")))
    sampled = (jnp.asarray(sites[n]) for n in ("coordinates", "run_offset"))
    natural, density = _derived(model, rows, reference, *sampled, noise)
    dims = dict(DIMS)
    for param in model.law.params:
        posterior[param.name] = np.asarray(natural[param.name])
        dims[param.name] = ["target", "domain"]
    flat = np.full((*density.shape[:2], len(table)), np.nan)
    kept = layout.row_index >= 0
    flat[:, :, layout.row_index[kept]] = np.asarray(density)[:, :, kept]

    coords: dict[str, Any] = {
        "target": list(TARGETS),
        "domain": list(table.domains),
        "run": list(table.runs),
        "end": ["first", "last"],
        "coordinate": [c.name for c in model.law.coordinates],
        "row_number": np.arange(len(table)),
    }
    groups = {"posterior": posterior, "log_likelihood": {"loss": flat}, "observed_data": {"loss": table.loss}}
    if stats:
        groups["sample_stats"] = dict(stats)
    tree = arviz_base.from_dict(groups, coords=coords, dims={**dims, "loss": ["row_number"]})
    for param in model.law.params:
        tree["posterior"][param.name].attrs = {"unit": param.unit, "meaning": param.meaning}
    return tree


def _by_run(offsets: np.ndarray, layout: Layout, count: int) -> np.ndarray:
    """Run offsets (chain, draw, target, domain, ends) as (chain, draw, target, end, run)."""
    flat = np.zeros((*offsets.shape[:3], 2, count))
    domain, slot = np.nonzero(layout.runs >= 0)
    for end, part in enumerate(np.split(offsets, 2, axis=-1)):
        flat[..., end, layout.runs[domain, slot]] = part[..., domain, slot]
    return flat

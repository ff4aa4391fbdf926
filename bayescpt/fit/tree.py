"""Draws as an ArviZ DataTree: named coordinates, natural parameters, log likelihood by run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from bayescpt.data.learnability import TRAITS
from bayescpt.data.table import Table
from bayescpt.laws import Reference
from bayescpt.model.layout import Layout, Rows
from bayescpt.model.model import Model
from bayescpt.model.noise import NoiseDraw
from bayescpt.schema import TARGETS

DIMS = {
    "coordinates": ["target", "domain", "coordinate"],
    "population": ["target", "coordinate"],
    "spread": ["target", "coordinate"],
    "correlation_root": ["target", "coordinate", "coordinate_of"],
    "loading": ["target", "coordinate", "trait"],
    "learnability": ["domain", "trait"],
    "base_effect": ["target", "domain", "base", "end"],
    "base_sd": ["target"],
    "run_sd": ["target"],
    "noise_typical": ["target"],
    "noise_sd": ["target", "domain"],
    "noise_memory": ["target"],
    "noise_df": ["target"],
    "noise_share_exponent": ["target"],
    "noise_early": ["target"],
}


@partial(jax.jit, static_argnames="model")
def _derived(
    model: Model, rows: Rows, reference: Reference, coordinates: Array, effect: Array, noise: NoiseDraw
) -> tuple[dict[str, Array], Array]:
    """Natural parameters of draws (chain, draw, ...), and the log likelihood of every run, both targets together."""

    def one(drawn: tuple[Array, Array, NoiseDraw]) -> tuple[dict[str, Array], Array]:
        coordinates, effect, noise = drawn
        density = model.likelihood(coordinates, effect, noise, rows, reference).log_prob(rows.loss)
        return model.natural(coordinates, reference), density.sum(0)

    # one draw after another: all at once would need memory for every row of every draw
    return jax.lax.map(lambda chain: jax.lax.map(one, chain, batch_size=64), (coordinates, effect, noise))


def tree_of(
    model: Model,
    table: Table,
    layout: Layout,
    reference: Reference,
    sites: Mapping[str, np.ndarray],
    stats: Mapping[str, np.ndarray],
) -> xr.DataTree:
    """The draws as an ArviZ DataTree: named coordinates, natural parameters, log likelihood by run."""
    posterior = {name: np.asarray(sites[name]) for name in DIMS if name in sites}
    names = ("run_sd", "noise_sd", "noise_memory", "noise_share_exponent", "noise_early")
    df = sites["noise_df"] if "noise_df" in sites else np.full(sites["run_sd"].shape, np.inf)
    base_sd = sites["base_sd"][..., None] * sites["noise_sd"] / sites["noise_typical"][..., None]
    noise = NoiseDraw(*map(jnp.asarray, (base_sd, *(sites[name] for name in names), df)))
    sampled = (jnp.asarray(sites[n]) for n in ("coordinates", "base_effect"))
    natural, density = _derived(model, layout.rows, reference, *sampled, noise)
    dims = dict(DIMS)
    for param in model.law.params:
        posterior[param.name] = np.asarray(natural[param.name])
        dims[param.name] = ["target", "domain"]
    for name, axes in dims.items():
        # groups are an affair of the model: everything is told by domain
        if "domain" in axes and name in posterior:
            posterior[name] = np.take(posterior[name], layout.group, axis=2 + axes.index("domain"))
    posterior["base_effect"] = _by_base(posterior["base_effect"], layout, len(table.bases))
    of_run = np.full((*density.shape[:2], len(table.runs)), np.nan)
    group, slot = np.nonzero(layout.runs >= 0)
    of_run[..., layout.runs[group, slot]] = np.asarray(density)[..., group, slot]
    # a run of which all rows went into early statistics has no likelihood
    kept = np.unique(layout.runs[layout.runs >= 0])

    coords: dict[str, Any] = {
        "target": list(TARGETS),
        "domain": list(table.domains),
        "base": list(table.bases),
        "end": ["first", "last"],
        "run": [table.runs[code] for code in kept],
        "coordinate": [c.name for c in model.law.coordinates],
        "coordinate_of": [c.name for c in model.law.coordinates],
        "trait": list(TRAITS),
        "row_number": np.arange(len(table)),
    }
    groups = {
        "posterior": posterior,
        "log_likelihood": {"run_loss": of_run[..., kept]},
        "observed_data": {"loss": table.loss},
    }
    if stats:
        groups["sample_stats"] = dict(stats)
    tree = arviz_base.from_dict(groups, coords=coords, dims={**dims, "loss": ["row_number"], "run_loss": ["run"]})
    for param in model.law.params:
        tree["posterior"][param.name].attrs = {"unit": param.unit, "meaning": param.meaning}
    return tree


def _by_base(effects: np.ndarray, layout: Layout, count: int) -> np.ndarray:
    """Base effects (chain, draw, target, domain, place, end) as (..., domain, base, end); NaN where none is."""
    domains = effects.shape[3]
    spread = np.full((*effects.shape[:4], count, effects.shape[-1]), np.nan)
    for d in range(domains):
        for place, (base, domain) in enumerate(layout.bases[layout.group[d]]):
            if domain == d:
                spread[..., d, base, :] = effects[..., d, place, :]
    return spread

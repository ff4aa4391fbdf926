"""Draws as an ArviZ DataTree: named coordinates, natural parameters, log likelihood by run, log prior by part."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from bayescpt.data.learnability import TRAITS
from bayescpt.data.table import Table
from bayescpt.fit.compiled import quick_jit
from bayescpt.laws import Reference
from bayescpt.model.density import densities
from bayescpt.model.layout import Layout, Rows
from bayescpt.model.model import Model
from bayescpt.model.whiten import WHITE
from bayescpt.schema import TARGETS

MOST_AT_ONCE = 64
"""Draws whose likelihood is computed together."""
UNTOLD = (WHITE, "latent")
"""Sites that the sampler has for itself."""
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


@partial(quick_jit, brief=True, static_argnames="model")
def _natural(model: Model, reference: Reference, coordinates: Float[Array, "chain draw *own"]) -> dict[str, Array]:
    """Natural parameters of draws."""
    return jax.vmap(jax.vmap(lambda own: model.natural(own, reference)))(coordinates)


@partial(quick_jit, static_argnames=("model", "batch"))
def _densities(
    model: Model, rows: Rows, reference: Reference, sites: dict[str, Array], batch: int
) -> tuple[Array, dict[str, Array]]:
    """Of draws (chain, draw, ...): log likelihood of every run, and log prior by part."""

    def seen(drawn: dict[str, Array]) -> Array:
        return densities(model, rows, reference, drawn)[1]

    def prior(drawn: dict[str, Array]) -> dict[str, Array]:
        return densities(model, rows, reference, drawn)[0]

    # a few draws after another: all at once would need memory for every row of every draw. A prior needs no rows
    likelihood = jax.lax.map(lambda chain: jax.lax.map(seen, chain, batch_size=batch), sites)
    return likelihood, jax.vmap(jax.vmap(prior))(sites)


def _batch(draws: int) -> int:
    """Draws at a time: a divisor where there is one, for what is left over would be compiled by itself."""
    largest = max(size for size in range(1, MOST_AT_ONCE + 1) if draws % size == 0)
    return largest if largest >= MOST_AT_ONCE / 4 else MOST_AT_ONCE


def tree_of(
    model: Model,
    table: Table,
    layout: Layout,
    reference: Reference,
    sites: Mapping[str, np.ndarray],
    stats: Mapping[str, np.ndarray],
    told: bool = True,
) -> xr.DataTree:
    """The draws as an ArviZ DataTree: named coordinates, natural parameters, log likelihood by run, log prior by part.

    Args:
        sites: values (chain, draw, ...) of all sites of the model.
        stats: of the sampler, by name.
        told: whether the last two are computed now; :func:`with_densities` does it later.
    """
    posterior = {name: np.asarray(sites[name]) for name in DIMS if name in sites}
    natural = _natural(model, reference, jnp.asarray(sites["coordinates"]))
    dims = dict(DIMS)
    for param in model.law.params:
        posterior[param.name] = np.asarray(natural[param.name])
        dims[param.name] = ["target", "domain"]
    for name, axes in dims.items():
        # groups are an affair of the model: everything is told by domain
        if "domain" in axes and name in posterior:
            posterior[name] = np.take(posterior[name], layout.group, axis=2 + axes.index("domain"))
    posterior["base_effect"] = _by_base(posterior["base_effect"], layout, len(table.bases))

    coords: dict[str, Any] = {
        "target": list(TARGETS),
        "domain": list(table.domains),
        "base": list(table.bases),
        "end": ["first", "last"],
        "coordinate": [c.name for c in model.law.coordinates],
        "coordinate_of": [c.name for c in model.law.coordinates],
        "trait": list(TRAITS),
        "row_number": np.arange(len(table)),
    }
    groups = {"posterior": posterior, "observed_data": {"loss": table.loss}}
    if stats:
        groups["sample_stats"] = dict(stats)
    tree = arviz_base.from_dict(groups, coords=coords, dims={**dims, "loss": ["row_number"]})
    if told:
        tree.update(_told(model, table, layout, reference, sites))
    for param in model.law.params:
        tree["posterior"][param.name].attrs = {"unit": param.unit, "meaning": param.meaning}
    return tree


def _told(
    model: Model, table: Table, layout: Layout, reference: Reference, sites: Mapping[str, np.ndarray]
) -> dict[str, xr.DataTree]:
    """Log likelihood by run and log prior by part."""
    sampled = {name: jnp.asarray(value) for name, value in sites.items() if name not in UNTOLD}
    density, prior = _densities(model, layout.rows, reference, sampled, _batch(sites["run_sd"].shape[1]))
    of_run = np.full((*density.shape[:2], len(table.runs)), np.nan)
    group, slot = np.nonzero(layout.runs >= 0)
    of_run[..., layout.runs[group, slot]] = np.asarray(density)[..., group, slot]
    # a run of which all rows went into early statistics has no likelihood
    kept = np.unique(layout.runs[layout.runs >= 0])
    names: dict[Any, Any] = {"run": [table.runs[code] for code in kept]}
    # parts of the prior are called as what they are a prior of, whose dimensions they do not have
    parts = {name: np.asarray(values) for name, values in prior.items()}
    runs = arviz_base.dict_to_dataset({"run_loss": of_run[..., kept]}, coords=names, dims={"run_loss": ["run"]})
    return {"log_likelihood": xr.DataTree(runs), "log_prior": xr.DataTree(arviz_base.dict_to_dataset(parts))}


def with_densities(model: Model, table: Table, reference: Reference, tree: xr.DataTree) -> xr.DataTree:
    """The tree of a fit with log likelihood and log prior, which a quick look leaves out until somebody asks."""
    layout = model.layout(table)
    posterior = tree["posterior"].to_dataset()
    sites = {name: posterior[name].transpose("chain", "draw", *DIMS[name]).values for name in DIMS if name in posterior}
    first = np.array([np.flatnonzero(layout.group == g)[0] for g in range(layout.group.max() + 1)])
    sites["base_effect"] = _by_place(sites["base_effect"], layout)
    for name, axes in DIMS.items():
        if "domain" in axes and name in sites and name != "base_effect":
            sites[name] = np.take(sites[name], first, axis=2 + axes.index("domain"))
    sites["log_noise_sd"] = np.log(sites["noise_sd"])
    if "noise_df" in sites:
        sites["df_excess"] = sites["noise_df"] - 2.0
    whole = tree.copy()
    whole.update(_told(model, table, layout, reference, sites))
    return whole


def _by_base(effects: np.ndarray, layout: Layout, count: int) -> np.ndarray:
    """Base effects (chain, draw, target, domain, place, end) as (..., domain, base, end); NaN where none is."""
    domains = effects.shape[3]
    spread = np.full((*effects.shape[:4], count, effects.shape[-1]), np.nan)
    for d in range(domains):
        for place, (base, domain) in enumerate(layout.bases[layout.group[d]]):
            if domain == d:
                spread[..., d, base, :] = effects[..., d, place, :]
    return spread


def _by_place(effects: np.ndarray, layout: Layout) -> np.ndarray:
    """The way back from :func:`_by_base`; 0 where a place holds no base."""
    base, domain = np.maximum(layout.bases, 0).transpose(2, 0, 1)
    found = effects[:, :, :, domain, base]
    return np.where((layout.bases[..., 0] >= 0)[..., None], found, 0.0)

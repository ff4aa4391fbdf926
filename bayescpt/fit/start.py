"""Where chains begin, and a first map: from the mode, and from how much rows say of the noise."""

from __future__ import annotations

import math
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpyro.handlers import seed
from numpyro.infer.util import unconstrain_fn

from bayescpt.fit.adapt import Map
from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.laplace import Mode
from bayescpt.laws import Reference
from bayescpt.model.hierarchy import SPREAD_SD
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model
from bayescpt.model.noise import BASE_SPREAD, EARLY_SD, MEMORY_SPREAD, RARE, SHARE_EXPONENT_SD
from bayescpt.model.whiten import WHITE, Whitening

GUESS = 0.3
"""Standard deviation of an unconstrained value that nothing is known of."""
WIDE = 1.5
"""Chains begin about as far apart as the posterior is wide, or a little further, so that R-hat can see one go
astray."""


def first_map(model: Model, mode: Mode, rows: Rows, reference: Reference) -> Map:
    """The map of the mode. A poor one costs warm-up, nothing else."""
    whitening = whitening_of(mode, len(model.law.coordinates))
    values = _unconstrained(model, mode, whitening, rows, reference)
    size = sum(value.size for value in values.values())
    place = places(values)
    root = np.diag(np.full(size, GUESS))
    for name, sd in _widths(model, rows).items():
        if name in place:
            at = place[name].ravel()
            root[at, at] = np.broadcast_to(sd, place[name].shape).ravel()
    if "population" in mode.roots:
        for at, own in zip(place["population"], np.asarray(mode.roots["population"]), strict=True):
            root[np.ix_(at, at)] = own
    return Map(whitening, values, jnp.asarray(root))


def whitening_of(mode: Mode, count: int) -> Whitening:
    """The map of a mode, whose latent vectors begin with ``count`` coordinates; the effects of bases follow."""
    held, latent = np.asarray(mode.held), np.asarray(mode.latent)
    lower = np.linalg.cholesky(np.asarray(mode.told) + held)
    half = np.linalg.inv(lower)
    scaled = held.copy()
    scaled[..., :count, :] = scaled[..., :, :count] = 0.0
    share, turn = np.linalg.eigh(half @ scaled @ np.swapaxes(half, -1, -2))
    basis = np.swapaxes(half, -1, -2) @ turn
    fields = {
        "basis": basis,
        "share": np.clip(share, 0.0, 1.0),
        "base_sd": mode.base_sd,
        "centre": np.linalg.solve(basis, latent[..., None])[..., 0],
        "mean": mode.loc[..., :count],
        "follow": np.swapaxes(basis, -1, -2) @ held[..., :count],
        "root": np.broadcast_to(np.eye(latent.shape[-1]), basis.shape),
    }
    return Whitening(**{name: jnp.asarray(value) for name, value in fields.items()})


@partial(quick_jit, brief=True, static_argnames="model")
def _unconstrained(
    model: Model, mode: Mode, whitening: Whitening, rows: Rows, reference: Reference
) -> dict[str, Array]:
    sites = mode.sites | {WHITE: jnp.zeros_like(mode.latent)}
    values = unconstrain_fn(seed(model, 0), (rows, reference, whitening), {}, sites)
    return {name: value for name, value in values.items() if name != WHITE}


def places(values: dict[str, Array]) -> dict[str, Int[np.ndarray, "*site"]]:
    """Where the values of each site stand among the flat ones."""
    found, begin = {}, 0
    for name in sorted(values):  # the order in which JAX flattens a dict
        shape = values[name].shape
        found[name] = begin + np.arange(math.prod(shape)).reshape(shape)
        begin += math.prod(shape)
    return found


def _widths(model: Model, rows: Rows) -> dict[str, np.ndarray]:
    """Standard deviations of single unconstrained values, the others held: from priors and Fisher information.

    A row says 2 of the log of its scale, so 2 x^2 of what moves that log by x; other factors are those of a simulated
    study.
    """
    mask = np.asarray(rows.mask)
    by_row = mask.sum((2, 3))
    count, runs = by_row.sum(1), mask.any(-1).sum((1, 2))
    groups, bases = mask.shape[1], np.asarray(rows.base_mask).sum((1, 2))
    early = (mask * (1 - np.asarray(rows.progress)) ** 2).sum((1, 2, 3))
    log_share = np.log((np.asarray(rows.point.share) + RARE) / (0.5 + RARE))
    rare = (mask * log_share**2).sum((1, 2, 3))
    precisions = {
        "base_sd": BASE_SPREAD**-2 + bases,
        "run_sd": 1.0 + runs,
        "noise_typical": 1.0 + groups * model.noise.group_spread**-2 * np.ones(len(count)),
        "log_noise_sd": model.noise.group_spread**-2 + 2 * by_row,
        "noise_memory": MEMORY_SPREAD**-2 + 0.1 * count,
        "noise_early": EARLY_SD**-2 + 2 * early,
        "noise_share_exponent": SHARE_EXPONENT_SD**-2 + 2 * rare,
        "spread": np.array(SPREAD_SD**-2 + groups),
    }
    return {name: 1 / np.sqrt(np.asarray(precision, float)) for name, precision in precisions.items()}


def starts(map: Map, chains: int, rng: np.random.Generator) -> Float[np.ndarray, "chain flat"]:
    """Flat coordinates of starting places."""
    return WIDE * rng.standard_normal((chains, map.size))

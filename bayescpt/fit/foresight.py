"""Log predictive density of runs that a fit has not seen."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import logsumexp

from bayescpt.data.table import Table
from bayescpt.fit.astray import base_effect, drift, drift_scale
from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.fit import Draws, Fit
from bayescpt.laws import BILLION
from bayescpt.model.layout import Rows, layout_of
from bayescpt.model.model import Model, base_deviation
from bayescpt.model.noise import NoiseDraw, RunDistribution, loudness_of
from bayescpt.schema import TARGETS


def run_densities(fit: Fit, held: Table) -> Float[np.ndarray, "draw run"]:
    """Log density of every run of ``held`` given each draw, both targets together; nats.

    What a law misses at a base is the fit's own estimate where it has seen that base with the domain, else inherited
    from bases of similar size; beyond the data it may go astray (fit/astray.py).
    Runs are in the order of ``held.runs``; one without rows is NaN.
    """
    found = np.full((fit.size, len(held.runs)), np.nan)
    for code, domain in enumerate(held.domains):
        mine = held.domain == code
        if not mine.any():
            continue
        one = np.zeros(len(held.domains), np.int64)
        layout = layout_of(held.select(mine), fit.model.law, one, reference=fit.reference, known=fit.table)
        draws = fit.draws(domain)
        names = [held.bases[base] for base, _ in layout.bases[0] if base >= 0]
        effect = _effects(fit, draws, domain, names, held)
        tokens = np.asarray(layout.rows.point.tokens) * BILLION
        size = np.asarray(layout.rows.point.size) * BILLION
        astray = jnp.asarray(drift_scale(fit, size, tokens))
        way = np.stack([drift(fit, draws, domain, target) for target in TARGETS], axis=-1)
        shape = (draws.noise_memory, draws.noise_share_exponent, draws.noise_early, draws.noise_df)
        of_target = (draws.base_sd[:, None], draws.run_sd, draws.noise_sd[:, None], *shape)
        noise = NoiseDraw(*(jnp.moveaxis(jnp.asarray(values), -1, 0) for values in of_target))
        theta = {name: jnp.asarray(values).T for name, values in draws.theta.items()}
        density = np.asarray(
            _densities(fit.model, theta, jnp.asarray(effect), jnp.asarray(way), noise, layout.rows, astray)
        )
        slots = layout.runs[0] >= 0
        found[:, layout.runs[0][slots]] = density[:, slots]
    return found


def _effects(
    fit: Fit, draws: Draws, domain: str, bases: list[str], held: Table
) -> Float[np.ndarray, "draw target base end"]:
    sizes = [float(held.base_size[held.bases.index(base)]) for base in bases]
    found = [
        [base_effect(fit, draws, domain, target, size, base) for base, size in zip(bases, sizes, strict=True)]
        for target in TARGETS
    ]
    return np.moveaxis(np.array(found), -1, 0)


@partial(quick_jit, static_argnums=0)
def _densities(
    model: Model,
    theta: dict[str, Array],
    effect: Array,
    way: Array,
    noise: NoiseDraw,
    rows: Rows,
    astray: Array,
) -> Array:
    def one(drawn: tuple[dict[str, Array], Array, Array, NoiseDraw]) -> Array:
        theta, effect, way, noise = drawn
        mean = model.losses(jax.tree.map(lambda leaf: leaf[:, None], theta), rows.point)
        mean += base_deviation(effect[:, None], noise, rows)
        mean += loudness_of(noise, rows) * way[:, None, None, None] * astray
        return RunDistribution(mean, noise, rows, model.noise.heavy).log_prob(rows.loss).sum(0)[0]

    return jax.lax.map(one, (theta, effect, way, noise), batch_size=64)


def expected_density(densities: Float[np.ndarray, "draw run"]) -> Float[np.ndarray, " run"]:
    """log of the mean density over draws: the log predictive density of every run."""
    return np.asarray(logsumexp(densities, axis=0)) - np.log(len(densities))

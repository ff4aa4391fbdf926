"""Log predictive density of runs that a fit has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

ENOUGH = 50
"""Effective draws below which a log predictive density is chance."""
COPIES = 32
ANOTHER = 1_000_003
"""What is added to a seed for another draw of what is new."""


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
        layout = layout_of(held.select(mine), fit.model.law, one, fit.model.use_se, fit.reference, known=fit.table)
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
        # a draw of which the law overflows there foresees nothing
        density = np.where(np.isnan(density), -np.inf, density)
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


@dataclass(frozen=True)
class Foreseen:
    """What a fit says of runs that it has not seen.

    Args:
        density: log predictive density, nats; NaN for runs without rows.
        effective: how many of the draws carry it: 1 / sum of squared weights, with weights as their densities.
        variance: of the sum of ``density``, from there being so many draws and no more.
    """

    density: Float[np.ndarray, " run"]
    effective: Float[np.ndarray, " run"]
    variance: float


def foreseen(fit: Fit, held: Table) -> Foreseen:
    """The log predictive density of every run of ``held``, and how much of it is chance of the draws.

    A run of many checkpoints is unlikely under most draws, the more so where its domain or base is new and drawn from
    the population. What is new is drawn again, up to ``COPIES`` times a posterior draw, until every run rests on
    ``ENOUGH`` effective draws.
    """
    parts = [run_densities(fit, held)]
    there = ~np.isnan(parts[0]).all(axis=0)
    new = bool(_bases_and_domains(held) - _bases_and_domains(fit.table))
    while new and len(parts) < COPIES and _effective(np.stack(parts)[..., there]).min(initial=np.inf) < ENOUGH:
        parts.append(run_densities(replace(fit, seed=fit.seed + len(parts) * ANOTHER), held))
    whole = np.stack(parts)
    density, effective = np.full(len(there), np.nan), np.full(len(there), np.nan)
    density[there] = expected_density(whole.reshape(-1, len(there))[:, there])
    effective[there] = _effective(whole[..., there])
    # by posterior draw, whose copies are not independent; runs hang together through it
    if not np.isfinite(density[there]).all():
        return Foreseen(density, effective, np.inf)
    shares = np.exp(whole[..., there] - density[there]).mean(axis=0)
    chains = fit.posterior.sizes["chain"]
    return Foreseen(density, effective, variance_of_mean(shares.sum(axis=1).reshape(chains, -1)))


def variance_of_mean(values: Float[np.ndarray, "chain draw"]) -> float:
    """Of the mean of draws that hang together along their chain."""
    import arviz_stats  # a second, which only comparison needs

    variance = float(values.var())
    return variance / float(arviz_stats.ess(values, method="mean")) if variance > 0 else 0.0


def _bases_and_domains(table: Table) -> set[tuple[str, str]]:
    """Pairs that have training rows: what a law misses at a base is known by the domain."""
    pairs = np.unique(np.stack([table.base, table.domain]), axis=1).T
    return {(table.bases[base], table.domains[domain]) for base, domain in pairs}


def _effective(densities: Float[np.ndarray, "copy draw run"]) -> Float[np.ndarray, " run"]:
    flat = densities.reshape(-1, densities.shape[-1])
    total = logsumexp(flat, axis=0)
    weights = np.exp(flat - np.where(np.isfinite(total), total, 0.0))
    carried = (weights**2).sum(axis=0)
    return np.divide(1.0, carried, out=np.zeros_like(carried), where=carried > 0)


def expected_density(densities: Float[np.ndarray, "draw run"]) -> Float[np.ndarray, " run"]:
    """log of the mean density over draws: the log predictive density of every run."""
    return np.asarray(logsumexp(densities, axis=0)) - np.log(len(densities))

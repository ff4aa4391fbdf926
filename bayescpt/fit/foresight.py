"""Log predictive density of runs that a fit has not seen."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import logsumexp

from bayescpt.data.table import Table
from bayescpt.fit.fit import Draws, Fit
from bayescpt.model.layout import Rows, layout_of
from bayescpt.model.model import Model, base_deviation
from bayescpt.model.noise import NoiseDraw, RunDistribution
from bayescpt.schema import TARGETS


def run_densities(fit: Fit, held: Table) -> Float[np.ndarray, "draw run"]:
    """Log density of every run of ``held`` given each draw, both targets together; nats.

    What a law misses at a base is the fit's own estimate where it has seen that base with the domain, else drawn anew.
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
        effect = _effects(fit, draws, domain, [held.bases[base] for base, _ in layout.bases[0] if base >= 0])
        sd = draws.noise_sd[:, None]
        shape = (draws.noise_memory, draws.noise_share_exponent, draws.noise_early, draws.noise_df)
        of_target = (draws.base_sd, draws.run_sd, sd, *shape)
        noise = NoiseDraw(*(jnp.moveaxis(jnp.asarray(values), -1, 0) for values in of_target))
        theta = {name: jnp.asarray(values).T for name, values in draws.theta.items()}
        density = np.asarray(_densities(fit.model, theta, jnp.asarray(effect), noise, layout.rows))
        slots = layout.runs[0] >= 0
        found[:, layout.runs[0][slots]] = density[:, slots]
    return found


def _effects(fit: Fit, draws: Draws, domain: str, bases: list[str]) -> Float[np.ndarray, "draw target base"]:
    effects = np.empty((fit.size, len(TARGETS), len(bases)))
    for place, base in enumerate(bases):
        for t, target in enumerate(TARGETS):
            known = draws.base_effects[t, fit.table.bases.index(base)] if base in fit.table.bases else None
            if known is None or np.isnan(known).any():
                rng = fit.rng("base effect", domain, target, base)
                known = draws.base_sd[t] * rng.standard_normal(fit.size)
            effects[:, t, place] = known
    return effects


@partial(jax.jit, static_argnums=0)
def _densities(model: Model, theta: dict[str, Array], effect: Array, noise: NoiseDraw, rows: Rows) -> Array:
    def one(drawn: tuple[dict[str, Array], Array, NoiseDraw]) -> Array:
        theta, effect, noise = drawn
        mean = model.losses(jax.tree.map(lambda leaf: leaf[:, None], theta), rows.point)
        mean += base_deviation(effect[:, None], noise, rows)
        return RunDistribution(mean, noise, rows, model.noise.heavy).log_prob(rows.loss).sum(0)[0]

    return jax.lax.map(one, (theta, effect, noise), batch_size=64)


def expected_density(densities: Float[np.ndarray, "draw run"]) -> Float[np.ndarray, " run"]:
    """log of the mean density over draws: the log predictive density of every run."""
    return np.asarray(logsumexp(densities, axis=0)) - np.log(len(densities))

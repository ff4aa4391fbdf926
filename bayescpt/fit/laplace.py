"""A fast fit at the mode: empirical-Bayes EM around batched Levenberg-Marquardt, one problem per target and group.

It gives the sampler its coordinates (the map of whiten.py) and its start, and an approximate posterior of its own.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.optim import Adam

from bayescpt.laws import Reference
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model, ends_of
from bayescpt.model.noise import (
    BASE_SPREAD,
    EARLY_SD,
    MEMORY_SPREAD,
    SHARE_EXPONENT_SD,
    Kernel,
    Noise,
    NoiseDraw,
    RunDistribution,
    independent,
    inverse_ends,
    kernel_of,
    loudness_of,
)
from bayescpt.model.population import Moments
from bayescpt.model.whiten import Whitening, unwhitened
from bayescpt.schema import TARGETS

DF = 5.0
"""Degrees of freedom of the robust weights where noise is heavy; the sampler estimates its own."""
OUTER, INNER, NOISE_STEPS = 25, 5, 6
LEAST_SD = 1e-3
"""Floor of scales in nats, so that an exactly fitted table still has a finite curvature."""


class Mode(NamedTuple):
    """The fit at the mode."""

    sites: dict[str, Array]
    """values of the population and of the noise"""
    latent: Float[Array, "target group latent"]
    whitening: Whitening
    roots: dict[str, Array]
    """Cholesky factors of the covariances of the population's sites, as the hierarchy has them"""


class Levels(NamedTuple):
    """Noise in unconstrained form."""

    log_base_sd: Float[Array, " target"]
    log_run_sd: Float[Array, " target"]
    log_sd: Float[Array, "target group"]
    log_memory: Float[Array, " target"]
    share_exponent: Float[Array, " target"]
    early: Float[Array, " target"]

    def draw(self) -> NoiseDraw:
        """The noise itself."""
        base_sd, run_sd, sd = (LEAST_SD + jnp.exp(v) for v in (self.log_base_sd, self.log_run_sd, self.log_sd))
        base_sd = base_sd[:, None] * sd / _typical(sd)[:, None]
        df = jnp.full(len(TARGETS), DF)
        return NoiseDraw(base_sd, run_sd, sd, jnp.exp(self.log_memory), self.share_exponent, self.early, df)


State = tuple[dict[str, Array], Levels, Array, Array]
"""Of the EM: population, noise, latent vectors, and the precision that the rows give them."""
Search = tuple[Array, Array, Array]
"""Of the inner steps: latent vector, its penalty, damping."""


class _Group(NamedTuple):
    """One target and group: rows, noise, and what its latent vector is drawn towards."""

    rows: Rows
    kernel: Kernel
    inverse: Float[Array, "slot two two"]
    louder: Float[Array, "slot checkpoint"]
    loc: Float[Array, " latent"]
    precision: Float[Array, "latent latent"]


@partial(jax.jit, static_argnames=("model",))
def laplace(model: Model, rows: Rows, reference: Reference) -> Mode:
    """Mode and local covariance of ``model`` on ``rows``."""
    targets, groups = rows.loss.shape[:2]
    bases = rows.base_root.shape[-1]
    law, hierarchy = model.law, model.hierarchy
    count = len(law.coordinates)
    alike_inverse = jnp.linalg.inv(jnp.einsum("gij,gkj->gik", rows.base_root, rows.base_root))

    def mean(latent: Array, group: _Group) -> Array:
        theta = law.natural(latent[:count], reference, group.rows.point.base_share[0, 0])
        losses = jax.vmap(jax.vmap(law.loss, in_axes=(None, 0)), in_axes=(None, 0))(theta, group.rows.point)
        start, end = (effect[:, None] for effect in ends_of(latent[count:], bases)[group.rows.base].T)
        along = group.rows.progress
        return losses + group.louder * ((1 - along) * start + along * end)

    def scores(latent: Array, group: _Group) -> tuple[Array, Array]:
        """Residuals made independent, and how far every run is off."""
        residual = independent(group.kernel, group.rows.loss - mean(latent, group))
        pull = jnp.einsum("ski,sk->si", group.kernel.ends, residual)
        distance = jnp.sum(residual**2, -1) - jnp.einsum("si,sij,sj->s", pull, group.inverse, pull)
        return residual, distance

    def penalty(latent: Array, group: _Group) -> Array:
        _, distance = scores(latent, group)
        size = group.rows.mask.sum(-1)
        fit = 0.5 * jnp.sum((DF + size) * jnp.log1p(distance / DF) if model.noise.heavy else distance)
        away = latent - group.loc
        return fit + 0.5 * away @ group.precision @ away

    def curvature(latent: Array, group: _Group) -> tuple[Array, Array]:
        """Gauss-Newton precision of the latent vector, and the slope of the likelihood."""
        residual, distance = scores(latent, group)
        jacobian = jax.jacfwd(lambda at: independent(group.kernel, mean(at, group)))(latent)
        size = group.rows.mask.sum(-1)
        weight = (DF + size) / (DF + distance) if model.noise.heavy else jnp.ones_like(distance)
        caught = jnp.einsum("ski,skl->sil", group.kernel.ends, jacobian)
        pull = jnp.einsum("ski,sk->si", group.kernel.ends, residual)
        precision = jnp.einsum("s,skl,skm->lm", weight, jacobian, jacobian)
        precision -= jnp.einsum("s,sil,sij,sjm->lm", weight, caught, group.inverse, caught)
        slope = jnp.einsum("s,skl,sk->l", weight, jacobian, residual)
        slope -= jnp.einsum("s,sil,sij,sj->l", weight, caught, group.inverse, pull)
        return precision, slope

    def step(carry: Search, _: None, group: _Group) -> tuple[Search, None]:
        latent, value, damping = carry
        precision, slope = curvature(latent, group)
        total = precision + group.precision
        damped = total + damping * jnp.diag(jnp.diagonal(total))
        proposal = latent + jnp.linalg.solve(damped, slope - group.precision @ (latent - group.loc))
        proposed = penalty(proposal, group)
        better = proposed < value  # False for NaN: the step is refused
        damping = jnp.where(better, damping / 5, damping * 5)
        return (jnp.where(better, proposal, latent), jnp.where(better, proposed, value), damping), None

    def solve(latent: Array, group: _Group) -> tuple[Array, Array]:
        begin = (latent, penalty(latent, group), jnp.asarray(1e-2))
        (latent, _, _), _ = jax.lax.scan(partial(step, group=group), begin, None, length=INNER)
        return latent, curvature(latent, group)[0]

    def of_population(sites: dict[str, Array], noise: NoiseDraw) -> _Group:
        population = hierarchy.population(law, sites, groups)
        first, last = count + bases, count + 2 * bases
        loc = jnp.zeros((targets, groups, last)).at[..., :count].set(population.mean)
        inverse = jnp.linalg.inv(population.root)
        precision = jnp.zeros((targets, groups, last, last))
        precision = precision.at[..., :count, :count].set(jnp.einsum("tki,tkj->tij", inverse, inverse)[:, None])
        own = alike_inverse / noise.base_sd[:, :, None, None] ** 2
        precision = precision.at[..., count:first, count:first].set(own).at[..., first:, first:].set(own)
        kernel = kernel_of(noise, rows)
        shared = (rows.base, rows.base_root, rows.traits, rows.trait_se)
        base, base_root, traits, trait_se = (jnp.broadcast_to(v, (targets, *v.shape)) for v in shared)
        of_group = rows._replace(base=base, base_root=base_root, traits=traits, trait_se=trait_se)
        return _Group(of_group, kernel, inverse_ends(kernel)[0], loudness_of(noise, rows), loc, precision)

    def noise_penalty(levels: Levels, residual: Array, effect: Array, covariance: Array) -> Array:
        draw = levels.draw()
        fit = RunDistribution(jnp.zeros_like(residual), draw, rows, model.noise.heavy).log_prob(residual).sum()
        held = rows.base_mask[..., :, None] * rows.base_mask[..., None, :] * alike_inverse
        second = sum(
            e[..., :, None] * e[..., None, :] + covariance[..., end, :][..., end]
            for e, end in ((effect[..., :bases], slice(0, bases)), (effect[..., bases:], slice(bases, None)))
        )
        fit -= jnp.sum(2 * rows.base_mask.sum(-1) * jnp.log(draw.base_sd))
        fit -= 0.5 * jnp.sum(jnp.sum(held * second, (-1, -2)) / draw.base_sd**2)
        return -fit - log_prior(model.noise, levels)

    optimiser = Adam(0.15)
    batched = jax.vmap(jax.vmap(solve))

    def em(state: State, _: None) -> tuple[State, None]:
        sites, levels, latent = state[:3]
        group = of_population(sites, levels.draw())
        latent, precision = batched(latent, group)
        covariance = jnp.linalg.inv(precision + group.precision)
        own = Moments(latent[..., :count], covariance[..., :count, :count], sites)
        sites = hierarchy.maximised(law, rows, own)
        residual = rows.loss - jax.vmap(jax.vmap(mean))(latent, group)
        of_bases = covariance[..., count:, count:]
        slope = jax.grad(noise_penalty)

        def descend(at: Any, _: None) -> tuple[Any, None]:
            return optimiser.update(slope(optimiser.get_params(at), residual, latent[..., count:], of_bases), at), None

        moved, _ = jax.lax.scan(descend, optimiser.init(levels), None, length=NOISE_STEPS)
        return (sites, optimiser.get_params(moved), latent, precision), None

    sites, levels = hierarchy.maximised(law, rows, None), first_levels(model.noise, targets, groups)
    group = of_population(sites, levels.draw())
    begin = (sites, levels, group.loc, jnp.zeros_like(group.precision))
    (sites, levels, latent, precision), _ = jax.lax.scan(em, begin, None, length=OUTER)
    noise = levels.draw()
    group = of_population(sites, noise)
    covariance = jnp.linalg.inv(precision + group.precision)
    follow = covariance[..., :count] @ group.precision[..., :count, :count]
    whitening = Whitening(latent, jnp.linalg.cholesky(covariance), group.loc[..., :count], follow)
    # a group whose coordinates follow their mean by F says P (I - F) of it, with P the prior precision around the mean
    prior = group.precision[..., :count, :count]
    roots = hierarchy.roots(law, rows, sites, prior - prior @ follow[..., :count, :])
    return Mode(sites | noise_sites(model.noise, noise), latent, whitening, roots)


def first_levels(noise: Noise, targets: int, groups: int) -> Levels:
    """Where the search for the noise begins: wide, but for bases, which else take the effect of size for themselves."""
    base = jnp.full(targets, jnp.log(noise.base_scale))
    each = jnp.full(targets, jnp.log(noise.run_scale))
    memory = jnp.full(targets, jnp.log(noise.memory))
    return Levels(
        base,
        each,
        jnp.full((targets, groups), jnp.log(0.05)),
        memory,
        jnp.full(targets, noise.share_exponent),
        jnp.full(targets, noise.early),
    )


def log_prior(noise: Noise, levels: Levels) -> Array:
    """Log density of the noise's prior at its levels, up to a constant; scales by their logarithms."""
    draw = levels.draw()
    typical = levels.log_sd.mean(1)
    value = -0.5 * jnp.sum((levels.log_sd - typical[:, None]) ** 2) / noise.group_spread**2
    value -= 0.5 * jnp.sum(((jnp.log(_typical(draw.base_sd)) - jnp.log(noise.base_scale)) / BASE_SPREAD) ** 2)
    scales = ((draw.run_sd, noise.run_scale), (jnp.exp(typical), noise.wander_scale))
    for scale, prior in scales:
        value += jnp.sum(jnp.log(scale) - 0.5 * (scale / prior) ** 2)
    value -= 0.5 * jnp.sum(((levels.log_memory - jnp.log(noise.memory)) / MEMORY_SPREAD) ** 2)
    value -= 0.5 * jnp.sum(((levels.early - noise.early) / EARLY_SD) ** 2)
    return value - 0.5 * jnp.sum(((levels.share_exponent - noise.share_exponent) / SHARE_EXPONENT_SD) ** 2)


def noise_sites(noise: Noise, draw: NoiseDraw) -> dict[str, Array]:
    """Values of the sites of the noise."""
    sites = {
        "base_sd": _typical(draw.base_sd),
        "run_sd": draw.run_sd,
        "noise_typical": _typical(draw.sd),
        "log_noise_sd": jnp.log(draw.sd),
        "noise_memory": draw.memory,
        "noise_share_exponent": draw.share_exponent,
        "noise_early": draw.early,
    }
    return sites | ({"df_excess": draw.df - 2.0} if noise.heavy else {})


def _typical(of_groups: Float[Array, "target group"]) -> Float[Array, " target"]:
    return jnp.exp(jnp.log(of_groups).mean(1))


@partial(jax.jit, static_argnames=("model", "draws"))
def mode_draws(model: Model, mode: Mode, key: PRNGKeyArray, draws: int) -> dict[str, Array]:
    """Draws of all sites around the mode: those of the population that it moves, then the latent vectors given them."""
    groups = mode.latent.shape[1]
    law, hierarchy = model.law, model.hierarchy
    count = len(law.coordinates)
    population_key, white_key = jax.random.split(key)
    sites = {name: jnp.broadcast_to(value, (draws, *value.shape)) for name, value in mode.sites.items()}
    sites |= hierarchy.around(mode.sites, mode.roots, population_key, draws)
    own = {name: sites[name] for name in hierarchy.sites}
    mean = jax.vmap(lambda one: hierarchy.population(law, one, groups).mean, axis_size=draws)(own)
    white = jax.random.normal(white_key, (draws, *mode.latent.shape))
    latent = jax.vmap(unwhitened, in_axes=(0, 0, None))(white, mean, mode.whitening)
    sites["coordinates"] = latent[..., :count]
    sites["base_effect"] = ends_of(latent[..., count:], (latent.shape[-1] - count) // 2)
    sites["noise_sd"] = jnp.exp(sites["log_noise_sd"])
    if "df_excess" in sites:
        sites["noise_df"] = 2.0 + sites["df_excess"]
    return sites

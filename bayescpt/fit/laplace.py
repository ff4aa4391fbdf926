"""A fast fit at the mode: empirical-Bayes EM around batched Levenberg-Marquardt, one problem per target and group.

It gives the sampler its coordinates (the map of whiten.py) and its start, and an approximate posterior of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.optim import Adam

from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.linear import inverse, inverse_root, solve
from bayescpt.laws import Reference
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model
from bayescpt.model.noise import (
    BASE_SPREAD,
    EARLY_SD,
    MEMORY_SPREAD,
    SHARE_EXPONENT_SD,
    Kernel,
    Noise,
    NoiseDraw,
    kernel_of,
    loudness_of,
    run_distance,
    scores_of,
)
from bayescpt.model.population import Moments
from bayescpt.schema import TARGETS

DF = 5.0
"""Degrees of freedom of the robust weights where noise is heavy; the sampler estimates its own."""
OUTER, INNER, NOISE_STEPS = 25, 5, 6
RATE, DECAY = 0.15, 0.975
"""Step of the search for the noise, and how it shrinks from step to step: 0.15 to 0.003 over all of them."""
DIFFERENCE = 1e-5
"""Of coordinates and noise levels, which are logarithms and logits, in derivatives by differences."""
LEAST_SD = 1e-3
"""Floor of scales in nats, so that an exactly fitted table still has a finite curvature."""


class Mode(NamedTuple):
    """The fit at the mode."""

    sites: dict[str, Array]
    """values of the population and of the noise"""
    latent: Float[Array, "target group latent"]
    told: Float[Array, "target group latent latent"]
    """precision that the rows give the latent vectors"""
    held: Float[Array, "target group latent latent"]
    """precision of their prior"""
    loc: Float[Array, "target group latent"]
    """mean of their prior"""
    base_sd: Float[Array, "target group"]
    roots: dict[str, Array]
    """Cholesky factors of the covariances of the population's sites, as the hierarchy has them"""


class State(NamedTuple):
    """Of the EM."""

    sites: dict[str, Array]
    """of the population"""
    optimiser: Any
    """noise levels on their way"""
    latent: Float[Array, "target group latent"]
    precision: Float[Array, "target group latent latent"]
    """that the rows give the latent vectors"""


class Prior(NamedTuple):
    """What the latent vectors are drawn towards, and the noise around them."""

    loc: Float[Array, "target group latent"]
    precision: Float[Array, "target group latent latent"]
    kernel: Kernel
    louder: Array


class Fitted(NamedTuple):
    """Where a latent vector is, and what the rows say there."""

    latent: Float[Array, "target group latent"]
    penalty: Float[Array, "target group"]
    precision: Float[Array, "target group latent latent"]
    """Gauss-Newton, of the rows alone"""
    slope: Float[Array, "target group latent"]
    """of the log likelihood"""
    residual: Float[Array, "target group slot checkpoint"]


@partial(quick_jit, brief=True, static_argnames=("model",))
def laplace(model: Model, rows: Rows, reference: Reference) -> Mode:
    """Mode and local covariance of ``model`` on ``rows``."""
    targets, groups = rows.loss.shape[:2]
    bases = rows.base_root.shape[-1]
    law, hierarchy = model.law, model.hierarchy
    count = len(law.coordinates)
    width = count + 2 * bases
    alike_inverse = jnp.einsum("gki,gkj->gij", rows.base_inverse, rows.base_inverse)
    chosen = (rows.base[..., None] == jnp.arange(bases)).astype(rows.loss.dtype)[:, :, None]
    size = rows.mask.sum(-1)

    def prior_of(sites: dict[str, Array], noise: NoiseDraw) -> Prior:
        population = hierarchy.population(law, sites, groups)
        loc = jnp.zeros((targets, groups, width)).at[..., :count].set(population.mean)
        half = inverse_root(population.root)
        whole = jnp.einsum("tki,tkj->tij", half, half)
        own = alike_inverse / noise.base_sd[:, :, None, None] ** 2
        blocks = (jnp.broadcast_to(whole[:, None], (targets, groups, count, count)), own, own)
        return Prior(loc, block_diagonal(blocks), kernel_of(noise, rows), loudness_of(noise, rows))

    def jacobian(latent: Array, louder: Array) -> tuple[Array, Array]:
        """Expected losses, and their derivatives by the latent vector."""
        coordinates = latent[..., :count]
        theta, by_coordinate = natural_slopes(model, coordinates, reference)
        losses, slopes = model.slopes(theta, rows.point)
        names = sorted(theta)
        by_row = jnp.stack([jnp.broadcast_to(slopes[name], rows.loss.shape) for name in names], -1)
        own = jnp.einsum("tgscp,tgpk->tgsck", by_row, jnp.stack([by_coordinate[name] for name in names], -2))
        start, end = ((louder * along)[..., None] * chosen for along in (1 - rows.progress, rows.progress))
        start, end = (jnp.broadcast_to(effect, (*rows.loss.shape, bases)) for effect in (start, end))
        columns = jnp.concatenate([own, start, end], -1)
        return losses + jnp.einsum("tgscb,tgb->tgsc", columns[..., count:], latent[..., count:]), columns

    def evaluate(latent: Array, prior: Prior) -> Fitted:
        """Penalty, precision and slope: one product of residuals and derivatives made independent."""
        expected, columns = jacobian(latent, prior.louder)
        residual = rows.loss - expected
        whole = jnp.concatenate([columns, residual[..., None]], -1)
        kernel = prior.kernel
        scale, keep, mask = kernel.scale[..., None], kernel.keep[..., None], kernel.mask[..., None]
        scaled = whole / scale
        before = jnp.pad(scaled[..., :-1, :], [(0, 0)] * 3 + [(1, 0), (0, 0)])
        made = mask * (scaled - keep * before) / jnp.sqrt(1 - keep**2)
        scores = scores_of(kernel)
        first, second = (jnp.sum(end[..., None] * made, -2) for end in kernel.ends)
        # what the scores of a run take out, as two rows of it
        lost = (first, second - (scores.both / scores.first)[..., None] * first)
        widths = (scores.first, scores.determinant / scores.first)
        taken = jnp.stack([row / jnp.sqrt(square)[..., None] for row, square in zip(lost, widths, strict=True)], -2)
        distance = jnp.sum(made[..., -1] ** 2, -1) - jnp.sum(taken[..., -1] ** 2, -1)
        weight = (DF + size) / (DF + distance) if model.noise.heavy else jnp.ones_like(distance)
        root = jnp.sqrt(weight)[..., None, None]
        made, taken = ((root * part).reshape(targets, groups, -1, width + 1) for part in (made, taken))
        product = jnp.einsum("tgri,tgrj->tgij", made, made) - jnp.einsum("tgri,tgrj->tgij", taken, taken)
        fit = 0.5 * jnp.sum((DF + size) * jnp.log1p(distance / DF) if model.noise.heavy else distance, -1)
        away = latent - prior.loc
        penalty = fit + 0.5 * jnp.einsum("tgi,tgij,tgj->tg", away, prior.precision, away)
        return Fitted(latent, penalty, product[..., :-1, :-1], product[..., :-1, -1], residual)

    def step(carry: tuple[Fitted, Array], number: Array, prior: Prior) -> tuple[tuple[Fitted, Array], None]:
        """One Levenberg-Marquardt step; the first stays where it is, to see that place with the noise of now."""
        at, damping = carry
        total = at.precision + prior.precision
        damped = total + damping[..., None, None] * (total * jnp.eye(width))
        slope = at.slope - jnp.einsum("tgij,tgj->tgi", prior.precision, at.latent - prior.loc)
        proposed = evaluate(jnp.where(number > 0, at.latent + solve(damped, slope), at.latent), prior)
        better = (proposed.penalty < at.penalty) | (number == 0)  # False for NaN: the step is refused
        damping = jnp.where(number == 0, damping, jnp.where(better, damping / 5, damping * 5))

        def chosen_of(new: Array, old: Array) -> Array:
            return jnp.where(better.reshape(better.shape + (1,) * (new.ndim - 2)), new, old)

        return (jax.tree.map(chosen_of, proposed, at), damping), None

    def run_penalty(levels: Array, residual: Array) -> Array:
        """Minus log likelihood of the runs of every group, constants aside."""
        distance, volume = run_distance(kernel_of(noise_of(levels), rows), residual)
        fit = 0.5 * (DF + size) * jnp.log1p(distance / DF) if model.noise.heavy else 0.5 * distance
        return jnp.sum(fit + volume, -1)

    def rest_penalty(levels: Array, effect: Array, covariance: Array) -> Array:
        """Minus log density of the bases' effects and of the noise itself."""
        draw = noise_of(levels)
        held = rows.base_mask[..., :, None] * rows.base_mask[..., None, :] * alike_inverse
        second = sum(
            e[..., :, None] * e[..., None, :] + covariance[..., end, :][..., end]
            for e, end in ((effect[..., :bases], slice(0, bases)), (effect[..., bases:], slice(bases, None)))
        )
        fit = jnp.sum(2 * rows.base_mask.sum(-1) * jnp.log(draw.base_sd))
        fit += 0.5 * jnp.sum(jnp.sum(held * second, (-1, -2)) / draw.base_sd**2)
        return fit - log_prior(model.noise, levels)

    def noise_slope(levels: Array, residual: Array, effect: Array, covariance: Array) -> Array:
        # Differences, because they compile in a third of the time; a group's runs know its own level and the shared
        # ones
        shared = jnp.eye(SHARED + 1)[1:]
        moves = jnp.concatenate([shared[:, :SHARED], jnp.repeat(shared[:, SHARED:], groups, 1)], 1)

        def difference(move: Array) -> Array:
            up, down = (run_penalty(levels + side * move, residual) for side in (DIFFERENCE, -DIFFERENCE))
            return (up - down) / (2 * DIFFERENCE)

        by_group = jax.vmap(difference)(moves)
        of_runs = jnp.concatenate([by_group[:-1].sum(-1).T, by_group[-1]], 1)
        lost = jnp.zeros((targets, 1))
        return jnp.concatenate([lost, of_runs], 1) + jax.grad(rest_penalty)(levels, effect, covariance)

    optimiser = Adam(lambda number: RATE * DECAY**number)

    def em(state: State, _: None) -> tuple[State, None]:
        levels = optimiser.get_params(state.optimiser)
        prior = prior_of(state.sites, noise_of(levels))
        nothing = Fitted(
            state.latent,
            jnp.full((targets, groups), jnp.inf),
            state.precision,
            jnp.zeros_like(state.latent),
            jnp.zeros_like(rows.loss),
        )
        begin = (nothing, jnp.full((targets, groups), 1e-2))
        (at, _damping), _ = jax.lax.scan(partial(step, prior=prior), begin, jnp.arange(INNER + 1))
        covariance = inverse(at.precision + prior.precision)
        own = Moments(at.latent[..., :count], covariance[..., :count, :count], state.sites)
        sites = hierarchy.maximised(law, rows, own)
        effects = (at.latent[..., count:], covariance[..., count:, count:])

        def descend(noise: Any, _: None) -> tuple[Any, None]:
            return optimiser.update(noise_slope(optimiser.get_params(noise), at.residual, *effects), noise), None

        noise, _ = jax.lax.scan(descend, state.optimiser, None, length=NOISE_STEPS)
        return State(sites, noise, at.latent, at.precision), None

    sites, levels = hierarchy.maximised(law, rows, None), first_levels(model.noise, targets, groups)
    loc = prior_of(sites, noise_of(levels)).loc
    begin = State(sites, optimiser.init(levels), loc, jnp.broadcast_to(jnp.eye(width), (targets, groups, width, width)))
    state, _ = jax.lax.scan(em, begin, None, length=OUTER)
    noise = noise_of(optimiser.get_params(state.optimiser))
    prior = prior_of(state.sites, noise)
    covariance = inverse(state.precision + prior.precision)
    follow = covariance[..., :count] @ prior.precision[..., :count, :count]
    # a group whose coordinates follow their mean by F says P (I - F) of it, with P the prior precision around the mean
    own = prior.precision[..., :count, :count]
    roots = hierarchy.roots(law, rows, state.sites, own - own @ follow[..., :count, :])
    sites = state.sites | noise_sites(model.noise, noise)
    return Mode(sites, state.latent, state.precision, prior.precision, prior.loc, noise.base_sd, roots)


def found_mode(model: Model, rows: Rows, reference: Reference) -> Mode:
    """The mode, where there is one.

    Raises ValueError where no mode with a finite curvature is found: sampling begins there too.
    """
    mode = laplace(model, rows, reference)
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(mode)):
        raise ValueError(
            f"no mode of the law '{model.law.name}' with a finite curvature was found on these rows, from which both a "
            "quick look and sampling begin: look at the rows (bayescpt check), or fit another law or pooling"
        )
    return mode


def natural_slopes(
    model: Model, coordinates: Float[Array, "target group coordinate"], reference: Reference
) -> tuple[dict[str, Array], dict[str, Float[Array, "target group coordinate"]]]:
    """Natural parameters and their derivatives by the coordinates.

    By central differences, whose error of 1e-10 is of no account here: exact ones take twice as long to compile.
    """
    count = coordinates.shape[-1]
    moves = DIFFERENCE * jnp.concatenate([jnp.eye(count), -jnp.eye(count), jnp.zeros((1, count))])
    theta = jax.vmap(lambda move: model.natural(coordinates + move, reference))(moves)
    slopes = {name: (v[:count] - v[count:-1]) / (2 * DIFFERENCE) for name, v in theta.items()}
    return {name: v[-1] for name, v in theta.items()}, {name: jnp.moveaxis(v, 0, -1) for name, v in slopes.items()}


def block_diagonal(blocks: Sequence[Array]) -> Float[Array, "target group all all"]:
    """Matrices with these blocks along their diagonals."""
    width = sum(block.shape[-1] for block in blocks)
    whole, place = jnp.zeros((*blocks[0].shape[:2], width, width)), 0
    for block in blocks:
        own = slice(place, place + block.shape[-1])
        whole, place = whole.at[..., own, own].set(block), own.stop
    return whole


SHARED = 5
"""Noise levels of a target that its groups have in common: log base_sd, log run_sd, log memory, share exponent, early;
the logarithms of the groups' sd follow them."""


def noise_of(levels: Float[Array, "target level"]) -> NoiseDraw:
    """The noise from its unconstrained levels."""
    base, run, memory, share_exponent, early = levels[:, :SHARED].T
    base_sd, run_sd, sd = (LEAST_SD + jnp.exp(v) for v in (base, run, levels[:, SHARED:]))
    df = jnp.full(len(TARGETS), DF)
    return NoiseDraw(
        base_sd[:, None] * sd / _typical(sd)[:, None], run_sd, sd, jnp.exp(memory), share_exponent, early, df
    )


def first_levels(noise: Noise, targets: int, groups: int) -> Float[Array, "target level"]:
    """Where the search for the noise begins: wide, but for bases, which else take the effect of size for themselves."""
    scales = (math.log(scale) for scale in (noise.base_scale, noise.run_scale, noise.memory))
    shared = [*scales, noise.share_exponent, noise.early]
    return jnp.broadcast_to(jnp.array([*shared, *[math.log(0.05)] * groups]), (targets, SHARED + groups))


def log_prior(noise: Noise, levels: Float[Array, "target level"]) -> Array:
    """Log density of the noise's prior at its levels, up to a constant; scales by their logarithms."""
    draw = noise_of(levels)
    log_sd = levels[:, SHARED:]
    typical = log_sd.mean(1)
    value = -0.5 * jnp.sum((log_sd - typical[:, None]) ** 2) / noise.group_spread**2
    value -= 0.5 * jnp.sum(((jnp.log(_typical(draw.base_sd)) - jnp.log(noise.base_scale)) / BASE_SPREAD) ** 2)
    scales = ((draw.run_sd, noise.run_scale), (jnp.exp(typical), noise.wander_scale))
    for scale, prior in scales:
        value += jnp.sum(jnp.log(scale) - 0.5 * (scale / prior) ** 2)
    value -= 0.5 * jnp.sum(((jnp.log(draw.memory) - jnp.log(noise.memory)) / MEMORY_SPREAD) ** 2)
    value -= 0.5 * jnp.sum(((draw.early - noise.early) / EARLY_SD) ** 2)
    return value - 0.5 * jnp.sum(((draw.share_exponent - noise.share_exponent) / SHARE_EXPONENT_SD) ** 2)


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


def mode_draws(model: Model, mode: Mode, key: PRNGKeyArray, draws: int) -> dict[str, np.ndarray]:
    """Draws of all sites around the mode: those of the population that it moves, then the latent vectors given them."""
    hierarchy, count = model.hierarchy, len(model.law.coordinates)
    # NumPy's numbers: JAX's take longer to compile than a mode to find
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    sites = {name: np.repeat(np.asarray(value)[None], draws, axis=0) for name, value in mode.sites.items()}
    sites |= hierarchy.around(mode.sites, mode.roots, rng, draws)
    own = {name: jnp.asarray(sites[name]) for name in hierarchy.sites}
    covariance = np.linalg.inv(np.asarray(mode.told + mode.held))
    follow = covariance @ np.asarray(mode.held)[..., :count]
    away = np.asarray(_means(model, own, mode.latent.shape[1], draws)) - np.asarray(mode.loc)[..., :count]
    white = rng.standard_normal((draws, *mode.latent.shape))
    latent = np.asarray(mode.latent) + np.einsum("tgik,dtgk->dtgi", follow, away, optimize=True)
    latent += np.einsum("tgij,dtgj->dtgi", np.linalg.cholesky(covariance), white, optimize=True)
    effects, bases = latent[..., count:], (latent.shape[-1] - count) // 2
    sites["coordinates"] = latent[..., :count]
    sites["base_effect"] = np.stack([effects[..., :bases], effects[..., bases:]], axis=-1)
    sites["noise_sd"] = np.exp(sites["log_noise_sd"])
    if "df_excess" in sites:
        sites["noise_df"] = 2.0 + sites["df_excess"]
    return sites


@partial(quick_jit, brief=True, static_argnames=("model", "groups", "draws"))
def _means(
    model: Model, sites: dict[str, Array], groups: int, draws: int
) -> Float[Array, "draw target group coordinate"]:
    """Means of the coordinates under draws of the population."""
    return jax.vmap(lambda one: model.hierarchy.population(model.law, one, groups).mean, axis_size=draws)(sites)

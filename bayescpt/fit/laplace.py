"""A fast fit at the mode: empirical-Bayes EM around batched Levenberg-Marquardt, one problem per target and domain.

It gives the sampler its coordinates (the map of whiten.py) and its start; its numbers never reach an answer.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws import Reference
from bayescpt.model.hierarchy import SPREAD_SD
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model
from bayescpt.model.noise import run_deviation, share_scale
from bayescpt.model.whiten import Whitening
from bayescpt.schema import TARGETS

DF = 5.0
"""Degrees of freedom of the robust weights; the sampler estimates its own."""
OUTER, INNER = 30, 6
LEAST_SD = 1e-3
"""Floor of residual and run scales in nats, so that an exactly fitted table still has a finite curvature."""


class Mode(NamedTuple):
    """The fit at the mode, in latent units."""

    population: Float[Array, "target coordinate"]
    spread: Float[Array, "target coordinate"]
    run_sd: Float[Array, " target"]
    noise_sd: Float[Array, "target domain"]
    latent: Float[Array, "target domain latent"]
    whitening: Whitening


State = tuple[Array, Array, Array, Array, Array]
"""Of the EM: population, spread, run_sd, noise sd, latent."""


class _Group(NamedTuple):
    """One target and domain: rows and what its latent vector is drawn towards."""

    rows: Rows
    loc: Float[Array, " latent"]
    scale: Float[Array, " latent"]
    sd: Float[Array, ""]


@partial(jax.jit, static_argnames=("model",))
def laplace(model: Model, rows: Rows, reference: Reference) -> Mode:
    """Mode and local covariance of ``model`` on ``rows``."""
    targets, domains, _ = rows.loss.shape
    held = jnp.concatenate([rows.run_mask, rows.run_mask], axis=-1)  # first and last offset of every run
    slots = held.shape[-1]
    count = len(model.law.coordinates)
    prior = jnp.array([[tuple(vars(c.prior(t)).values()) for c in model.law.coordinates] for t in TARGETS])
    loc0, scale0, spread0 = prior[..., 0], prior[..., 1], prior[..., 2]

    def louder(group: Rows) -> Array:
        return share_scale(group.point.share, jnp.asarray(model.noise.share_exponent))

    def mean(latent: Array, group: Rows) -> Array:
        theta = model.law.natural(latent[:count], reference, group.point.base_share[0])
        losses = jax.vmap(model.law.loss, in_axes=(None, 0))(theta, group.point)
        return losses + louder(group) * run_deviation(latent[count:], group.run, group.progress)

    def linearise(latent: Array, group: _Group) -> tuple[Array, Array, Array]:
        value, jacobian = mean(latent, group.rows), jax.jacfwd(mean)(latent, group.rows)
        residual = group.rows.loss - value
        sd = group.sd * louder(group.rows)
        weight = group.rows.mask * (DF + 1) / (DF + (residual / sd) ** 2) / sd**2
        return residual, jacobian, weight

    def objective(latent: Array, group: _Group) -> Array:
        residual = (group.rows.loss - mean(latent, group.rows)) / (group.sd * louder(group.rows))
        fit = jnp.sum(group.rows.mask * (DF + 1) / 2 * jnp.log1p(residual**2 / DF))
        return fit + 0.5 * jnp.sum(((latent - group.loc) / group.scale) ** 2)

    def step(carry: tuple[Array, Array], _: None, group: _Group) -> tuple[tuple[Array, Array], None]:
        latent, damping = carry
        residual, jacobian, weight = linearise(latent, group)
        scaled = jacobian * group.scale  # unit prior precision: a damping relative to the prior
        precision = scaled.T @ (weight[:, None] * scaled) + jnp.eye(latent.size)
        gradient = scaled.T @ (weight * residual) - (latent - group.loc) / group.scale
        damped = precision + damping * jnp.diag(jnp.diagonal(precision))
        proposal = latent + group.scale * jnp.linalg.solve(damped, gradient)
        better = objective(proposal, group) < objective(latent, group)  # False for NaN: the step is refused
        return (jnp.where(better, proposal, latent), jnp.where(better, damping / 5, damping * 5)), None

    def solve(latent: Array, group: _Group) -> tuple[Array, Array, Array]:
        (latent, _), _ = jax.lax.scan(partial(step, group=group), (latent, jnp.asarray(1e-2)), None, length=INNER)
        residual, jacobian, weight = linearise(latent, group)
        precision = jacobian.T @ (weight[:, None] * jacobian)
        used = jnp.sum(weight * group.sd**2 * residual**2)
        return latent, precision, used

    def towards(population: Array, spread: Array, run_sd: Array, sd: Array) -> _Group:
        # vmapped over targets and domains by the caller
        return _Group(
            rows,
            jnp.concatenate(
                [
                    jnp.broadcast_to(population[:, None], (targets, domains, count)),
                    jnp.zeros((targets, domains, slots)),
                ],
                -1,
            ),
            jnp.concatenate(
                [
                    jnp.broadcast_to(spread[:, None], (targets, domains, count)),
                    jnp.broadcast_to(run_sd[:, None, None], (targets, domains, slots)),
                ],
                -1,
            ),
            sd,
        )

    batched = jax.vmap(jax.vmap(solve))

    def em(state: State, _: None) -> tuple[State, None]:
        population, spread, run_sd, sd, latent = state
        group = towards(population, spread, run_sd, sd)
        latent, precision, used = batched(latent, group)
        posterior = precision + jnp.eye(latent.shape[-1]) / group.scale[..., None, :] ** 2
        variance = jnp.diagonal(jnp.linalg.inv(posterior), axis1=-2, axis2=-1)
        own, offset = latent[..., :count], latent[..., count:]
        population = (jnp.sum(own, 1) / spread**2 + loc0 / scale0**2) / (domains / spread**2 + 1 / scale0**2)
        scatter = jnp.sum((own - population[:, None]) ** 2 + variance[..., :count], 1)
        # the log-normal prior of the spread weighs as much as 1/sd^2 / 2 observations of it
        weight = 0.5 / SPREAD_SD**2
        spread = jnp.exp((domains * 0.5 * jnp.log(scatter / domains) + weight * jnp.log(spread0)) / (domains + weight))
        moments = jnp.sum(held * (offset**2 + variance[..., count:]), (1, 2))
        run_sd = jnp.sqrt(moments / jnp.maximum(held.sum((1, 2)), 1) + LEAST_SD**2)
        fitted = latent.shape[-1] - jnp.sum(variance / group.scale**2, -1)
        sd = jnp.sqrt(used / jnp.maximum(rows.mask.sum(-1) - fitted, 1.0) + LEAST_SD**2)
        return (population, spread, run_sd, sd, latent), None

    latent0 = jnp.zeros((targets, domains, count + slots)).at[..., :count].set(loc0[:, None])
    start = (loc0, spread0, jnp.full(targets, 0.01), jnp.full((targets, domains), 0.05), latent0)
    (population, spread, run_sd, sd, latent), _ = jax.lax.scan(em, start, None, length=OUTER)
    group = towards(population, spread, run_sd, sd)
    latent, precision, _ = batched(latent, group)
    posterior = precision + jnp.eye(latent.shape[-1]) / group.scale[..., None, :] ** 2
    # run offsets are sampled as scores, in units of their standard deviation
    unit = jnp.ones_like(latent).at[..., count:].set(run_sd[:, None, None])
    covariance = jnp.linalg.inv(posterior)
    root = jnp.linalg.cholesky(covariance) / unit[..., :, None]
    follow = covariance[..., :count] / spread[:, None, None, :] ** 2 / unit[..., :, None]
    return Mode(population, spread, run_sd, sd, latent, Whitening(latent / unit, root, population, follow))

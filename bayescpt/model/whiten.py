"""Latent vectors in coordinates whose posterior is near standard normal: a map from a Laplace fit, one per group.

At the mode a latent vector x has the precision T = H + P of its rows and its prior. How much of P there is hangs on
base_sd: a small one holds the effects of bases to zero, a large one lets go. In the basis U in which T is the identity
and the part of P that base_sd scales is diag(share), the precision at any base_sd s is kappa = 1 - share + share
(s0/s)^2, s0 its mode, and

    x = U (kappa^-1 (centre + follow (mean - its mode)) + kappa^-1/2 root w)

has the conditional mean and covariance of x, were its posterior normal: what the rows of a group hardly see moves with
the population, and the effects of bases shrink as base_sd does, with no factorisation on the way. The density of x
stays the exact prior and likelihood: a poor map makes the sampler slower, never biased. ``root`` is the identity at
first; the sampler mends with it what the mode misjudged (fit/adapt.py).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float


class Whitening(NamedTuple):
    """A map of the latent vector of each target and group, given the population's mean and base_sd."""

    basis: Float[Array, "target group latent latent"]
    share: Float[Array, "target group latent"]
    """of the precision along each axis of the basis, that base_sd scales"""
    base_sd: Float[Array, "target group"]
    """mode"""
    centre: Float[Array, "target group latent"]
    mean: Float[Array, "target group coordinate"]
    """mode of the population's mean"""
    follow: Float[Array, "target group latent coordinate"]
    root: Float[Array, "target group latent latent"]


WHITE = "white"
"""NumPyro site of the white coordinates, (target, group, latent)."""


def unwhitened(
    white: Float[Array, "target group latent"],
    mean: Float[Array, "target group coordinate"],
    base_sd: Float[Array, "target group"],
    whitening: Whitening,
) -> tuple[Float[Array, "target group latent"], Float[Array, ""]]:
    """Latent vectors from their white coordinates, and the log of the map's Jacobian up to a constant."""
    kappa = 1 + whitening.share * ((whitening.base_sd / base_sd)[..., None] ** 2 - 1)
    centre = whitening.centre + jnp.einsum("tgik,tgk->tgi", whitening.follow, mean - whitening.mean)
    away = jnp.einsum("tgij,tgj->tgi", whitening.root, white)
    latent = jnp.einsum("tgij,tgj->tgi", whitening.basis, centre / kappa + away / jnp.sqrt(kappa))
    return latent, -0.5 * jnp.sum(jnp.log(kappa))


def sample_whitened(
    prior: dist.Distribution,
    mean: Float[Array, "target group coordinate"],
    base_sd: Float[Array, "target group"],
    whitening: Whitening,
) -> Float[Array, "target group latent"]:
    """Sample the latent vectors whose generative density is ``prior``, in white coordinates."""
    standard = dist.Normal().expand(whitening.centre.shape).to_event(3)
    white = numpyro.sample(WHITE, standard)
    latent, volume = unwhitened(white, mean, base_sd, whitening)
    # the standard normal that brought in the site is taken out again
    numpyro.factor("white_density", prior.log_prob(latent).sum() + volume - standard.log_prob(white))
    return numpyro.deterministic("latent", latent)

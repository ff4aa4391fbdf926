"""Latent vectors in coordinates whose posterior is near standard normal: an affine map from a Laplace fit, one per
group.

x = centre + follow (mean - its mode) + root w, with ``root root'`` the covariance of x given the population and
``follow`` its regression on the population's mean, both at the mode: what the rows of a group hardly see moves with the
population, what they see well stays. The map is constant, so its Jacobian is too, and the density of x stays the exact
prior and likelihood: a poor map makes the sampler slower, never biased. Each target and group has a NumPyro site of its
own, so that NUTS can adapt a dense mass matrix to it and mend what the mode misjudged.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float


class Whitening(NamedTuple):
    """An affine map of the latent vector of each target and group."""

    centre: Float[Array, "target group latent"]
    root: Float[Array, "target group latent latent"]
    mean: Float[Array, "target group coordinate"]
    """mode of the population's mean"""
    follow: Float[Array, "target group latent coordinate"]


def white_site(target: int, group: int) -> str:
    """Name of the NumPyro site that holds the white coordinates of one target and group."""
    return f"white_{target}_{group}"


def unwhitened(
    white: Float[Array, "target group latent"], mean: Float[Array, "target group coordinate"], whitening: Whitening
) -> Float[Array, "target group latent"]:
    """Latent vectors from their white coordinates."""
    moved = jnp.einsum("tgik,tgk->tgi", whitening.follow, mean - whitening.mean)
    return whitening.centre + moved + jnp.einsum("tgij,tgj->tgi", whitening.root, white)


def sample_whitened(
    prior: dist.Distribution, mean: Float[Array, "target group coordinate"], whitening: Whitening
) -> Float[Array, "target group latent"]:
    """Sample the latent vectors whose generative density is ``prior``, in white coordinates."""
    targets, groups, width = whitening.centre.shape
    standard = dist.Normal().expand([width]).to_event(1)
    white = jnp.stack(
        [jnp.stack([numpyro.sample(white_site(t, g), standard) for g in range(groups)]) for t in range(targets)]
    )
    latent = unwhitened(white, mean, whitening)
    # the constant Jacobian is left out; the standard normal that brought in the sites is taken out again
    numpyro.factor("white_density", prior.log_prob(latent).sum() - jnp.sum(standard.log_prob(white)))
    return numpyro.deterministic("latent", latent)

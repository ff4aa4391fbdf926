"""Latent vectors in coordinates whose posterior is near standard normal: an affine map from a Laplace fit, one per
domain.

x = centre + follow (population - its mode) + root w, with ``root root'`` the covariance of x given the population and
``follow`` its regression on it, both at the mode: what the rows of a domain hardly see moves with the population, what
they see well stays. The map is constant, so its Jacobian is too, and the density of x stays the exact prior and
likelihood: a poor map makes the sampler slower, never biased. Each
target and domain has a NumPyro site of its own, so that NUTS can adapt a dense mass matrix to it and mend what the
mode misjudged.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float


class Whitening(NamedTuple):
    """An affine map of the latent vector of each target and domain."""

    centre: Float[Array, "target domain latent"]
    root: Float[Array, "target domain latent latent"]
    population: Float[Array, "target coordinate"]
    """mode of the population"""
    follow: Float[Array, "target domain latent coordinate"]


def white_site(target: int, domain: int) -> str:
    """Name of the NumPyro site that holds the white coordinates of one target and domain."""
    return f"white_{target}_{domain}"


def sample_whitened(
    prior: dist.Distribution, population: Float[Array, "target coordinate"], whitening: Whitening
) -> Float[Array, "target domain latent"]:
    """Sample the latent vectors whose generative density is ``prior``, in white coordinates."""
    targets, domains, width = whitening.centre.shape
    standard = dist.Normal().expand([width]).to_event(1)
    white = jnp.stack(
        [jnp.stack([numpyro.sample(white_site(t, d), standard) for d in range(domains)]) for t in range(targets)]
    )
    moved = jnp.einsum("tdik,tk->tdi", whitening.follow, population - whitening.population)
    latent = whitening.centre + moved + jnp.einsum("tdij,tdj->tdi", whitening.root, white)
    # the constant Jacobian is left out; the standard normal that brought in the sites is taken out again
    numpyro.factor("white_density", prior.log_prob(latent) - jnp.sum(standard.log_prob(white)))
    return numpyro.deterministic("latent", latent)

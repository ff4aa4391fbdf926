"""Latent vectors in coordinates whose posterior is near standard normal: an affine map from a Laplace fit, one per
domain.

x = centre + root w, with ``root root'`` the posterior covariance at the mode. The map is constant, so its Jacobian is
too, and the density of x stays the exact prior and likelihood: a poor map makes the sampler slower, never biased. Each
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


def white_site(target: int, domain: int) -> str:
    """Name of the NumPyro site that holds the white coordinates of one target and domain."""
    return f"white_{target}_{domain}"


def sample_whitened(prior: dist.Distribution, whitening: Whitening) -> Float[Array, "target domain latent"]:
    """Sample the latent vectors whose generative density is ``prior``, in white coordinates."""
    targets, domains, width = whitening.centre.shape
    standard = dist.Normal().expand([width]).to_event(1)
    white = jnp.stack(
        [jnp.stack([numpyro.sample(white_site(t, d), standard) for d in range(domains)]) for t in range(targets)]
    )
    latent = whitening.centre + jnp.einsum("tdij,tdj->tdi", whitening.root, white)
    # the constant Jacobian is left out; the standard normal that brought in the sites is taken out again
    numpyro.factor("white_density", prior.log_prob(latent) - jnp.sum(standard.log_prob(white)))
    return numpyro.deterministic("latent", latent)

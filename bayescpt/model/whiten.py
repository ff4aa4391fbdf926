"""Conditional-Laplace non-centring: coordinates in which the posterior is near standard normal whatever the population is.

Per target and domain the rows carry a Gauss-Newton precision H (in latent units) and a pull b = H x (best fit). Given the
population's loc m and scale s, the latent vector x = m + s z has, to that order, the conditional posterior

    z | m, s  ~  N(M^-1 s (b - H m), M^-1),      M = s H s + I = R R'.

Sampling w with z = M^-1 s (b - H m) + R^-T w makes w near standard normal both where rows are many (centred) and where they
are few (non-centred), and is smooth at s = 0. Only the coordinates change: the density of z is the exact prior and likelihood,
with the Jacobian -sum log diag R. H and b are constants from a Laplace fit; they may be wrong without a bias, only slower.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float
from numpyro.infer.reparam import Reparam


class Curvature(NamedTuple):
    """What the rows say of the latent vector of each target and domain, to second order."""

    precision: Float[Array, "target domain latent latent"]
    pull: Float[Array, "target domain latent"]


def unwhiten(
    white: Float[Array, " latent"],
    loc: Float[Array, " latent"],
    scale: Float[Array, " latent"],
    precision: Float[Array, "latent latent"],
    pull: Float[Array, " latent"],
) -> tuple[Float[Array, " latent"], Float[Array, ""]]:
    """Standardised latent z from white coordinates, and log |dz/dw|."""
    matrix = scale[:, None] * precision * scale[None, :] + jnp.eye(scale.size)
    root = jnp.linalg.cholesky(matrix)
    forward = solve_triangular(root, scale * (pull - precision @ loc), lower=True)
    z = solve_triangular(root, forward + white, lower=True, trans=1)
    return z, -jnp.sum(jnp.log(jnp.diagonal(root)))


class ConditionalLaplace(Reparam):
    """NumPyro reparametrisation of a site ``Normal(loc, scale)`` by the rows' curvature; exact for any curvature."""

    def __init__(self, curvature: Curvature) -> None:
        self.curvature = curvature

    def __call__(self, name: str, fn: dist.Distribution, obs: Array | None) -> tuple[None, Array]:
        assert obs is None, "a latent site cannot be observed"
        normal, _, _ = self._unwrap(fn)
        loc, scale = normal.loc, normal.scale
        standard = dist.Normal().expand(loc.shape).to_event(loc.ndim)
        white = numpyro.sample(f"{name}_white", standard)
        z, log_jacobian = jax.vmap(jax.vmap(unwhiten))(white, loc, scale, *self.curvature)
        numpyro.factor(f"{name}_density", standard.log_prob(z) + jnp.sum(log_jacobian) - standard.log_prob(white))
        return None, loc + scale * z

"""Log density of draws, by part of the prior and by run, and the moments of a domain's coordinates under the prior."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro import handlers

from bayescpt.laws import Reference
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model, scores_under
from bayescpt.model.population import Hierarchy

COORDINATES, BASE_EFFECT, NOISE = "coordinates", "base_effect", "noise"


def densities(
    model: Model, rows: Rows, reference: Reference, drawn: Mapping[str, Array]
) -> tuple[dict[str, Float[Array, ""]], Float[Array, "group slot"]]:
    """Log density of one draw: of the prior by part, and of the losses of every run, both targets together.

    Parts: every site of the hierarchy by its name; ``coordinates`` given these; ``noise``, all of its sites together;
    ``base_effect`` given its scale.

    Args:
        drawn: values of all sites of the model, with ``coordinates`` and ``base_effect`` in place of the latent vector.
    """
    effect = drawn[BASE_EFFECT]
    latent = jnp.concatenate([drawn[COORDINATES], effect[..., 0], effect[..., 1]], axis=-1)
    values = {**drawn, "latent": latent}
    with handlers.trace() as sites, handlers.substitute(data=values):
        model(rows, reference)
    whole = sites["latent"]["fn"].base_dist
    count = drawn[COORDINATES].shape[-1]
    own = log_normal(whole.scale_tril[..., :count, :count], drawn[COORDINATES] - whole.loc[..., :count])
    sd = drawn["base_sd"][:, None] * drawn["noise_sd"] / drawn["noise_typical"][:, None]
    ends = jnp.moveaxis(effect, -1, 0)
    of_bases = log_normal(sd[..., None, None] * rows.base_root, ends)
    # a place that holds no base is independent of the others, and says nothing
    held = rows.base_mask.any(0)
    parts = {COORDINATES: own.sum(), BASE_EFFECT: jnp.sum(jnp.where(held, of_bases, 0.0))}
    for name, site in sites.items():
        if site["type"] == "sample" and name not in ("latent", "loss"):
            part = name if name in model.hierarchy.sites else NOISE
            parts[part] = parts.get(part, jnp.zeros(())) + site["fn"].log_prob(site["value"]).sum()
    return parts, sites["loss"]["fn"].base_dist.log_prob(rows.loss).sum(0)


def log_normal(root: Float[Array, "*roots n n"], values: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Log density of every entry of ``values`` ~ N(0, root root') given those before it; root lower triangular."""
    scales = jnp.diagonal(root, axis1=-2, axis2=-1)
    return dist.Normal().log_prob(scores_under(root, values)) - jnp.log(scales)


def stated_parts(hierarchy: Hierarchy) -> tuple[str, ...]:
    """The parts of the prior that somebody stated, with numbers: of the population and of the noise.

    Where there is a population, that coordinates are drawn from it is taken as the model, not as a prior that could be
    doubted by itself; where there is none the prior is that of the coordinates.
    """
    return (*(hierarchy.sites or (COORDINATES,)), NOISE)


def latent_of(model: Model, sites: Mapping[str, dict]) -> dist.MultivariateNormal:
    """Distribution of the coordinates (target, group) given the population, from a trace of the model."""
    whole = sites["latent"]["fn"].base_dist
    count = len(model.law.coordinates)
    # the first of several normals with a lower triangular root are a normal with its upper left corner
    return dist.MultivariateNormal(whole.loc[..., :count], scale_tril=whole.scale_tril[..., :count, :count])


@partial(jax.jit, static_argnames=("model", "draws"))
def coordinate_moments(
    model: Model, rows: Rows, reference: Reference, key: PRNGKeyArray, draws: int = 2000
) -> tuple[Float[Array, "target group coordinate"], Float[Array, "target group coordinate coordinate"]]:
    """Prior mean and covariance of the coordinates of every target and group, the population averaged out.

    Var(x) = Var(E[x | population]) + E[Var(x | population)], over ``draws`` draws of the population.
    """

    def one(key: PRNGKeyArray) -> tuple[Array, Array]:
        sites = handlers.trace(handlers.seed(model, key)).get_trace(rows, reference)
        own = latent_of(model, sites)
        shape = jnp.broadcast_shapes(own.loc.shape[:-1], own.scale_tril.shape[:-2])
        covariance = jnp.einsum("...ij,...kj->...ik", own.scale_tril, own.scale_tril)
        return own.loc, jnp.broadcast_to(covariance, (*shape, *covariance.shape[-2:]))

    loc, covariance = jax.vmap(one)(jax.random.split(key, draws))
    away = loc - loc.mean(0)
    between = jnp.einsum("dtgi,dtgj->tgij", away, away) / (draws - 1)
    return loc.mean(0), between + covariance.mean(0)

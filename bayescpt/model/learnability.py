"""Pooling with learnability: what a domain shows in the first percents of a run shifts all of its coordinates."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from bayescpt.data.learnability import TRAITS
from bayescpt.laws import Law
from bayescpt.model.layout import Rows
from bayescpt.model.population import (
    SPREAD_SD,
    Hierarchy,
    Moments,
    Population,
    PriorConstants,
    Told,
    constants_of,
    diagonal,
    independent,
    moved,
    root_of,
)
from bayescpt.schema import TARGETS

OWN, OTHER = 0.8, 0.25
"""Prior standard deviations of a loading over the spread that is left: of statistics of the target's own loss, and of
those of the other loss. Six to eight domains cannot say which of dozens of coordinates follow which statistic. What a
loss does early should say most of what the same loss does late."""
LOADING = np.array([[OWN if of == target else OTHER for of in TRAITS.values()] for target in TARGETS])
"""By target and statistic."""


class Learnability(Hierarchy):
    """Coordinate k of a domain ~ N(mu_k + V_k . z, spread_k), with z the domain's learnability, shared by both targets.

    z ~ N(0, 1), and the domain's early statistics (data/learnability.py: log loss at the start, early fall of its own
    loss, early rise of the general loss, in units of their spread over domains) are z with their own standard errors.
    A domain without a statistic has that z from its prior, narrowed by its later rows; one never seen is a draw from
    the population. V is shrunk, and the spread that is left is smaller by as much as V explains a priori, so that
    domains differ as under partial pooling.

    No row counts twice: the early rows are in the statistics and not in the likelihood, which is that of the later
    rows given the statistics, as an analysis of covariance conditions on a baseline. A domain with the first 2.5 % of
    one run is told by its statistics alone. (With those rows in the likelihood besides, a law that is a little off at
    the start of runs pulls the coordinates of such a domain after its few early rows, with narrow intervals.) In
    `correlated` nothing but the likelihood tells of a domain: it takes no statistic for granted, but has to find dozens
    of correlations, and early rows say what the law makes of them.
    """

    name = "learnability"
    meaning = "domains differ by their learnability, which early losses show, and by a spread that is estimated"
    prior = (
        f"N(mu + V z, tau), z ~ N(0, 1) seen with error in {', '.join(TRAITS)}, mu ~ N(loc, scale), "
        f"tau ~ LogNormal(log s, {SPREAD_SD:g}), V ~ N(0, {OWN:g} s) for what the target's own loss shows and "
        f"N(0, {OTHER:g} s) for the other, s such that spread^2 is the variance of both together"
    )
    sites = ("population", "spread", "loading", "learnability")
    early = True

    def sample(self, law: Law, rows: Rows) -> Population:
        prior, mean, sd = constants_of(law), *learnability_prior(rows)
        sites = {
            "population": numpyro.sample("population", dist.Normal(prior.loc, prior.scale).to_event(2)),
            "spread": numpyro.sample("spread", dist.LogNormal(jnp.log(left_over(prior)), SPREAD_SD).to_event(2)),
            "loading": numpyro.sample("loading", dist.Normal(0.0, loading_scale(prior)).to_event(3)),
            "learnability": numpyro.sample("learnability", dist.Normal(mean, sd).to_event(2)),
        }
        return self.population(law, sites, len(mean))

    def population(self, law: Law, sites: dict[str, Array], groups: int) -> Population:
        shift = jnp.einsum("tkq,gq->tgk", sites["loading"], sites["learnability"])
        return independent(sites["population"][:, None] + shift, sites["spread"])

    def newcomer(self, sites: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        draws, _, traits = sites["learnability"].shape
        return sites | {"learnability": jnp.asarray(rng.standard_normal((draws, 1, traits)))}

    def maximised(self, law: Law, rows: Rows, moments: Moments | None) -> dict[str, Array]:
        """One step of variational EM: learnability, then mean and loadings as a regression on it, then the spread."""
        prior, mean, sd = constants_of(law), *learnability_prior(rows)
        if moments is None:
            none = jnp.zeros((*prior.loc.shape, len(TRAITS)))
            return {"population": prior.loc, "spread": left_over(prior), "loading": none, "learnability": mean}
        old, groups = moments.sites, len(mean)
        pull, loading = 1 / old["spread"] ** 2, old["loading"]
        told = jnp.einsum("tkq,tk,tkr->qr", loading, pull, loading)
        covariance = jnp.linalg.inv(diagonal(1 / sd**2) + told)
        away = moments.mean - old["population"][:, None]
        seen = mean / sd**2 + jnp.einsum("tkq,tk,tgk->gq", loading, pull, away)
        z = jnp.einsum("gqr,gr->gq", covariance, seen)

        design = jnp.concatenate([jnp.ones((groups, 1)), z], axis=1)
        gram = design.T @ design + jnp.pad(covariance.sum(0), ((1, 0), (1, 0)))
        precision = pull[..., None, None] * gram + diagonal(coefficient_precision(prior))
        wanted = pull[..., None] * jnp.einsum("gj,tgk->tkj", design, moments.mean)
        wanted = wanted.at[..., 0].add(prior.loc / prior.scale**2)
        uncertain = jnp.linalg.inv(precision)
        coefficients = jnp.einsum("tkij,tkj->tki", uncertain, wanted)

        loading = coefficients[..., 1:]
        residual = moments.mean - jnp.einsum("gj,tkj->tgk", design, coefficients)
        scatter = residual**2 + jnp.diagonal(moments.covariance, axis1=-2, axis2=-1)
        scatter += jnp.einsum("tkq,gqr,tkr->tgk", loading, covariance, loading)
        # with what mean and loadings have taken up of it, or statistics would seem to explain a handful of domains
        variance = scatter.mean(1) + jnp.einsum("tkij,ij->tk", uncertain, gram) / groups
        # the log-normal prior of the spread weighs as much as 1/sd^2 / 2 observations of it
        weight = 0.5 / SPREAD_SD**2
        own = 0.5 * groups * jnp.log(variance)
        return {
            "population": coefficients[..., 0],
            "spread": jnp.exp((own + weight * jnp.log(left_over(prior))) / (groups + weight)),
            "loading": loading,
            "learnability": z,
        }

    def roots(self, law: Law, rows: Rows, sites: dict[str, Array], told: Told) -> dict[str, Array]:
        """Of learnability given the loadings, and of mean and loadings, by coordinate, given learnability."""
        prior, (_, sd) = constants_of(law), learnability_prior(rows)
        loading = sites["loading"]
        precision = diagonal(1 / sd**2) + jnp.einsum("tkq,tgkl,tlr->gqr", loading, told, loading)
        z = sites["learnability"]
        design = jnp.concatenate([jnp.ones((len(z), 1)), z], axis=1)
        square = design[:, :, None] * design[:, None, :]
        square += jnp.pad(jnp.linalg.inv(precision), ((0, 0), (1, 0), (1, 0)))
        targets, count = prior.loc.shape
        width = count * design.shape[1]
        of_rows = jnp.einsum("tgkl,gij->tkilj", told, square).reshape(targets, width, width)
        held = coefficient_precision(prior).reshape(targets, width)
        return {"learnability": root_of(precision), "coefficients": root_of(of_rows + diagonal(held))}

    def around(
        self, sites: dict[str, Array], roots: dict[str, Array], rng: np.random.Generator, draws: int
    ) -> dict[str, np.ndarray]:
        targets, count, traits = sites["loading"].shape
        shift = moved(jnp.zeros((targets, count * (1 + traits))), roots["coefficients"], rng, draws)
        shift = shift.reshape(draws, targets, count, 1 + traits)
        return {
            "population": np.asarray(sites["population"]) + shift[..., 0],
            "loading": np.asarray(sites["loading"]) + shift[..., 1:],
            "learnability": moved(sites["learnability"], roots["learnability"], rng, draws),
        }


def learnability_prior(rows: Rows) -> tuple[Float[Array, "group trait"], Float[Array, "group trait"]]:
    """Mean and standard deviation of learnability given the statistics: N(0, 1) narrowed by N(z, se) at each of them.

    Drawing z from this is drawing it from N(0, 1) and observing the statistics; it makes the model a generative one of
    the losses given the statistics.
    """
    assert rows.traits.shape[1] == len(TRAITS), "these rows were grouped without early statistics: use Model.layout"
    precision = 1 / rows.trait_se**2
    return rows.traits * precision / (1 + precision), 1 / jnp.sqrt(1 + precision)


def left_over(prior: PriorConstants) -> Float[Array, "target coordinate"]:
    """Spread of coordinates around what learnability explains, so that both together differ as the law's prior says."""
    return prior.spread / jnp.sqrt(1 + jnp.sum(LOADING**2, axis=1))[:, None]


def loading_scale(prior: PriorConstants) -> Float[Array, "target coordinate trait"]:
    """Prior standard deviation of the loadings, in units of the coordinate."""
    return left_over(prior)[..., None] * LOADING[:, None, :]


def coefficient_precision(prior: PriorConstants) -> Float[Array, "target coordinate coefficient"]:
    """Prior precision of a coordinate's mean and of its loadings, in units of the coordinate."""
    return jnp.concatenate([prior.scale[..., None] ** -2, loading_scale(prior) ** -2], axis=-1)

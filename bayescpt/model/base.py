"""The loss of a base model whose size was never measured: a power law in size through the measured ones, with its
uncertainty.

A Gaussian process on log loss with a linear trend in log size (a power law), shared over domains up to deviations of
their own, solved in closed form. It is only asked where the table has no base of that size; a measured base has its
measured loss.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.schema import DOMAIN, GENERAL, TARGETS, Target

LEVEL_MEAN, LEVEL_SD = math.log(3.0), 0.6
"""Loss of a base at the reference size: 3 nats, within a factor of 1.8."""
SLOPE_MEAN, SLOPE_SD = -0.06, 0.03
"""d log L / d log N. Kaplan et al. (2001.08361) find -0.076 for reducible loss; bases at fixed tokens fall slower."""
DOMAIN_LEVEL_SD, DOMAIN_SLOPE_SD = 0.4, 0.015
"""How far domains lie from one another in level and in slope."""
SCATTER = 0.015
"""Relative scatter of single bases around the power law: seeds, and sizes trained unlike the others."""
SAME_SET = 1e-3
"""Losses of one base that agree to this many nats across domains were measured on one validation set."""


def base_loss_draws(
    table: Table, domain: str, size: float, target: Target, count: int, rng: np.random.Generator
) -> Float[np.ndarray, " draw"]:
    """``count`` draws of the loss (nats per token) of a base with ``size`` parameters on ``domain``'s ``target`` set.

    Raises ValueError where the table holds no base loss of that target at all.
    """
    losses = table.base_losses[:, :, TARGETS.index(target)]  # base, domain
    if np.isnan(losses).all():
        raise ValueError(
            f"no base loss on the {target} set is known (no rows with tokens = 0): measure or state it (--base-loss)"
        )
    spread = np.nanmax(losses, axis=1, initial=-np.inf, where=~np.isnan(losses)) - np.nanmin(
        losses, axis=1, initial=np.inf, where=~np.isnan(losses)
    )
    # one general set serves all domains unless the losses say otherwise; that a domain's set is another's too must show
    several = (~np.isnan(losses)).sum(axis=1) > 1
    common = bool((spread < SAME_SET).all() and (target == GENERAL or several.any()))
    if common:
        known = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in losses])
        losses = np.repeat(known[:, None], losses.shape[1], axis=1)
    position = table.domains.index(domain) if domain in table.domains else -1
    here = np.isclose(table.base_size, size, rtol=1e-9)
    measured = losses[here, position if position >= 0 else 0] if position >= 0 or common else np.array([])
    measured = measured[~np.isnan(measured)]
    if len(measured) == 1:
        return np.full(count, measured[0])
    mean, sd = _predict(table, losses, position, size, 0.0 if common else 1.0)
    return np.exp(mean + sd * rng.standard_normal(count))


def usual_gap(table: Table) -> Float[np.ndarray, " domain"]:
    """log of domain over general loss of a base, by domain: mean over the bases that have both, NaN where none has."""
    general, domain = (table.base_losses[:, :, TARGETS.index(target)] for target in (GENERAL, DOMAIN))
    gap = np.log(domain) - np.log(general)
    known = ~np.isnan(gap)
    total = np.where(known, gap, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def usual_losses(table: Table) -> Float[np.ndarray, "base domain target"]:
    """What a base as good as this one on general text usually scores, nats per token.

    Its own loss for the general target. For the domain it is its general loss times what bases of this table usually
    have of that: what a base happens to score on a corpus it was not trained on says little about where training on
    that corpus leads, what it scores on its own corpus says much. Its own loss where that is not known.
    """
    usual = table.base_losses.copy()
    by_general = table.base_losses[:, :, TARGETS.index(GENERAL)] * np.exp(usual_gap(table))
    own = usual[:, :, TARGETS.index(DOMAIN)]
    usual[:, :, TARGETS.index(DOMAIN)] = np.where(np.isnan(by_general), own, by_general)
    return usual


def _predict(
    table: Table, losses: Float[np.ndarray, "base domain"], position: int, size: float, domain_weight: float
) -> tuple[float, float]:
    """Mean and standard deviation of the log loss of a new base, by conditioning on the measured ones."""
    base, domain = np.nonzero(~np.isnan(losses))
    observed = np.log(losses[base, domain])
    middle = np.log(table.base_size).mean()
    x = np.append(np.log(table.base_size)[base] - middle, np.log(size) - middle)
    base, domain = np.append(base, -1), np.append(domain, position)

    product = np.outer(x, x)
    same_domain = domain[:, None] == domain[None, :]
    same_base = base[:, None] == base[None, :]
    shared = LEVEL_SD**2 + SLOPE_SD**2 * product
    own = same_domain * (DOMAIN_LEVEL_SD**2 + DOMAIN_SLOPE_SD**2 * product)
    # where one set serves all domains, a base's scatter is the same for each of them
    scatter = SCATTER**2 * same_base * (same_domain if domain_weight else 1.0)
    covariance = shared + domain_weight * own + scatter + 1e-10 * np.eye(len(x))

    inner, cross = covariance[:-1, :-1], covariance[:-1, -1]
    weights = np.linalg.solve(inner, cross)
    trend = LEVEL_MEAN + SLOPE_MEAN * x
    mean = trend[-1] + weights @ (observed - trend[:-1])
    return float(mean), float(np.sqrt(max(covariance[-1, -1] - weights @ cross, 0.0)))

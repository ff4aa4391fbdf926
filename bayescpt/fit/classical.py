"""The fit that the D-CPT paper describes: one point, no interval. The baseline of every comparison.

    min over (a, b, c1, e, alpha, beta, gamma, eps, eta1) of mean_i Huber_delta(log L_fit(i) - log L_i), delta = 1e-3
    log L_fit = logsumexp(e, a - alpha ln N, b + eta ln s - beta ln D, c1 - gamma ln(s+eps), c0 - gamma ln(s+eps))
    eta = 1 + exp(eta1),  c0 = ln[ B eta (1 + eps)^(gamma + 1) / (gamma D_min^beta) ]

for every domain and either target alone, so that eta > 1 and C = C0 + C1 > C0 hold by construction. Source: Que et al.
2024 (2406.01375), appendix E.3, with its grid of starts. L-BFGS from each of 277,830 starts is what the paper did; here
the objective is computed at all of them and L-BFGS goes on from the best, ``STARTS`` by default.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

from bayescpt.data.table import Table
from bayescpt.fit.compiled import quick_jit
from bayescpt.laws import BILLION
from bayescpt.schema import TARGETS, Target

DELTA = 1e-3
"""Of the Huber loss, in log nats."""
STARTS = 32
HALF = np.arange(-1.0, 5.5, 1.0)
GRID = tuple(
    itertools.product(
        HALF,  # a
        HALF,  # b
        HALF,  # c1
        np.arange(-1.0, 1.25, 0.5),  # e; the paper prints "-1, 0.5, ..., 1"
        (-0.5, 0.0, 0.5),  # ln alpha
        (-0.5, 0.0, 0.5),  # ln beta
        (-0.5, 0.0, 0.5),  # ln gamma
        (1e-6, 0.5),  # eps; the paper starts at 0, where (0 + eps)^-gamma is infinite
        (-0.5, 0.0, 0.5),  # eta1
    )
)
"""The paper's starts."""
CHUNK = 4096
LEAST_EPS = 1e-6
AMPLITUDES, EXPONENTS = (-40.0, 40.0), (-12.0, 4.0)
"""Bounds of the logarithms: where rows do not hold a parameter, as in a resample without a size, it would run off."""


class Series(NamedTuple):
    """Rows of one domain and target: logarithms of billions of parameters and tokens, share, log loss, weight."""

    log_size: Float[Array, " row"]
    log_tokens: Float[Array, " row"]
    share: Float[Array, " row"]
    log_loss: Float[Array, " row"]
    weight: Float[Array, " row"]


def log_fit(parameters: Float[Array, " nine"], rows: Series, log_tokens_min: Float[Array, ""]) -> Float[Array, " row"]:
    """log L_fit of every row, with exponents by their logarithms."""
    a, b, c1, e, log_alpha, log_beta, log_gamma, eps, eta1 = parameters
    alpha, beta, gamma = jnp.exp(log_alpha), jnp.exp(log_beta), jnp.exp(log_gamma)
    eta = 1.0 + jnp.exp(eta1)
    c0 = b + jnp.log(eta) + (gamma + 1) * jnp.log1p(eps) - log_gamma - beta * log_tokens_min
    present = rows.share > 0
    log_share = jnp.log(jnp.where(present, rows.share, 1.0))
    # at share 0 the data term is 0: its logarithm is left out, not fed to a gradient
    data = jnp.where(present, b + eta * log_share - beta * rows.log_tokens, -jnp.inf)
    away = gamma * jnp.log(rows.share + eps)
    terms = (jnp.broadcast_to(e, away.shape), a - alpha * rows.log_size, data, c1 - away, c0 - away)
    return jax.nn.logsumexp(jnp.stack(terms), axis=0)


def objective(parameters: Float[Array, " nine"], rows: Series, log_tokens_min: Float[Array, ""]) -> Float[Array, ""]:
    """Weighted mean Huber loss of the log residuals."""
    residual = jnp.abs(log_fit(parameters, rows, log_tokens_min) - rows.log_loss)
    huber = jnp.where(residual <= DELTA, 0.5 * residual**2, DELTA * (residual - 0.5 * DELTA))
    return jnp.sum(rows.weight * huber) / jnp.sum(rows.weight)


_slope = quick_jit(jax.value_and_grad(objective))
_scores = quick_jit(jax.vmap(objective, in_axes=(0, None, None)))


def _theta(parameters: Float[np.ndarray, " nine"], log_tokens_min: float) -> dict[str, float]:
    """Natural parameters of the D-CPT law."""
    a, b, c1, e, log_alpha, log_beta, log_gamma, eps, eta1 = map(float, parameters)
    alpha, beta, gamma, eta = (*np.exp([log_alpha, log_beta, log_gamma]), 1 + np.exp(eta1))
    B = np.exp(b)
    C0 = B * eta * (1 + eps) ** (gamma + 1) / (gamma * np.exp(beta * log_tokens_min))
    theta = {"E": np.exp(e), "A": np.exp(a), "B": B, "C": C0 + np.exp(c1)}
    theta |= {"alpha": alpha, "beta": beta, "gamma": gamma, "eta": eta, "eps": eps}
    return {name: float(value) for name, value in theta.items()}


class Classical(NamedTuple):
    """The point fit of one domain and target.

    Args:
        theta: natural parameters of the D-CPT law.
        parameters: the same as they were optimised.
        objective: mean Huber loss.
    """

    theta: dict[str, float]
    parameters: Float[np.ndarray, " nine"]
    objective: float


def series_of(table: Table, domain: str, target: Target) -> Series:
    """Rows of one domain and target.

    Raises:
        ValueError: if there are none.
    """
    own = (table.domain == table.domains.index(domain)) & (table.target == TARGETS.index(target))
    if not own.any():
        raise ValueError(f"classical fit: no rows of domain {domain}, target {target}")
    size, tokens, loss = np.log(table.size / BILLION), np.log(table.tokens / BILLION), np.log(table.loss)
    weight = np.ones(len(table))
    return Series(*(jnp.asarray(column[own]) for column in (size, tokens, table.share, loss, weight)))


def classical_fit(
    rows: Series, log_tokens_min: float, starts: int = STARTS, near: Float[np.ndarray, "start nine"] | None = None
) -> Classical:
    """The best of L-BFGS from several starts.

    Args:
        rows: of one domain and target.
        log_tokens_min: log of the smallest token count in billions, D_min of the constraint.
        starts: how many of the grid's best starts are taken.
        near: starts to take instead of the grid's, for a refit on rows that hardly differ.
    """
    least = jnp.asarray(log_tokens_min)
    if near is None:
        grid = jnp.asarray(GRID)
        scores = np.concatenate([_scores(part, rows, least) for part in jnp.array_split(grid, len(grid) // CHUNK + 1)])
        near = np.asarray(grid)[np.argsort(np.where(np.isfinite(scores), scores, np.inf))[:starts]]
    bounds = [AMPLITUDES] * 4 + [EXPONENTS] * 3 + [(LEAST_EPS, None), EXPONENTS]
    value = partial(_value, rows=rows, least=least)
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-12, "gtol": 1e-6}
    found = [minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options) for start in near]
    best = min(found, key=lambda result: result.fun)
    return Classical(_theta(best.x, log_tokens_min), best.x, float(best.fun) * DELTA**2)


def _value(parameters: np.ndarray, rows: Series, least: Array) -> tuple[float, np.ndarray]:
    value, slope = _slope(jnp.asarray(parameters), rows, least)
    # in units of delta^2, so that what the optimiser takes for small is small
    return float(value) / DELTA**2, np.asarray(slope) / DELTA**2


def bootstrap(
    rows: Series,
    run: np.ndarray,
    log_tokens_min: float,
    fitted: Classical,
    count: int,
    rng: np.random.Generator,
) -> list[Classical]:
    """Refits on runs drawn with replacement, from the fit itself as start: checkpoints of a run stay together.

    Args:
        rows: of one domain and target.
        run: code of the run of every row.
        log_tokens_min: as in the fit.
        fitted: the fit to all rows.
        count: number of refits.
        rng: source of the draws.
    """
    codes, place = np.unique(run, return_inverse=True)
    found = []
    for _ in range(count):
        drawn = np.bincount(rng.integers(0, len(codes), len(codes)), minlength=len(codes))
        weighted = rows._replace(weight=jnp.asarray(drawn[place], float))
        found.append(classical_fit(weighted, log_tokens_min, near=fitted.parameters[None]))
    return found

"""The critical mixture ratio against tokens and size in a form that stays within (0, 1), for sizes never run too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit

MIDDLE_SIZE, MIDDLE_TOKENS = 1.0, 20.0
"""Billions, at which the level is read."""
LEVEL_SD = 1.5
"""Prior of the level: a ratio between 0.05 and 0.95 at one standard deviation, twice."""
SIZE_SD = 0.5
"""Prior of the size exponent: an e-fold of the size changes the odds R/(1 - R) within a factor of 1.6."""
TOKENS_MEAN, TOKENS_SD = 1.0, 0.5
"""Prior of the token exponent: the odds grow with tokens, about in proportion."""
SCATTER_SD = 0.3
"""Prior scale (half-normal) of the scatter of sizes around the trend, and of ratios around the curve of their size."""
SCATTERS = np.geomspace(0.005, 1.2, 48)
"""Grid of either scatter."""


@dataclass(frozen=True)
class BoundedRatio:
    """logit R(N, T) = c + m log N/1B + u_N + k log T/20B, one row a posterior draw.

    The odds R/(1 - R) are a power of tokens with one exponent k for all sizes, where the published R = a T^s + b has an
    exponent of either sign for each (Table 5), leaves [0, 1], and says nothing of sizes that were not run.
    """

    level: Float[np.ndarray, " draw"]
    size_exponent: Float[np.ndarray, " draw"]
    tokens_exponent: Float[np.ndarray, " draw"]
    sizes: Float[np.ndarray, " size"]
    """billions"""
    departures: Float[np.ndarray, "draw size"]
    """u_N of the sizes that were run"""
    between: Float[np.ndarray, " draw"]
    """standard deviation of u_N"""
    within: Float[np.ndarray, " draw"]
    """standard deviation of a critical ratio around the curve of its size, in logits"""
    seed: int

    def ratio(self, size: float, tokens: float, measured: bool = False) -> Float[np.ndarray, " draw"]:
        """Draws of the critical ratio of a model of ``size`` billion parameters after ``tokens`` billion tokens.

        A size that was not run gets a departure of its own. ``measured`` adds what single ratios scatter by: what a
        study of that size would report. Raises ValueError unless both are positive.
        """
        if not (np.isfinite([size, tokens]).all() and size > 0 and tokens > 0):
            raise ValueError(f"size and tokens must be positive numbers of billions, got {size} and {tokens}")
        rng = np.random.default_rng([self.seed, 1])
        fresh, scatter = rng.standard_normal((2, len(self.level)))
        known = np.flatnonzero(np.isclose(self.sizes, size, rtol=1e-9))
        departure = self.departures[:, known[0]] if len(known) else self.between * fresh
        odds = self.level + self.size_exponent * np.log(size / MIDDLE_SIZE) + departure
        odds = odds + self.tokens_exponent * np.log(tokens / MIDDLE_TOKENS)
        return expit(odds + self.within * scatter * measured)


def fit_bounded(
    size: Float[np.ndarray, " pair"],
    tokens: Float[np.ndarray, " pair"],
    ratio: Float[np.ndarray, " pair"],
    draws: int = 4000,
    seed: int = 0,
) -> BoundedRatio:
    """Posterior of :class:`BoundedRatio` from pairs of a ratio and its critical time.

    A normal linear model given the two scatters, which are summed over a grid: exact draws, no sampler.

    Args:
        size, tokens: parameters and critical times T0(R), billions; ratio: R in (0, 1).

    Raises ValueError where something is out of range or fewer than two pairs are given.
    """
    size, tokens, ratio = (np.asarray(values, dtype=float) for values in (size, tokens, ratio))
    good = np.isfinite(size * tokens) & (size > 0) & (tokens > 0) & (ratio > 0) & (ratio < 1)
    if not good.all() or len(ratio) < 2:
        raise ValueError(
            "expected two pairs or more with positive sizes and tokens and ratios strictly between 0 and 1, got "
            f"{len(ratio)} pairs, {int((~good).sum())} of them out of range"
        )
    sizes, which = np.unique(size, return_inverse=True)
    trend = np.stack([np.ones_like(size), np.log(size / MIDDLE_SIZE), np.log(tokens / MIDDLE_TOKENS)], axis=1)
    design = np.concatenate([trend, np.eye(len(sizes))[which]], axis=1)
    prior_mean = np.zeros(design.shape[1])
    prior_mean[2] = TOKENS_MEAN
    residual = logit(ratio) - design @ prior_mean

    between, within = (axis.ravel() for axis in np.meshgrid(SCATTERS, SCATTERS, indexing="ij"))
    held = np.array([LEVEL_SD, SIZE_SD, TOKENS_SD]) ** -2
    prior = np.concatenate([np.tile(held, (len(between), 1)), np.repeat(between[:, None] ** -2, len(sizes), 1)], axis=1)
    precision = design.T @ design / within[:, None, None] ** 2 + prior[:, :, None] * np.eye(design.shape[1])
    pull = residual @ design / within[:, None] ** 2
    mean = np.linalg.solve(precision, pull[..., None])[..., 0]
    # evidence of a normal linear model; the priors are flat steps of log scale, hence the scale times its half-normal
    fit = residual @ residual / within**2 - np.sum(pull * mean, axis=1)
    volume = np.linalg.slogdet(precision)[1] - np.log(prior).sum(axis=1) + 2 * len(ratio) * np.log(within)
    log_prior = sum(np.log(s) - 0.5 * (s / SCATTER_SD) ** 2 for s in (between, within))
    weight = log_prior - 0.5 * (fit + volume)
    weight = np.exp(weight - weight.max())

    rng = np.random.default_rng([seed, 0])
    cell = rng.choice(len(weight), draws, p=weight / weight.sum())
    root = np.linalg.cholesky(np.linalg.inv(precision[cell]))
    drawn = mean[cell] + np.einsum("dij,dj->di", root, rng.standard_normal((draws, design.shape[1]))) + prior_mean
    level, size_exponent, tokens_exponent = drawn[:, :3].T
    departures = drawn[:, 3:]
    return BoundedRatio(
        level, size_exponent, tokens_exponent, sizes, departures, between[cell], within[cell], seed=seed
    )

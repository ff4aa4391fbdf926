"""Maps that make a posterior round, and their adaptation between stretches of a warm-up.

NUTS moves through flat coordinates with the identity as its mass matrix; what a mass matrix would do is done by linear
maps from there: one block for every target and group (inside the map of model/whiten.py), one for all of population and
noise. All chains share them, learnt from the draws of all: a chain by itself sees too few, and steps of chains that
each learnt their own differed by a factor of four.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from numpyro.infer.hmc_util import build_adaptation_schedule

from bayescpt.model.whiten import WHITE, Whitening

LEAST_VARIANCE = 1e-8
"""Of a coordinate within a window, so that one that never moved does not end the map."""


class Map(NamedTuple):
    """From flat coordinates to those of the model: white ones of groups by blocks, then population and noise."""

    whitening: Whitening
    centre: dict[str, Array]
    """unconstrained values of all sites but the white coordinates, by name"""
    root: Float[Array, "rest rest"]

    def sites(self, flat: Float[Array, " flat"]) -> dict[str, Array]:
        """Unconstrained values of all sites."""
        white = self.whitening.centre
        centre, unravel = ravel_pytree(self.centre)
        return {WHITE: flat[: white.size].reshape(white.shape), **unravel(centre + self.root @ flat[white.size :])}

    @property
    def size(self) -> int:
        """Number of flat coordinates."""
        return int(self.whitening.centre.size) + self.root.shape[-1]


def root_of(draws: Float[np.ndarray, "draw *stack size"]) -> Float[np.ndarray, "*stack size size"]:
    """Cholesky factor of a covariance from draws: variances as they are, correlations shrunk.

    Correlations weigh as many draws as there are against as many uncorrelated ones as there are coordinates.
    """
    count, size = len(draws), draws.shape[-1]
    away = draws - draws.mean(0)
    covariance = np.einsum("d...i,d...j->...ij", away, away, optimize=True) / max(count - 1, 1)
    sd = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), LEAST_VARIANCE))
    correlation = covariance / (sd[..., :, None] * sd[..., None, :])
    shrunk = np.where(np.eye(size, dtype=bool), 1.0, correlation * count / (count + size))
    return sd[..., :, None] * np.linalg.cholesky(shrunk)


def rounder(
    map: Map, draws: Float[np.ndarray, "chain draw flat"], flat: Float[np.ndarray, "chain flat"]
) -> tuple[Map, Float[np.ndarray, "chain flat"]]:
    """The map that makes these draws of all chains round, and where the chains are in its coordinates."""
    shape = map.whitening.root.shape[:-1]
    size = math.prod(shape)
    seen = draws.reshape(-1, draws.shape[-1])
    white, rest = root_of(seen[:, :size].reshape(-1, *shape)), root_of(seen[:, size:])
    root = np.asarray(map.whitening.root) @ white
    new = map._replace(whitening=map.whitening._replace(root=root), root=np.asarray(map.root) @ rest)
    own = np.linalg.solve(white, flat[:, :size].reshape(-1, *shape, 1)).reshape(len(flat), size)
    return new, np.concatenate([own, np.linalg.solve(rest, flat[:, size:, None])[..., 0]], axis=1)


def stretches(warmup: int) -> list[int]:
    """Stan's windows for ``warmup`` draws: steps alone, maps over doubling windows, steps alone."""
    return [window.end - window.start + 1 for window in build_adaptation_schedule(warmup)]

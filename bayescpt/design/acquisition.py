"""What a run is worth before it is trained. To add an acquisition: a class here, named in ``ACQUISITIONS``.

A measurement y of a run is a draw from the posterior predictive, joint with everything that the posterior says. With
B = Cov(q, y) and C = Cov(y) over draws, what is expected of a quantity q once y is seen is to first order

    E[q | y] = E[q] + B C^-1 (y - E[y]),    Var(q | y) = Var(q) - B C^-1 B',

exact where both are normal. No refit is needed, so that thousands of candidates are compared in a second. Draws are
finite: what chance alone would explain, k/S of a variance with k numbers seen and S draws, is taken off.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, rankdata

LOOKED = 400
"""Possible measurements over which the best action after them is averaged."""

Quantities = Float[np.ndarray, "quantity draw"]
Seen = Float[np.ndarray, "candidate number draw"]


class Acquisition(ABC):
    """How much a run would teach, for every candidate."""

    name: ClassVar[str]
    unit: ClassVar[str]

    @abstractmethod
    def quantities(self) -> Quantities:
        """What is to be learnt of, by draw."""

    @abstractmethod
    def gain(self, quantities: Quantities, seen: Seen) -> Float[np.ndarray, " candidate"]:
        """What every candidate is expected to bring; at least 0.

        Args:
            quantities: as :meth:`quantities`, given the runs that are pending.
            seen: possible measurements of every candidate, given the runs that are pending.
        """


@dataclass(frozen=True)
class RegretReduction(Acquisition):
    """Expected fall of the expected regret: E[max_a E[V(a) | y]] - max_a E[V(a)] (knowledge gradient).

    Args:
        values: V by action and draw, nats per token (design/decision.py).
    """

    values: Float[np.ndarray, "action draw"]
    name: ClassVar[str] = "regret"
    unit: ClassVar[str] = "nats/token"

    def quantities(self) -> Quantities:
        return self.values

    def gain(self, quantities: Quantities, seen: Seen) -> Float[np.ndarray, " candidate"]:
        mean = quantities.mean(axis=1)
        best = mean.max()
        scores, kept = _explained(quantities, seen)
        # a maximum over actions needs fewer draws than a covariance; centred again: nothing learnt is to gain nothing
        white = scores.white[..., :: max(1, scores.white.shape[-1] // LOOKED)]
        white = white - white.mean(axis=-1, keepdims=True)
        found = np.empty(len(seen))
        for i, (weights, keep) in enumerate(zip(scores.weights, kept, strict=True)):
            after = mean[:, None] + (keep[:, None] * weights) @ white[i]
            found[i] = after.max(axis=0).mean() - best
        return np.maximum(found, 0.0)


@dataclass(frozen=True)
class InformationGain(Acquisition):
    """Expected fall of the entropy of a number that decides, such as the optimal ratio: -log(1 - R^2)/2.

    The number is taken by its normal scores, so that ends at 0 and 1 and heavy tails count as ranks.

    Args:
        value: by draw.
    """

    value: Float[np.ndarray, " draw"]
    name: ClassVar[str] = "information"
    unit: ClassVar[str] = "nats of entropy"

    def quantities(self) -> Quantities:
        ranks = rankdata(self.value)
        return norm.ppf((ranks - 0.5) / len(ranks))[None]

    def gain(self, quantities: Quantities, seen: Seen) -> Float[np.ndarray, " candidate"]:
        return -0.5 * np.log1p(-np.minimum(explained_share(quantities, seen)[:, 0], 1 - 1e-9))


@dataclass(frozen=True)
class VarianceReduction(Acquisition):
    """Expected fall of the summed variance of predictions: of what a V-optimal design makes small.

    Args:
        predictions: by place and draw, nats per token.
    """

    predictions: Float[np.ndarray, "place draw"]
    name: ClassVar[str] = "variance"
    unit: ClassVar[str] = "(nats/token)^2"

    def quantities(self) -> Quantities:
        return self.predictions

    def gain(self, quantities: Quantities, seen: Seen) -> Float[np.ndarray, " candidate"]:
        return explained_share(quantities, seen) @ quantities.var(axis=1)


ACQUISITIONS: tuple[type[Acquisition], ...] = (RegretReduction, InformationGain, VarianceReduction)


@dataclass(frozen=True)
class _Scores:
    """Measurements in coordinates in which they are white, and the weight of each in every quantity."""

    white: Float[np.ndarray, "candidate number draw"]
    weights: Float[np.ndarray, "candidate quantity number"]


def _explained(quantities: Quantities, seen: Seen) -> tuple[_Scores, Float[np.ndarray, "candidate quantity"]]:
    """Regression of quantities on the measurements of every candidate, and by how much chance shrinks it."""
    draws = seen.shape[-1]
    white = whitened(seen)
    away = quantities - quantities.mean(axis=1, keepdims=True)
    weights = np.einsum("qs,cks->cqk", away, white, optimize=True) / draws
    variance = np.maximum(away.var(axis=1), 1e-300)
    share = np.minimum((weights**2).sum(axis=2) / variance, 1.0)
    chance = seen.shape[1] / draws
    honest = np.maximum(share - chance, 0.0) / (1 - chance)
    return _Scores(white, weights), np.sqrt(honest / np.maximum(share, 1e-300))


def explained_share(quantities: Quantities, seen: Seen) -> Float[np.ndarray, "candidate quantity"]:
    """Part of the variance of every quantity that the measurements of every candidate explain, R^2 less chance."""
    scores, kept = _explained(quantities, seen)
    variance = np.maximum(quantities.var(axis=1), 1e-300)
    return kept**2 * (scores.weights**2).sum(axis=2) / variance


def whitened(seen: Seen) -> Float[np.ndarray, "candidate number draw"]:
    """Measurements of every candidate centred, uncorrelated and of variance 1 over draws."""
    away = seen - seen.mean(axis=-1, keepdims=True)
    covariance = np.einsum("cks,cls->ckl", away, away) / seen.shape[-1]
    # what is known already has no variance left; it stays near zero instead of dividing by it
    scale = np.trace(covariance, axis1=1, axis2=2)[:, None, None] * 1e-9 + 1e-300
    root = np.linalg.cholesky(covariance + scale * np.eye(seen.shape[1]))
    return np.linalg.solve(root, away)


def given(
    values: Float[np.ndarray, "*place draw"], pending: Float[np.ndarray, "number draw"]
) -> Float[np.ndarray, "*place draw"]:
    """Draws of ``values`` as they will scatter once ``pending`` is measured: residuals of the regression on it.

    Their mean is that of now, since nobody knows yet what will be seen; their covariance is what is left.
    """
    if not len(pending):
        return values
    white = whitened(pending[None])[0]
    mean = values.mean(axis=-1, keepdims=True)
    weights = np.einsum("...s,ks->...k", values - mean, white, optimize=True) / values.shape[-1]
    return values - np.einsum("...k,ks->...s", weights, white, optimize=True)

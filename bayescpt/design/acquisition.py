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

from bayescpt.design.decision import deciding_ratio

MOST_NUMBERS = 0.2
"""Measurements by draw up to which a regression on them says something."""
LOOKED = 400
"""Possible measurements over which the best action after them is averaged."""
TOGETHER = 8
"""Candidates whose actions are valued at a time: what fits a cache."""

Quantities = Float[np.ndarray, "quantity draw"]
Seen = Float[np.ndarray, "candidate number draw"]


class Acquisition(ABC):
    """How much a run would teach, for every candidate."""

    name: ClassVar[str]
    unit: ClassVar[str]

    @classmethod
    @abstractmethod
    def serving(cls, values: Float[np.ndarray, "action draw"], ratio: Float[np.ndarray, " action"]) -> Acquisition:
        """That which serves a decision: values of its actions by draw (design/decision.py), and their ratios."""

    @abstractmethod
    def quantities(self) -> Quantities:
        """What is to be learnt of, by draw."""

    @abstractmethod
    def gain(
        self, quantities: Quantities, seen: Seen, told: Quantities | None = None, chance: bool = True
    ) -> Float[np.ndarray, " candidate"]:
        """What every candidate is expected to bring; at least 0.

        Args:
            quantities: as :meth:`quantities`, given the runs that are pending.
            seen: possible measurements of every candidate, given the runs that are pending.
            told: what these pending runs may say of the quantities: E[q | pending] - E[q], by draw.
            chance: whether what chance alone would explain is taken off. With few draws that leaves nothing of most
                gains; to rank candidates by, they need their order more than their size.
        """


@dataclass(frozen=True)
class RegretReduction(Acquisition):
    """Expected fall of the expected regret: E[max_a E[V(a) | y]] - max_a E[V(a)] (knowledge gradient).

    With runs pending, P: E[max_a E[V(a) | P, y]] - E[max_a E[V(a) | P]]. Values are taken relative to the best action
    as of now, since a level that all actions share decides nothing and would hide what they differ by.

    Args:
        values: V by action and draw, nats per token (design/decision.py).
    """

    values: Float[np.ndarray, "action draw"]
    name: ClassVar[str] = "regret"
    unit: ClassVar[str] = "nats/token"

    @classmethod
    def serving(cls, values: Float[np.ndarray, "action draw"], ratio: Float[np.ndarray, " action"]) -> Acquisition:
        return cls(values)

    def quantities(self) -> Quantities:
        return self.values - self.values[int(self.values.mean(axis=1).argmax())]

    def gain(
        self, quantities: Quantities, seen: Seen, told: Quantities | None = None, chance: bool = True
    ) -> Float[np.ndarray, " candidate"]:
        mean = quantities.mean(axis=1, keepdims=True)
        scores, kept = _explained(quantities, seen, chance)
        # a maximum over actions needs fewer draws than a covariance; centred again: nothing learnt is to gain nothing
        looked = LOOKED if chance else LOOKED // 4
        white = scores.white[..., :: max(1, scores.white.shape[-1] // looked)]
        white = white - white.mean(axis=-1, keepdims=True)
        known = np.zeros((len(mean), 1)) if told is None else told[:, :: max(1, told.shape[1] // looked)]
        known = mean + known - known.mean(axis=1, keepdims=True)
        before = known.max(axis=0).mean()
        # knowing all would bring no more than this
        most = (quantities + (0.0 if told is None else told)).max(axis=0).mean() - before
        moved = kept[..., None] * scores.weights
        if not chance:  # for an order of thousands of runs single precision does, in half the time
            known, moved, white = (values.astype(np.float32) for values in (known, moved, white))
        found = np.empty(len(seen))
        for begin in range(0, len(seen), TOGETHER):
            part = slice(begin, begin + TOGETHER)
            found[part] = (known + moved[part] @ white[part]).max(axis=1).mean(axis=1) - before
        return np.clip(found, 0.0, max(most, 0.0))


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

    @classmethod
    def serving(cls, values: Float[np.ndarray, "action draw"], ratio: Float[np.ndarray, " action"]) -> Acquisition:
        return cls(deciding_ratio(values, ratio))

    def quantities(self) -> Quantities:
        ranks = rankdata(self.value)
        return norm.ppf((ranks - 0.5) / len(ranks))[None]

    def gain(
        self, quantities: Quantities, seen: Seen, told: Quantities | None = None, chance: bool = True
    ) -> Float[np.ndarray, " candidate"]:
        return -0.5 * np.log1p(-np.minimum(explained_share(quantities, seen, chance)[:, 0], 1 - 1e-9))


@dataclass(frozen=True)
class VarianceReduction(Acquisition):
    """Expected fall of the summed variance of predictions: of what a V-optimal design makes small.

    Args:
        predictions: by place and draw, nats per token: losses, or the values of actions.
    """

    predictions: Float[np.ndarray, "place draw"]
    name: ClassVar[str] = "variance"
    unit: ClassVar[str] = "(nats/token)^2"

    @classmethod
    def serving(cls, values: Float[np.ndarray, "action draw"], ratio: Float[np.ndarray, " action"]) -> Acquisition:
        return cls(values)

    def quantities(self) -> Quantities:
        return self.predictions

    def gain(
        self, quantities: Quantities, seen: Seen, told: Quantities | None = None, chance: bool = True
    ) -> Float[np.ndarray, " candidate"]:
        return explained_share(quantities, seen, chance) @ quantities.var(axis=1)


ACQUISITIONS: tuple[type[Acquisition], ...] = (RegretReduction, InformationGain, VarianceReduction)
"""Every acquisition on offer."""


@dataclass(frozen=True)
class _Scores:
    """Measurements in coordinates in which they are white, and the weight of each in every quantity."""

    white: Float[np.ndarray, "candidate number draw"]
    weights: Float[np.ndarray, "candidate quantity number"]


def _explained(
    quantities: Quantities, seen: Seen, chance: bool = True
) -> tuple[_Scores, Float[np.ndarray, "candidate quantity"]]:
    """Regression of quantities on the measurements of every candidate, and by how much ``chance`` shrinks it."""
    draws = seen.shape[-1]
    _enough(seen.shape[1], draws)
    white = whitened(seen)
    away = quantities - quantities.mean(axis=1, keepdims=True)
    weights = np.einsum("qs,cks->cqk", away, white, optimize=True) / draws
    return _Scores(white, weights), _kept(weights, away, chance * seen.shape[1] / draws)


def _kept(weights: np.ndarray, away: np.ndarray, chance: float) -> np.ndarray:
    """Factor of regression weights (..., number) that leaves of R^2 what ``chance`` does not explain."""
    share = np.minimum((weights**2).sum(axis=-1) / np.maximum((away**2).mean(axis=-1), 1e-300), 1.0)
    return np.sqrt(np.maximum(share - chance, 0.0) / (1 - chance) / np.maximum(share, 1e-300))


def explained_share(quantities: Quantities, seen: Seen, chance: bool = True) -> Float[np.ndarray, "candidate quantity"]:
    """Part of the variance of every quantity that the measurements of every candidate explain, R^2 less chance."""
    scores, kept = _explained(quantities, seen, chance)
    variance = np.maximum(quantities.var(axis=1), 1e-300)
    return kept**2 * (scores.weights**2).sum(axis=2) / variance


def whitened(seen: Seen) -> Float[np.ndarray, "candidate number draw"]:
    """Measurements of every candidate centred, uncorrelated and of variance 1 over draws."""
    away = seen - seen.mean(axis=-1, keepdims=True)
    covariance = np.einsum("cks,cls->ckl", away, away) / seen.shape[-1]
    # what is known already has no variance left; it stays near zero instead of dividing by it
    scale = np.trace(covariance, axis1=1, axis2=2)[:, None, None] * 1e-9 + 1e-300
    root = np.linalg.cholesky(covariance + scale * np.eye(seen.shape[1]))
    # the roots are small and the draws are many: several times as fast as a solve
    return np.linalg.inv(root) @ away


def given(
    values: Float[np.ndarray, "*place draw"], pending: Float[np.ndarray, "number draw"]
) -> Float[np.ndarray, "*place draw"]:
    """Draws of ``values`` as they will scatter once ``pending`` is measured: residuals of the regression on it.

    Their mean is that of now, since nobody knows yet what will be seen; their covariance is what is left.
    """
    if not len(pending):
        return values
    draws = values.shape[-1]
    _enough(len(pending), draws)
    white = whitened(pending[None])[0]
    away = values - values.mean(axis=-1, keepdims=True)
    weights = np.einsum("...s,ks->...k", away, white, optimize=True) / draws
    keep = _kept(weights, away, len(pending) / draws)
    return values - np.einsum("...k,ks->...s", keep[..., None] * weights, white, optimize=True)


def _enough(numbers: int, draws: int) -> None:
    """Raise ValueError where chance alone would explain too much."""
    if numbers > draws * MOST_NUMBERS:
        raise ValueError(
            f"{numbers} measurements and pending ones are too many for {draws} draws: chance would explain "
            f"{numbers / draws:.0%} of everything. Fit with more draws, or name fewer runs"
        )

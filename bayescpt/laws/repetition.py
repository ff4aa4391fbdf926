"""A scarce domain corpus that is read again and again: effective tokens, and the memory law with repetition.

Muennighoff et al. 2023 (2305.16264) count D' = U + U R* (1 - exp(-(k - 1)/R*)) tokens where U unique ones are read
k > 1 times: a repeated token is worth less the more often it has been seen, and no more than U (1 + R*) ever count.
Their fits put R* near 15.4. That number was not checked against the paper: it is the centre of a wide prior here, and
never a constant.
"""

from __future__ import annotations

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Law, Param, Point, Prior, Reference, Scalar, Theta
from bayescpt.laws.memory import Memory, changed, log_change, log_share_gained

MEMORY = Memory()
EPOCHS_WORTH = 15.4
"""R* of Muennighoff et al., about: the centre of its prior."""


def wasted_epochs(epochs: Scalar | float, worth: Scalar | float) -> Scalar:
    """Epochs of k that count for nothing: k - 1 - R* (1 - exp(-(k - 1)/R*)) for k > 1, else 0.

    Grows as (k - 1)^2 / (2 R*) at first and as k - 1 - R* far out; value and slope are 0 at k = 1.
    """
    again = jnp.maximum(jnp.asarray(epochs) - 1.0, 0.0)
    return again + worth * jnp.expm1(-again / worth)


def effective_epochs(epochs: Scalar | float, worth: Scalar | float) -> Scalar:
    """Epochs of new text that k epochs of one corpus are worth: k up to 1, at most 1 + R*.

    Args:
        epochs: k = tokens read of the corpus / tokens of the corpus, >= 0.
        worth: R* > 0, the repetitions that count in the limit.
    """
    again = jnp.maximum(jnp.asarray(epochs) - 1.0, 0.0)
    return jnp.minimum(jnp.asarray(epochs), 1.0) - worth * jnp.expm1(-again / worth)


def effective_tokens(read: Scalar | float, unique: Scalar | float, worth: Scalar | float) -> Scalar:
    """D' = U + U R* (1 - exp(-(k - 1)/R*)) of ``read`` = k U tokens of a corpus of ``unique`` = U > 0, k > 1; else k U.

    In the unit of ``read`` and ``unique``.
    """
    return unique * effective_epochs(jnp.asarray(read) / unique, worth)


def part_that_counts(epochs: Scalar, worth: Scalar) -> Scalar:
    """Effective over read tokens: exactly 1 up to one epoch."""
    again = epochs > 1
    safe = jnp.where(again, epochs, 1.0)
    return jnp.where(again, effective_epochs(safe, worth) / safe, 1.0)


class Repeated(Law):
    """L = L_memory(effective own tokens) exp(W cost ((1 + x)^p - 1)/p), x the wasted epochs of the domain corpus.

    Two things happen where a domain corpus is read k > 1 times (covariate ``domain_epochs``):

    - Of its tokens only the effective ones count as progress of the domain loss: R*, see :func:`effective_tokens`.
    - What no longer counts is learnt by heart: x = k - effective epochs raise both losses. The domain loss by W times
      ((1 + x)^p - 1)/p in its logarithm: x for p = 1, log(1 + x) for p -> 0. The general loss by that times ``cost``,
      the e-folds of its share that the model has lost (memory.py): nothing without a domain, little with replay, most
      where there is none, as measured.

    Up to one epoch x = 0 and this is the memory law exactly; value and slope in k are continuous there. Effective
    tokens alone can only make a loss fall more slowly, whereas measured domain losses rise with the epochs. dL/ds <= 0
    at a given number of epochs; where the corpus is given instead, epochs grow with the share and a larger one may
    raise the domain loss (ask/limited.py).

    Not covered: that a small corpus is less varied, so that its runs lie 0.1 to 0.2 nats behind by the end of the first
    epoch already (examples/data/README.md); that larger models learn by heart sooner (one size was measured); a scarce
    general corpus.
    """

    name: ClassVar[str] = "repeated"
    reference: ClassVar[str] = (
        f"own work on the memory law ({Memory.reference}), effective tokens after Muennighoff et al. 2023 (2305.16264)"
    )
    equation: ClassVar[str] = (
        "L = L_memory(s^q d k'/k for the domain's s^q d) exp(W cost [(1 + k - k')^p - 1]/p), "
        "k' = 1 + R (1 - e^(-(k - 1)/R)) for k > 1 epochs of the domain corpus, else k; "
        "cost = 1 for the domain loss, m^delta ln((1+eps)/(h+eps)) for the general one"
    )
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = True
    covariates: ClassVar[tuple[str, ...]] = ("domain_epochs",)
    params: ClassVar[tuple[Param, ...]] = (
        *Memory.params,
        Param("R", "epochs", "repetitions of the domain corpus that count in the limit (R*)"),
        Param("W", "-", "log factor of the loss by the first wasted epoch"),
        Param("p", "-", "how that grows: in proportion to wasted epochs at 1, as their logarithm at 0"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        *Memory.coordinates,
        Coordinate(
            "log_epochs_worth",
            "log",
            "log of R*",
            "about 15 in 2305.16264 (unchecked) at far larger sizes; about 1 in scarce runs of small proxies: wide",
            general=Prior(math.log(EPOCHS_WORTH), 1.5, 0.4),
            domain=Prior(math.log(EPOCHS_WORTH), 1.5, 0.4),
        ),
        Coordinate(
            "log_harm",
            "log",
            "log of W: what the first wasted epoch adds to the log loss, by e-fold of lost share for the general one",
            "scarce runs of the bundled study: 0.05 to 0.1 (domain) and a few times less (general); wide",
            general=Prior(math.log(0.02), 0.8, 0.4),
            domain=Prior(math.log(0.06), 0.8, 0.4),
        ),
        Coordinate(
            "log_harm_growth",
            "log",
            "log of p",
            "scarce runs of the bundled study: faster than the logarithm, slower than epochs",
            general=Prior(math.log(0.7), 0.3, 0.15),
            domain=Prior(math.log(0.7), 0.3, 0.15),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        count = len(Memory.coordinates)
        worth, harm, growth = jnp.exp(coordinates[count:])
        return {**MEMORY.natural(coordinates[:count], reference, base_share), "R": worth, "W": harm, "p": growth}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        epochs, of_general = point.given["domain_epochs"], point.base_share
        counted = of_general + (1 - of_general) * part_that_counts(epochs, theta["R"])
        cost = (1 - of_general) - of_general * log_share_gained(theta, point)
        grown = jnp.expm1(theta["p"] * jnp.log1p(wasted_epochs(epochs, theta["R"]))) / theta["p"]
        return changed(point, log_change(theta, point, counted) + theta["W"] * cost * grown)

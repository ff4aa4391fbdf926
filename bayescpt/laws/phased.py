"""A run that changes its share on the way: the memory law with a last phase that counts for more than its tokens."""

from __future__ import annotations

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Law, Param, Point, Prior, Reference, Scalar, Theta, power
from bayescpt.laws.memory import Memory, Seen, changed, log_change

MEMORY = Memory()
ALMOST_ALL = 1e-6
"""Least part of a run before its last phase that a share is worked out for."""


def recent(part: Scalar | float, recency: Scalar | float) -> Scalar:
    """Weight w = R f/(1 - f + R f) of the last part f of a run where each of its tokens counts R times.

    0 and 1 at f = 0 and 1, R at first; f itself where R = 1, so that the order does not matter.
    """
    counted = recency * jnp.asarray(part)
    return counted / (1 - part + counted)


class Phased(Law):
    """L_memory of a run whose last part f (covariate ``phase_part``) has the share s2 (``phase_share``).

    The share of the whole run s, that of the last phase s2 and of what came before s1 are bound by s = (1-f) s1 + f s2.
    In the memory law s^q stands in two places, and both take a mean over the two phases:

    - what the model remembers, h: (1-w) s1^q + w s2^q with w = R f/(1 - f + R f). A token of the last phase counts R
      times. Were R = 1 only the sum of what was read would count, and a final upsampling would be for nothing.
    - own tokens read, x: (1-f) s1^q + f s2^q, in whatever order.

    With one share throughout, or f = 0, it is the memory law exactly; dL/ds1 <= 0 and dL/ds2 <= 0 everywhere. Of three
    phases the first two count by their mean. What it does not have: a change of learning rate in the last phase, whose
    effect it takes for recency where rows vary both together.

    Rivals, on branches of the bundled study that were held out (DECISIONS.md): w = 1 - (1-f)^R and w = f^(1/R) foresaw
    long last phases worse, and counting own tokens by w too made no difference.
    """

    name: ClassVar[str] = "phased"
    reference: ClassVar[str] = (
        f"own work on the memory law ({Memory.reference}), for what Blakeney et al. 2024 (2406.03476) ask"
    )
    equation: ClassVar[str] = (
        "L = L_memory with s^q = (1-w) s1^q + w s2^q in h and (1-f) s1^q + f s2^q in x, w = R f/(1 - f + R f), "
        "s1 = (s - f s2)/(1 - f)"
    )
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = True
    covariates: ClassVar[tuple[str, ...]] = ("phase_part", "phase_share")
    params: ClassVar[tuple[Param, ...]] = (
        *Memory.params,
        Param("R", "-", "what a token of the last phase counts in memory, over one before it"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        *Memory.coordinates,
        Coordinate(
            "log_recency",
            "log",
            "log of R",
            "branches of the bundled study: 3 to 4 for either loss; wide, order may hardly matter elsewhere",
            general=Prior(math.log(3.0), 0.8, 0.3),
            domain=Prior(math.log(3.0), 0.8, 0.3),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        count = len(Memory.coordinates)
        recency = jnp.exp(coordinates[count])
        return {**MEMORY.natural(coordinates[:count], reference, base_share), "R": recency}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        part, late = point.given["phase_part"], point.given["phase_share"]
        before = jnp.clip((point.share - part * late) / jnp.maximum(1 - part, ALMOST_ALL), 0.0, 1.0)
        first, last = power(before, theta["q"]), power(late, theta["q"])
        held = first + recent(part, theta["R"]) * (last - first)
        seen = Seen(held=held, read=first + part * (last - first))
        return changed(point, log_change(theta, point, seen=seen))

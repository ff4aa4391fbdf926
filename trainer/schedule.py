"""Learning-rate schedules: pure functions from tokens seen to a multiplier of the peak learning rate.

A step that ends at ``tokens`` uses the multiplier at ``tokens``, so the first step of a warm-up is not lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[float, float, float, float], float]
"""(tokens, total, warmup, floor) to multiplier; tokens, total and warmup in tokens, floor a multiplier."""


def constant(tokens: float, total: float, warmup: float, floor: float) -> float:
    """Linear warm-up, then the peak for as long as wanted: checkpoints of one run stay comparable."""
    del total, floor
    return min(1.0, tokens / warmup) if warmup else 1.0


def cosine(tokens: float, total: float, warmup: float, floor: float) -> float:
    """Linear warm-up, then ``floor + (1 - floor) / 2 * (1 + cos(pi x))`` over the tokens that are left.

    Source: Ibrahim et al. 2024 (2403.08763), equations 1 and 2.
    """
    if tokens < warmup:
        return tokens / warmup
    x = min(1.0, (tokens - warmup) / (total - warmup))
    return floor + (1.0 - floor) / 2.0 * (1.0 + math.cos(math.pi * x))


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine}
"""Every schedule by name; a new one is a pure function and one entry."""

ANNEAL_DECAY = 0.999
"""Decay per step of the annealing momentum: Tissue et al. 2024 (2408.11029), section 3."""


@dataclass
class LearningRateArea:
    """S1 and S2 of a learning-rate path: the sum of learning rates, and the annealing area.

    ``S1 = sum_i lr_i``; ``S2 = sum_i m_i`` with ``m_i = decay * m_(i-1) + (lr_(i-1) - lr_i)``, where the drop
    counts after the peak only: a warm-up adds nothing. Source: Tissue et al. 2024 (2408.11029), equation 1.

    Args:
        s1: sum of learning rates over the steps so far.
        s2: annealing area over the steps so far; 0 for a constant learning rate.
    """

    s1: float = 0.0
    s2: float = 0.0
    momentum: float = 0.0
    previous: float = 0.0

    def step(self, lr: float) -> None:
        """Account for one optimizer step at learning rate ``lr``."""
        drop = max(0.0, self.previous - lr)
        self.momentum = ANNEAL_DECAY * self.momentum + drop
        self.s1 += lr
        self.s2 += self.momentum
        self.previous = lr

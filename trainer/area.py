"""The learning-rate covariates of an observation: how much was trained, and how much was annealed."""

from __future__ import annotations

from dataclasses import dataclass

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

"""What every contender trains: rows of random tokens, one model shape, one step. What it tells: tokens per second."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

VOCAB, LENGTH, BATCH = 1024, 128, 8
LR = 1e-3
WARM_STEPS = 4
"""Steps before the clock starts; what compilers do is done by then."""
ROWS = 20_000


@dataclass(frozen=True)
class Setting:
    """One way to train.

    Args:
        width: of the model; depth and heads follow (trainer/sizes.py).
        precision: ``float32`` or ``bfloat16``.
        compiled: whether through torch.compile.
        seconds: how long to train once warm.
    """

    width: int
    precision: str
    compiled: bool
    seconds: float

    @property
    def half(self) -> bool:
        """Whether matrix products are in bfloat16."""
        return self.precision == "bfloat16"


class Enough(Exception):
    """The time is over."""


class Clock:
    """Counts steps and tells when the time is over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: list[float] = []

    def step(self) -> bool:
        """Note the end of a step; whether the time is over."""
        self._times.append(time.perf_counter())
        warm = self._times[WARM_STEPS - 1 :]
        return len(warm) > 4 and warm[-1] - warm[0] > self._seconds

    @property
    def rate(self) -> float:
        """Tokens per second of the median step once warm: a neighbour's short burst does not count."""
        return BATCH * LENGTH / float(np.median(np.diff(self._times[WARM_STEPS - 1 :])))


def tokens() -> NDArray[np.uint16]:
    """A stream of random tokens: what they are does not matter for the speed."""
    return np.random.default_rng(0).integers(0, VOCAB, ROWS * LENGTH + 1, dtype=np.uint16)


def matmul_peak(precision: str, seconds: float = 1.0) -> float:
    """FLOP/s of the best matrix product of a few shapes, in this process with its threads."""
    best = 0.0
    for rows, inner, columns in ((1024, 256, 1024), (1024, 1024, 1024), (2048, 2048, 2048)):
        a, b = (torch.randn(shape).to(getattr(torch, precision)) for shape in ((rows, inner), (inner, columns)))
        times = []
        began = time.perf_counter()
        while time.perf_counter() - began < seconds / 3 or len(times) < 5:
            start = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - start)
        best = max(best, 2 * rows * inner * columns / float(np.median(times)))
    return best

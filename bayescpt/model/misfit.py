"""What a law misses at a base: how alike that is for bases of similar size, and how it goes on beyond the data.

A law is a form, and no form is right. By base and domain it is off by a line in log tokens, in units of the noise
there. Inside the data that line is estimated. Bases of similar size are off alike:

    cor(b, b') = ALIKE exp(-|log N_b - log N_b'| / REACH),    cor(b, b) = 1,

so that a size never run inherits part of what its neighbours show. Beyond the data nothing bounds it: where a question
lies beyond the longest run or outside the sizes of the table, the law may drift away,

    drift ~ N(0, (base_sd x beyond x distance)^2),

with ``distance`` in log tokens over the table's span, and in log size over its span (at least ``LEAST_SPAN``). A law is
fitted so that what it misses is small where rows are; the first rows beyond are where that ends.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

ALIKE = 0.8
"""Correlation of what a law misses at two bases of one size: the rest is how single bases happen to be."""
REACH = math.log(10)
"""E-folds of size over which that correlation fades by a factor e."""
BEYOND_TOKENS, BEYOND_SIZE = 4.0, 6.0
"""How much faster a law goes astray beyond the data than inside, by held-out ends of runs and largest sizes of the
study and of the quickstart (benchmarks/README.md): chosen so that 90 % intervals hold 85 to 95 % there."""
BEYOND_COMPUTE = 8.0
"""The same by compute, for studies from scratch, where sizes and tokens of the next scale may each have been seen:
chosen on the last isoFLOP but one of a published study (benchmarks/README.md)."""
LEAST_SPAN = math.log(4)


def alike(log_size: Float[np.ndarray, " base"], kind: Int[np.ndarray, " base"]) -> Float[np.ndarray, "base base"]:
    """Correlation of what a law misses at bases of these log sizes; bases of another ``kind`` (domain) are independent.

    Returns a correlation matrix. Source: own work, see above.
    """
    apart = np.abs(np.subtract.outer(log_size, log_size))
    same = np.equal.outer(kind, kind)
    correlation = np.where(same, ALIKE * np.exp(-apart / REACH), 0.0)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def inherited(log_size: Float[np.ndarray, " base"], new: float) -> tuple[Float[np.ndarray, " base"], float]:
    """Weights of the known bases' misfit in the mean of a new one's, and the standard deviation around that mean in
    units of base_sd."""
    kind = np.zeros(len(log_size) + 1, np.int64)
    whole = alike(np.append(log_size, new), kind)
    cross = whole[-1, :-1]
    weights = np.linalg.solve(whole[:-1, :-1], cross) if len(log_size) else np.zeros(0)
    return weights, math.sqrt(max(1.0 - float(weights @ cross), 0.0))


def outside(value: float, low: float, high: float, least: float = LEAST_SPAN) -> float:
    """How far ``value`` lies outside [low, high], over the width of that range (at least ``least``); 0 inside."""
    return max(value - high, low - value, 0.0) / max(high - low, least)

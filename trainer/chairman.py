"""Whose turn it is: exact shares, and Tijdeman's chairman assignment, which keeps them on every prefix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

RESOLUTION = 1_000_000
"""Shares are fractions with denominators up to this; what is finer is refused, never rounded to zero."""


def exact_shares(shares: dict[str, float]) -> dict[str, Fraction]:
    """The shares as exact fractions that sum to one.

    Args:
        shares: share of every source, each in [0, 1].

    Raises:
        ValueError: naming every share out of bounds or too fine, or a sum other than one.
    """
    faults = [
        f"{name}: expected a share in [0, 1], got {share!r}"
        for name, share in shares.items()
        if isinstance(share, bool) or not isinstance(share, int | float | Fraction) or not 0 <= share <= 1
    ]
    if faults:
        raise ValueError("mixture: " + "; ".join(faults))
    exact = {name: Fraction(share).limit_denominator(RESOLUTION) for name, share in shares.items()}
    faults = [
        f"{name}: {share!r} is not a fraction with a denominator up to {RESOLUTION}"
        for name, share in shares.items()
        if abs(exact[name] - Fraction(share)) > Fraction(1, 10**12)
    ]
    if sum(exact.values()) != 1:
        faults.append(f"the shares must sum to 1, got {float(sum(exact.values()))!r}")
    if faults:
        raise ValueError("mixture: " + "; ".join(faults) + "; give shares with at most six decimals")
    return exact


def chairman(phases: Sequence[tuple[int, Sequence[Fraction]]], rows: int) -> NDArray[np.int16]:
    """Which source gives each of the first ``rows`` rows.

    With q_i(n) the sum of source i's shares over the first n rows: of the k sources that are due
    (``q_i - count_i >= 1 / (2 k - 2)``) the one whose deadline is nearest is chosen, the row at which
    ``q_i - count_i`` would reach ``1 - 1 / (2 k - 2)``; then ``|count_i - q_i| <= 1 - 1 / (2 k - 2)`` for every source
    and every n. Shares may change: the theorem holds for any. Source: Tijdeman 1980, The chairman assignment
    problem, Discrete Mathematics 32.

    Args:
        phases: first row of every phase, the first of them 0, and its shares: of all sources, summing to one.
        rows: length of the prefix.
    """
    k = len(phases[0][1])
    if k == 1:
        return np.zeros(rows, np.int16)
    # Everything is scaled by the common denominator and by 2 k - 2, so the comparisons are in whole numbers.
    scale = math.lcm(*(s.denominator for _, shares in phases for s in shares))
    starts = [start for start, _ in phases] + [max(rows, phases[-1][0]) + 1]
    weights = [[int(s * scale) for s in shares] for _, shares in phases]
    slack = 2 * k - 2
    owed = [0] * k
    chosen = np.empty(rows, np.int16)
    phase = 0

    def deadline(source: int, row: int) -> Fraction | float:
        """Rows from ``row`` until ``source`` must have been chosen."""
        missing = (slack - 1) * scale - slack * owed[source]
        passed = 0
        for p in range(phase, len(phases)):
            here = starts[p + 1] - max(row, starts[p])
            weight = weights[p][source]
            last = p == len(phases) - 1
            if weight and (last or missing <= slack * weight * here):
                return passed + Fraction(missing, slack * weight)
            missing -= slack * weight * here
            passed += here
        return math.inf

    for n in range(rows):
        while n >= starts[phase + 1]:
            phase += 1
        for i in range(k):
            owed[i] += weights[phase][i]
        due = [i for i in range(k) if slack * owed[i] >= scale]
        assert due, f"row {n}: no source is due, owed {owed}"
        best = due[0] if len(due) == 1 else min(due, key=lambda i: deadline(i, n + 1))
        owed[best] -= scale
        chosen[n] = best
    return chosen

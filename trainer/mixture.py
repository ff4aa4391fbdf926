"""The training stream as a pure function of (seed, position): which source a row comes from, and which row.

Sources take turns by Tijdeman's chairman assignment, so on *every* prefix of n rows a source with share s has
given ``n s`` rows to within one. Within a source, each epoch is a permutation of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from trainer.files import derived_seed

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
        if not (math.isfinite(share) and 0 <= share <= 1)
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


def chairman(shares: list[Fraction], rows: int) -> NDArray[np.int16]:
    """Which source gives each of the first ``rows`` rows.

    Of the k sources that are due (``n s - count >= 1 / (2 k - 2)``) the one whose deadline is nearest is
    chosen; then ``|count - n s| <= 1 - 1 / (2 k - 2)`` for every source and every n. Source: Tijdeman 1980,
    The chairman assignment problem, Discrete Mathematics 32.

    Args:
        shares: positive shares that sum to one.
        rows: length of the prefix.
    """
    k = len(shares)
    if k == 1:
        return np.zeros(rows, np.int16)
    # Everything is scaled by the common denominator and by 2 k - 2, so the comparisons are in whole numbers.
    scale = math.lcm(*(s.denominator for s in shares))
    weights = [int(s * scale) for s in shares]
    slack = 2 * k - 2
    owed = [0] * k
    chosen = np.empty(rows, np.int16)
    for n in range(rows):
        best = -1
        best_numerator = 0
        for i in range(k):
            owed[i] += weights[i]
            if slack * owed[i] < scale:
                continue
            numerator = (slack - 1) * scale - slack * owed[i]
            if best < 0 or numerator * weights[best] < best_numerator * weights[i]:
                best, best_numerator = i, numerator
        assert best >= 0, f"row {n}: no source is due, owed {owed}"
        owed[best] -= scale
        chosen[n] = best
    return chosen


@dataclass
class Mixture:
    """A deterministic stream over packed rows of several sources.

    Args:
        shares: share of every source; a share of exactly 0 leaves the source out.
        rows: rows that every source has.
        total: length of the stream in rows.
        seed: seed of the order within the sources.

    Raises:
        ValueError: for shares that :func:`exact_shares` refuses, unknown sources, or a source without rows.
    """

    shares: dict[str, float]
    rows: dict[str, int]
    total: int
    seed: int
    _orders: dict[tuple[str, int], NDArray[np.int64]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        exact = {name: share for name, share in exact_shares(self.shares).items() if share > 0}
        missing = sorted(name for name in exact if self.rows.get(name, 0) < 1)
        if missing:
            raise ValueError(f"mixture: no rows for {', '.join(missing)}; there are {self.rows}")
        self._names = list(exact)
        # After one common denominator every source is owed nothing, so the pattern starts again.
        period = math.lcm(*(s.denominator for s in exact.values()))
        pattern = chairman(list(exact.values()), min(period, self.total))
        self._chosen = np.resize(pattern, self.total) if self.total else pattern
        taken = self._chosen[:, None] == np.arange(len(self._names))
        self._counts = np.concatenate((np.zeros((1, len(self._names)), np.int64), taken.cumsum(0)))

    def counts(self, prefix: int) -> dict[str, int]:
        """Rows that every source gave to the first ``prefix`` rows of the stream."""
        given = dict(zip(self._names, self._counts[prefix].tolist(), strict=True))
        return {name: given.get(name, 0) for name in self.shares}

    def realised(self, prefix: int) -> dict[str, float]:
        """Realised share of every source on the first ``prefix`` rows, ``prefix`` at least 1."""
        return {name: count / prefix for name, count in self.counts(prefix).items()}

    def epochs(self, prefix: int) -> dict[str, float]:
        """How often every source has been gone through on the first ``prefix`` rows."""
        counts = self.counts(prefix)
        return {name: count / self.rows[name] if count else 0.0 for name, count in counts.items()}

    def at(self, position: int) -> tuple[str, int]:
        """The source of the row at ``position``, and its index within that source."""
        source = int(self._chosen[position])
        name = self._names[source]
        epoch, place = divmod(int(self._counts[position, source]), self.rows[name])
        return name, int(self._order(name, epoch)[place])

    def _order(self, name: str, epoch: int) -> NDArray[np.int64]:
        if (name, epoch) not in self._orders:
            for stale in [key for key in self._orders if key[0] == name]:
                del self._orders[stale]
            generator = np.random.default_rng(derived_seed("order", self.seed, name, epoch))
            self._orders[name, epoch] = generator.permutation(self.rows[name])
        return self._orders[name, epoch]

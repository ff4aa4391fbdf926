"""The training stream as a pure function of (seed, position): which source a row comes from, and which row.

Sources take turns by the chairman assignment (chairman.py), so on *every* prefix of n rows a source with share s has
given ``n s`` rows to within one, also where shares change along the way. Within a source, each epoch is a permutation
of its own, and a change of shares neither skips nor repeats a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trainer.chairman import chairman, exact_shares
from trainer.files import derived_seed


@dataclass(frozen=True)
class Phase:
    """A stretch of a stream with shares of its own.

    Args:
        start: row of the stream at which it begins.
        shares: share of every source, each in [0, 1], from there on.
    """

    start: int
    shares: dict[str, float]


@dataclass
class Mixture:
    """A deterministic stream over packed rows of several sources.

    Args:
        phases: shares of every source along the stream, in order, the first from row 0; a source left out or with a
            share of exactly 0 gives nothing in that phase.
        rows: rows that every source has.
        total: length of the stream in rows.
        seed: seed of the order within the sources.
        before: a stream that this one goes on from, and how many of its rows come first. Phases then count from there,
            positions from the start of the first stream, and every source goes on where it was.
        orders: order of the rows of a source in an epoch, where it is not a permutation of the stream's own.
        max_epochs: how often a source may be gone through, where that is limited.

    Raises:
        ValueError: for phases out of order, shares that :func:`exact_shares` refuses, unknown sources, a source
            without rows, or one that would be repeated more often than allowed.
    """

    phases: Sequence[Phase]
    rows: dict[str, int]
    total: int
    seed: int
    before: tuple[Mixture, int] | None = None
    orders: Mapping[str, Callable[[int], NDArray[np.int64]]] = field(default_factory=dict)
    max_epochs: Mapping[str, float] = field(default_factory=dict)
    _orders: dict[tuple[str, int], NDArray[np.int64]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        starts = [phase.start for phase in self.phases]
        if not starts or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
            raise ValueError(f"mixture: phases must start at row 0 and then later and later, got starts {starts}")
        exact = [exact_shares(phase.shares) for phase in self.phases]
        self._all = list(dict.fromkeys(name for phase in self.phases for name in phase.shares))
        self._names = [name for name in self._all if any(shares.get(name, 0) > 0 for shares in exact)]
        chosen = self._assign([(p.start, s) for p, s in zip(self.phases, exact, strict=True)])
        if self.before is not None:
            first, at = self.before
            self._all = list(dict.fromkeys(self._all + first._all))
            own = len(self._names)
            self._names += [name for name in first._names if name not in self._names[:own]]
            renumbered = np.array([self._names.index(name) for name in first._names], np.int16)
            chosen = np.concatenate((renumbered[first._chosen[:at]], chosen))
        self._chosen: NDArray[np.int16] = chosen
        missing = sorted(name for name in self._names if self.rows.get(name, 0) < 1)
        if missing:
            raise ValueError(f"mixture: no rows for {', '.join(missing)}; there are {self.rows}")
        taken = self._chosen[:, None] == np.arange(len(self._names))
        self._counts = np.concatenate((np.zeros((1, len(self._names)), np.int64), taken.cumsum(0)))
        self._refuse_repetition()

    def _assign(self, phases: list[tuple[int, dict[str, Fraction]]]) -> NDArray[np.int16]:
        """The source of every row of this stream's own, by its place among the names."""
        plan = [(start, [shares.get(name, Fraction(0)) for name in self._names]) for start, shares in phases]
        if len(plan) > 1:
            return chairman(plan, self.total)
        # After one common denominator every source is owed nothing, so the pattern starts again.
        period = math.lcm(*(share.denominator for share in plan[0][1]))
        pattern = chairman(plan, min(period, self.total))
        return np.resize(pattern, self.total) if self.total else pattern

    def _refuse_repetition(self) -> None:
        over = [
            f"{name}: {epochs:.3g} epochs, {self.max_epochs[name]:g} allowed"
            for name, epochs in self.epochs(len(self._chosen)).items()
            if epochs > self.max_epochs.get(name, math.inf)
        ]
        if over:
            raise ValueError(
                "mixture: repeated too often: " + "; ".join(over) + "; lower the share or the tokens, or add text"
            )

    def __len__(self) -> int:
        """Rows of the whole stream, those before it among them."""
        return len(self._chosen)

    def counts(self, prefix: int) -> dict[str, int]:
        """Rows that every source gave to the first ``prefix`` rows of the stream."""
        given = dict(zip(self._names, self._counts[prefix].tolist(), strict=True))
        return {name: given.get(name, 0) for name in self._all}

    def realised(self, prefix: int, start: int = 0) -> dict[str, float]:
        """Realised share of every source on the first ``prefix`` rows less the first ``start``, fewer than those."""
        before = self.counts(start)
        return {name: (count - before[name]) / (prefix - start) for name, count in self.counts(prefix).items()}

    def epochs(self, prefix: int) -> dict[str, float]:
        """How often every source has been gone through on the first ``prefix`` rows."""
        counts = self.counts(prefix)
        return {name: count / self.rows[name] if count else 0.0 for name, count in counts.items()}

    def phase_start(self, prefix: int) -> int:
        """Row from which on the shares hold that the last of the first ``prefix`` rows was drawn with."""
        held = [phase for phase in self._held() if phase[0] < max(prefix, 1)]
        start, shares = held.pop()
        while held and held[-1][1] == shares:
            start = held.pop()[0]
        return start

    def _held(self) -> list[tuple[int, dict[str, Fraction]]]:
        """First row and shares of every phase of the whole stream, those before it among them."""
        first, at = self.before if self.before is not None else (None, 0)
        held = [] if first is None else [phase for phase in first._held() if phase[0] < at]
        for phase in self.phases:
            shares = exact_shares(phase.shares)
            held.append((at + phase.start, {name: share for name, share in shares.items() if share}))
        return held

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
            own = self.orders.get(name)
            order = shuffled(self.seed, name, self.rows[name], epoch) if own is None else own(epoch)
            assert len(order) == self.rows[name], f"{name}: an order of {len(order)} rows for {self.rows[name]}"
            self._orders[name, epoch] = order
        return self._orders[name, epoch]


def shuffled(seed: int, name: str, rows: int, epoch: int) -> NDArray[np.int64]:
    """The permutation of a source's rows in an epoch of the stream with this seed."""
    generator = np.random.default_rng(derived_seed("order", seed, name, epoch))
    return generator.permutation(rows)

"""Exact shares put between bounds, and on a grid, without changing their sum."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction


def bounded(shares: Mapping[str, Fraction], low: Fraction, high: Fraction) -> dict[str, Fraction]:
    """``min(high, max(low, c r_i))`` with the one factor c at which the result sums to one.

    Shares strictly between the bounds keep their ratios to one another.

    Args:
        shares: positive shares that sum to one.
        low: least share, positive, at most 1 / number of shares.
        high: largest share, at least 1 / number of shares.
    """
    assert low * len(shares) <= 1 <= high * len(shares), f"no {len(shares)} shares from {low} to {high} sum to one"

    def clipped(c: Fraction) -> dict[str, Fraction]:
        return {name: min(high, max(low, c * share)) for name, share in shares.items()}

    if clipped(Fraction(1)) == shares:
        return dict(shares)
    # The sum grows with c and is straight between the values of c at which some share meets a bound.
    bends = sorted({bound / share for share in shares.values() for bound in (low, high)})
    below, above = bends[0], bends[-1]
    for bend in bends:
        if sum(clipped(bend).values()) <= 1:
            below = bend
        else:
            above = bend
            break
    first, second = sum(clipped(below).values()), sum(clipped(above).values())
    if first == second:
        return clipped(below)
    return clipped(below + (above - below) * (1 - first) / (second - first))


def without(shares: Mapping[str, Fraction], name: str) -> dict[str, Fraction]:
    """The shares with one source left out, the others in proportion."""
    kept = {other: share for other, share in shares.items() if other != name}
    total = sum(kept.values())
    return {other: share / total for other, share in kept.items()}


def on_grid(shares: Mapping[str, Fraction], steps: int) -> dict[str, Fraction]:
    """The nearest multiples of ``1 / steps`` with the same sum, one: the largest remainders are rounded up.

    None moves by a whole step or passes a multiple, so bounds on the grid are kept. Equal remainders go by name.

    Args:
        shares: shares that sum to one.
        steps: steps of the grid from 0 to 1.
    """
    whole = {name: int(share * steps) for name, share in shares.items()}
    missing = steps - sum(whole.values())
    by_remainder = sorted(shares, key=lambda name: (whole[name] - shares[name] * steps, name))
    up = set(by_remainder[:missing])
    return {name: Fraction(count + (name in up), steps) for name, count in whole.items()}

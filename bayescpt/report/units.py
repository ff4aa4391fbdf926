"""Counts, shares and multiples as people say them."""

from __future__ import annotations


def count(value: float) -> str:
    """A count to three digits with the suffix k, M, B or T: 590720 is ``591k``, 1.5e9 is ``1.5B``."""
    rounded = float(f"{value:.3g}")
    for scale, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if rounded >= scale:
            return f"{rounded / scale:g}{suffix}"
    return f"{rounded:g}"


def share(ratio: float) -> str:
    """A ratio in [0, 1] as a percentage with a space that does not break: ``55 %``; small ones with a digit more."""
    digits = 1 if 0 < ratio < 0.0995 or 0.9005 < ratio < 1 else 0
    return f"{100 * ratio:.{digits}f}".removesuffix(".0") + "\u00a0%"


def times(factor: float) -> str:
    """A multiple: ``3.4x``, ``250x``."""
    return f"{factor:,.0f}x" if factor >= 100 else f"{factor:.3g}x"

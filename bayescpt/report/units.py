"""Counts as people say them."""

from __future__ import annotations


def count(value: float) -> str:
    """A count to three digits with the suffix k, M, B or T: 590720 is ``591k``, 1.5e9 is ``1.5B``."""
    rounded = float(f"{value:.3g}")
    for scale, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if rounded >= scale:
            return f"{rounded / scale:g}{suffix}"
    return f"{rounded:g}"

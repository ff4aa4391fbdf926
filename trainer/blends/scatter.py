"""How far a mixture that is drawn at random strays from its shares."""

from __future__ import annotations

import math
from fractions import Fraction

from trainer.blends.blend import Blend

DRAWS = (1_000, 100_000)
"""Numbers of draws for which the notes give figures."""


def realised_sd(share: float | Fraction, draws: int) -> float:
    """Standard deviation of the realised share of a source, ``sqrt(r (1 - r) / n)``, over n independent draws.

    Args:
        share: its share r, in [0, 1].
        draws: n, at least 1.
    """
    return math.sqrt(share * (1 - share) / draws)


def scatter_notes(blend: Blend, unit: str) -> list[str]:
    """The warning that sources are drawn at random, with figures for every share of the first stage."""
    lines = [f"WARNING: the source of every {unit} is drawn at random, so the realised share is not the one asked for."]
    for name, share in blend.stages[0].shares.items():
        figures = ", ".join(f"{realised_sd(share, n):.2g} after {n:,}" for n in DRAWS)
        lines.append(f"  {name}: share {float(share):.6g}, standard deviation of the realised share {figures}")
    return [*lines, "Count what was drawn, and use the realised share wherever the share is a covariate."]

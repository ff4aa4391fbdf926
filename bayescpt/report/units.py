"""Counts, shares and multiples as people say them."""

from __future__ import annotations

import math

EXACT = 1e-9
"""Up to this a number counts as reached: 0.29 is 0.28999... in a computer."""


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


def decided_share(ratio: float) -> str:
    """A share that was decided under a forgetting budget: to one decimal and never above what was decided.

    Examples:
        >>> from bayescpt.report.units import decided_share
        >>> decided_share(0.65678)
        '65.6\xa0%'
    """
    return f"{math.floor(1000 * ratio + EXACT) / 10:.1f}\u00a0%"


def odds(probability: float) -> str:
    """A probability to two digits, rounded down, so that it never reads as one that it does not reach.

    That all draws agree, or none does, is no certainty: ``above 0.99`` and ``below 0.01``.

    Examples:
        >>> from bayescpt.report.units import odds
        >>> odds(0.8999), odds(1.0)
        ('0.89', 'above 0.99')
    """
    if probability > 0.99 + EXACT:
        return "above 0.99"
    known = math.floor(100 * probability + EXACT)
    return f"{known / 100:.2f}" if known else "below 0.01"


def at_least(probability: float) -> str:
    """The least of several probabilities: ``0.91 or more``."""
    told = odds(probability)
    return f"{told} or more" if told[0].isdigit() else told


def percent(probability: float) -> str:
    """The same odds in percent, where there is little room: ``89%``, ``>99%``, ``<1%``; 0% where no draw is."""
    if probability == 0:
        return "0%"
    told = odds(probability)
    return f"{100 * float(told):.0f}%" if told[0].isdigit() else ">99%" if told.startswith("above") else "<1%"


def times(factor: float) -> str:
    """A multiple: ``3.4x``, ``250x``."""
    return f"{factor:,.0f}x" if factor >= 100 else f"{factor:.3g}x"

"""What may be chosen where the stream has more than two sources: share vectors on the simplex."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from math import comb

import numpy as np
import pandas as pd

from bayescpt.ask.losses import check_setting
from bayescpt.schema import SHARE

STEPS = 20
MOST = 20_000
"""Actions that a plan still takes."""


def on_simplex(
    size: float,
    tokens: float,
    sources: Sequence[str],
    domain: str,
    steps: int | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> pd.DataFrame:
    """Every mixture of the sources whose shares are multiples of 1/steps, at one size and token budget.

    Args:
        sources: of the stream, as the table's ``share_<source>`` columns name them.
        domain: the source whose share is the ratio.
        steps: parts that the whole is cut into; without, 20 or as many as make 20,000 mixtures at most.
        limits: least and largest share by source; [0, 1] where none is given.

    Returns columns size, tokens, ratio and ``share_<source>`` for every source.

    Raises ValueError naming everything that is impossible, and where the limits leave no mixture.

    Examples:
        >>> from bayescpt.decide import on_simplex
        >>> on_simplex(1e9, 1e10, ["general", "law", "code"], "law", steps=2).drop(columns=["size", "tokens"])
           ratio  share_general  share_law  share_code
        0    0.0            0.0        0.0         1.0
        1    0.5            0.0        0.5         0.5
        2    1.0            0.0        1.0         0.0
        3    0.0            0.5        0.0         0.5
        4    0.5            0.5        0.5         0.0
        5    0.0            1.0        0.0         0.0
    """
    check_setting(size, tokens)
    limits = dict(limits or {})
    faults = [f"two sources are called '{name}'" for name in sorted({s for s in sources if list(sources).count(s) > 1})]
    faults += [] if domain in sources else [f"'{domain}' is no source of the stream ({', '.join(sources)})"]
    faults += [f"limits: '{name}' is no source" for name in limits if name not in sources]
    faults += [
        f"limits of {name}: expected 0 <= least <= largest <= 1, got {low} and {high}"
        for name, (low, high) in limits.items()
        if not 0 <= low <= high <= 1
    ]
    if len(sources) < 2:
        faults.append(f"expected at least two sources, got {len(sources)}")
    if steps is not None and steps < 1:
        faults.append(f"expected at least one step, got {steps}")
    if faults:
        raise ValueError("; ".join(faults))
    parts = _steps(len(sources)) if steps is None else steps
    if _count(parts, len(sources)) > MOST:
        raise ValueError(
            f"{parts} steps of {len(sources)} sources make {_count(parts, len(sources)):,} mixtures, more than "
            f"{MOST:,}: take fewer steps"
        )
    places = itertools.combinations(range(parts + len(sources) - 1), len(sources) - 1)
    bars = np.array(list(places))
    edges = np.hstack([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), parts + len(sources) - 1)])
    shares = (np.diff(edges, axis=1) - 1) / parts
    low, high = (np.array([limits.get(s, (0.0, 1.0))[end] for s in sources]) for end in (0, 1))
    shares = shares[((shares >= low - 1e-12) & (shares <= high + 1e-12)).all(axis=1)]
    if not len(shares):
        raise ValueError(f"no mixture in steps of 1/{parts} lies within the limits: widen them, or take more steps")
    ratio = shares[:, list(sources).index(domain)]
    named = {f"{SHARE}{source}": shares[:, i] for i, source in enumerate(sources)}
    return pd.DataFrame({"size": float(size), "tokens": float(tokens), "ratio": ratio} | named)


def _steps(sources: int) -> int:
    """As many as there may be, at most ``STEPS``."""
    return max((parts for parts in range(1, STEPS + 1) if _count(parts, sources) <= MOST), default=1)


def _count(parts: int, sources: int) -> int:
    return comb(parts + sources - 1, sources - 1)

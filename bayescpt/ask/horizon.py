"""How far a question lies beyond the table: what no interval of a fitted law can promise by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescpt.ask.losses import check_setting
from bayescpt.data.runs import trained_domains
from bayescpt.data.table import Table

NEARLY = 0.02
"""Sizes closer than this, in logarithm, to one of the table are likely that one, rounded; as are tokens to the most."""
SHOWN = 8
"""How many unknown domains a warning names before it only counts the rest."""


@dataclass(frozen=True)
class Horizon:
    """Where one question lies.

    Args:
        size: factor between the size asked for and the nearest one of the table, 1 within their range.
        tokens: factor by which the tokens asked for exceed the table's longest run, 1 up to there and a little beyond.
        size_span, tokens_span: largest over smallest of the table's own.
        new_domain: no run of the table was trained on the domain, so that the population of domains answers.
        first: tokens of the table's first checkpoint, where the run ends before it; else None.
        asked, meant: the size asked for and the table's that it nearly is; None where it is not nearly one, or is one.
    """

    domain: str
    size: float
    tokens: float
    size_span: float
    tokens_span: float
    new_domain: bool
    first: float | None = None
    asked: float | None = None
    meant: float | None = None

    def fields(self) -> dict[str, Any]:
        """What goes with an answer: ``extrapolation`` and ``new_domain``, each only where it applies."""
        beyond = {name: factor for name, factor in (("size", self.size), ("tokens", self.tokens)) if factor > 1}
        return ({"extrapolation": beyond} if beyond else {}) | ({"new_domain": True} if self.new_domain else {})


def horizon(table: Table, domain: str, size: float, tokens: float) -> Horizon:
    """How far ``size`` parameters and ``tokens`` tokens lie beyond the training rows of ``table``.

    Raises ValueError unless both are finite and positive.

    Examples:
        >>> from bayescpt import horizon
        >>> horizon(table, "law", size=5907200, tokens=204800).fields()
        {'extrapolation': {'size': 10.0}, 'new_domain': True}
    """
    check_setting(size, tokens)
    least, most = float(table.size.min()), float(table.size.max())
    first, last = float(table.tokens.min()), float(table.tokens.max())
    nearest = float(min(np.unique(table.size), key=lambda one: abs(np.log(one / size))))
    rounded = 0 < abs(np.log(nearest / size)) < NEARLY and not np.isclose(nearest, size, rtol=1e-9)
    return Horizon(
        domain=domain,
        size=1.0 if rounded else max(size / most, least / size, 1.0),
        tokens=tokens / last if np.log(tokens / last) > NEARLY else 1.0,
        size_span=most / least,
        tokens_span=last / first,
        new_domain=domain not in trained_domains(table),
        first=first if tokens < first else None,
        asked=size if rounded else None,
        meant=nearest if rounded else None,
    )


def warnings(horizons: Iterable[Horizon]) -> list[str]:
    """Sentences for a person: on the farthest extrapolation, on runs that end before the table's first checkpoint, on
    sizes that are nearly one of the table's, and on the domains that the table lacks."""
    everywhere = list(horizons)
    parts = []
    for what, span_of in (("size", "size_span"), ("tokens", "tokens_span")):
        factor = max((getattr(one, what) for one in everywhere), default=1.0)
        if factor > 1:
            span = max(getattr(one, span_of) for one in everywhere)
            far = f" (more than its own span, {_times(span)})" if factor > span else ""
            parts.append(f"{what} {_times(factor)} beyond the table{far}")
    lines = [f"extrapolation: {' and '.join(parts)}; the law's shape answers there, not rows"] if parts else []
    if first := next((one.first for one in everywhere if one.first is not None), None):
        lines.append(f"the run ends before the table's first checkpoint ({first:,.0f} tokens): no row is near")
    for asked, meant in dict.fromkeys((one.asked, one.meant) for one in everywhere if one.meant):
        lines.append(
            f"size {asked:,.0f} is nearly the table's {meant:,.0f}, and counts as one whose base was never measured: "
            f"ask for {meant:.0f} if it is meant"
        )
    unknown = list(dict.fromkeys(one.domain for one in everywhere if one.new_domain))
    if unknown:
        names = ", ".join(f"'{name}'" for name in unknown[:SHOWN])
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        lines.append(
            f"new domain: no run of the table was trained on {names}{more}; the population of its domains answers"
        )
    return lines


def _times(factor: float) -> str:
    if factor >= 1e6:
        return f"{factor:.0e}x"
    return f"{factor:,.0f}x" if factor >= 100 else f"{factor:.3g}x"

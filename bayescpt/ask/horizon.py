"""How far a question lies beyond the table: what no interval of a fitted law can promise by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bayescpt.ask.losses import check_setting
from bayescpt.data.table import Table

SHOWN = 8
"""How many unknown domains a warning names before it only counts the rest."""


@dataclass(frozen=True)
class Horizon:
    """Where one question lies.

    Args:
        size: factor between the size asked for and the nearest one of the table, 1 within their range.
        tokens: factor by which the tokens asked for exceed the table's longest run, 1 up to there.
        size_span, tokens_span: largest over smallest of the table's own.
        new_domain: the domain is not in the table, so that the population of domains answers.
        first: tokens of the table's first checkpoint, where the run ends before it; else None.
    """

    domain: str
    size: float
    tokens: float
    size_span: float
    tokens_span: float
    new_domain: bool
    first: float | None = None

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
    return Horizon(
        domain=domain,
        size=max(size / most, least / size, 1.0),
        tokens=max(tokens / last, 1.0),
        size_span=most / least,
        tokens_span=last / first,
        new_domain=domain not in table.domains,
        first=first if tokens < first else None,
    )


def warnings(horizons: Iterable[Horizon]) -> list[str]:
    """At most three sentences for a person: on the farthest extrapolation, on runs that end before the table's first
    checkpoint, and on the domains that the table lacks."""
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
    unknown = list(dict.fromkeys(one.domain for one in everywhere if one.new_domain))
    if unknown:
        names = ", ".join(f"'{name}'" for name in unknown[:SHOWN])
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        lines.append(f"new domain: the table has no {names}{more}; the population of its domains answers")
    return lines


def _times(factor: float) -> str:
    if factor >= 1e6:
        return f"{factor:.0e}x"
    return f"{factor:,.0f}x" if factor >= 100 else f"{factor:.3g}x"

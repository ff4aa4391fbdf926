"""How far a plan lies beyond the data, and what intervals held at that distance where it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayescpt.ask.horizon import Horizon

if TYPE_CHECKING:
    from bayescpt.decide.plan import Plan

BELOW_ZERO = 0.01
"""Part of the draws with a loss that cannot be, from which a plan is warned of."""


@dataclass(frozen=True)
class Measured:
    """What 90 % intervals of a new run held at a distance: shares of held-out losses.

    Args:
        what: ``size``, ``tokens`` or ``domain``.
        factor: multiple of the largest that was seen; 1 for a new domain.
        general, domain: share of losses inside.
    """

    what: str
    factor: float
    general: float
    domain: float


MEASURED = (
    Measured("size", 2.6, 0.85, 0.88),
    Measured("tokens", 3.0, 0.84, 0.97),
    Measured("domain", 1.0, 0.90, 0.76),
)
"""On this project's own study (benchmarks/README.md, "Held-out rows of the study": memory, partial pooling, Student
noise, by Laplace). Other studies, laws and larger models may do better or worse."""


def trust(place: Horizon) -> list[str]:
    """Sentences for everything in which a question lies beyond the data; none where it does not."""
    lines = []
    for known in MEASURED:
        beyond = place.new_domain if known.what == "domain" else getattr(place, known.what) > 1
        if not beyond:
            continue
        shares = f"{known.general:.0%} of general and {known.domain:.0%} of domain losses"
        held = f"under the memory law 90% intervals held {shares}"
        if known.what == "domain":
            lines.append(f"a domain that was never trained on: {held} of domains held out of our own study")
            continue
        factor = getattr(place, known.what)
        where = f"at {known.factor:g}x the {'size' if known.what == 'size' else 'tokens'} seen in our own study"
        reach = "" if factor <= known.factor * 1.05 else "; farther out nothing was measured"
        lines.append(f"{known.what} {factor:.3g}x beyond the table: {held} {where}{reach}")
    return lines


def cautions(plan: Plan) -> list[str]:
    """Sentences for what makes a plan hard to believe whatever its odds say; none where nothing does."""
    lines = []
    if plan.p_below_zero > BELOW_ZERO:
        part = f"{plan.p_below_zero:.0%} of the draws"
        lines.append(f"{part} have a loss below zero, as no loss is: too far from the rows to be believed")
    return lines

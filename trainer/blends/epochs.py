"""How often a blend goes through each of its sources: always shown, refused where it exceeds a limit."""

from __future__ import annotations

import math
from fractions import Fraction

from trainer.blends.blend import Blend


def epochs(blend: Blend) -> dict[str, Fraction]:
    """Passes over every source: tokens that the run takes from it / tokens that it has."""
    needed = blend.needed
    return {source.name: needed[source.name] / source.tokens for source in blend.sources}


def check_epochs(blend: Blend, max_epochs: float | None) -> None:
    """Refuse a blend that repeats a source too often.

    Args:
        blend: the blend.
        max_epochs: passes allowed over any source; None allows any number.

    Raises:
        ValueError: naming every source beyond the limit, with the number of tokens that would do.
    """
    if max_epochs is None:
        return
    if not (math.isfinite(max_epochs) and max_epochs > 0):
        raise ValueError(f"max_epochs: expected a positive number or None, got {max_epochs!r}")
    needed = blend.needed
    over = [
        f"{name!r} {float(passes):.3g} times (needs {math.ceil(needed[name] / Fraction(max_epochs)):,} tokens for that)"
        for name, passes in epochs(blend).items()
        if passes > Fraction(max_epochs)
    ]
    if over:
        raise ValueError(
            f"blend: expected at most {max_epochs:g} epochs of any source, got "
            + "; ".join(over)
            + "; lower its share or the tokens of the run, or add text"
        )


def epochs_table(blend: Blend) -> str:
    """One line a source: its share of the whole run, tokens needed, tokens available and epochs."""
    needed, passes = blend.needed, epochs(blend)
    rows = [("source", "share", "tokens needed", "available", "epochs")]
    rows += [
        (
            source.name,
            f"{float(needed[source.name] / blend.tokens):.6f}",
            f"{math.ceil(needed[source.name]):,}",
            f"{source.tokens:,}",
            f"{float(passes[source.name]):.3f}",
        )
        for source in blend.sources
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )

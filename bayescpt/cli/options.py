"""Options that several commands share, and how their text is read: 1.5B parameters, 0.05 nats, 3%."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from bayescpt.data.counts import count as count

FIT_SUFFIX = ".nc"
"""What the name of a fit's or a mixture's file ends in."""
MOST_SEED = 2.0**63
"""Seeds are whole numbers below this."""

Json = Annotated[bool, typer.Option("--json", help="One JSON value on stdout instead of text.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
UseSe = Annotated[
    bool,
    typer.Option(
        "--use-se",
        help="Count loss_se as noise of single rows: for losses of text drawn anew each time, not of one set.",
    ),
]
FitFile = Annotated[
    str, typer.Argument(metavar="FIT.nc", help="A file written by `bayescpt fit` or by `bayescpt compare -o`.")
]
Domain = Annotated[str, typer.Option(help="Domain of the table, or a new one.")]
Size = Annotated[str, typer.Option(metavar="N", help="Non-embedding parameters: 590720, 1e9, 1.5B, 200M.")]
Tokens = Annotated[str, typer.Option(metavar="T", help="Tokens of the run, all sources together: 20B, 500M.")]
Accept = Annotated[
    str | None, typer.Option(metavar="REASON", help="Answer although the fit failed its checks, for this reason.")
]
MaxForgetting = Annotated[
    str | None,
    typer.Option(metavar="X", help="Rise of the general loss that is allowed: nats (0.05) or relative (3%)."),
]
Weights = Annotated[
    str | None, typer.Option(metavar="G,D", help="What a nat of general and of domain loss is worth: 1,2.")
]
BaseLoss = Annotated[
    float | None,
    typer.Option(
        metavar="NATS", help="General loss of the base model, where the table has none or the base is another."
    ),
]


def forgetting(option: str, text: str) -> tuple[float, bool]:
    """A forgetting budget, 0.05 nats per token or 3% of the base's loss: the number, and whether it is relative.

    Raises ValueError unless it is a finite number of at least 0.
    """
    relative = text.strip().endswith("%")
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(
            f"{option}: expected nats per token (0.05) or a share of the base's loss (3%), at least 0, got '{text}'"
        )
    return (value / 100 if relative else value), relative


def bounded(
    option: str, value: float, low: float, high: float = math.inf, closed_low: bool = True, closed_high: bool = False
) -> float:
    """``value`` where it lies between the bounds. Raises ValueError elsewhere, NaN included."""
    above = value >= low if closed_low else value > low
    below = value <= high if closed_high else value < high
    if not (above and below):
        floor = f"{'at least' if closed_low else 'above'} {low:g}"
        ceiling = f" and {'at most' if closed_high else 'below'} {high:g}" if high < math.inf else ""
        ceiling = " and finite" if high == math.inf and not closed_high else ceiling
        raise ValueError(f"{option}: expected a number {floor}{ceiling}, got {value:g}")
    return value


def weights(option: str, text: str) -> tuple[float, float]:
    """What a nat of general and of domain loss is worth: 1,2.

    Raises ValueError unless these are two finite numbers of at least 0, one of them positive.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 2 or not all(0 <= value < math.inf for value in values) or not max(values) > 0:
        raise ValueError(
            f"{option}: expected what a nat of general and of domain loss is worth, two numbers of at least 0 such as "
            f"1,2 and not both 0, got '{text}'"
        )
    return values[0], values[1]


def counts(option: str, text: str) -> list[float]:
    """Several counts, separated by commas: 100M,1.5B. Raises ValueError unless all are counts, each named once."""
    values = [count(option, part) for part in text.split(",")]
    if len(set(values)) < len(values):
        raise ValueError(f"{option}: expected each count once, got '{text}'")
    return values

"""Units in which trainers log losses, turned into nats per token."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A unit of losses.

    Args:
        to_nats: (loss in this unit, tokens per byte) to nats per token; NaN where there is no such loss.
        slope: its derivative, which turns standard errors.
        needs_bytes: whether it depends on the tokens per byte.
    """

    name: str
    to_nats: Callable[[float, float], float]
    slope: Callable[[float, float], float]
    needs_bytes: bool = False


def _log(perplexity: float, tokens_per_byte: float) -> float:
    return math.log(perplexity) if perplexity > 0 else math.nan


UNITS: tuple[Unit, ...] = (
    Unit("nats", lambda loss, _: loss, lambda loss, _: 1.0),
    Unit("bits", lambda loss, _: loss * math.log(2), lambda loss, _: math.log(2)),
    Unit("perplexity", _log, lambda loss, _: 1 / loss if loss > 0 else math.nan),
    Unit("bits_per_byte", lambda loss, t: loss * math.log(2) / t, lambda loss, t: math.log(2) / t, needs_bytes=True),
)
"""Per token, but for the last: a byte holds as many tokens as the tokenizer makes of the validation set."""
BY_NAME = {unit.name: unit for unit in UNITS}

BYTES_REFUSED = (
    "a loss in bits per byte says nothing per token until it is known how many tokens a byte of the validation set "
    "makes with this tokenizer: give tokens_per_byte (tokens of the set over its bytes in UTF-8), for each target if "
    "they differ"
)

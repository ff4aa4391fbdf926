"""Counts as people write them: 1.5B parameters, 200M tokens."""

from __future__ import annotations

import math
import re

SUFFIXES = {"": 0, "k": 3, "m": 6, "b": 9, "g": 9, "t": 12}
"""Powers of ten: thousand, million, billion (also giga), trillion."""
_COUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e([+-]?[0-9]+))?([kmbgt]?)", re.IGNORECASE)


def count(option: str, text: str) -> float:
    """A count of parameters or tokens: 590720, 1e9, 1.5B, 200M, 10k.

    Raises ValueError unless ``text`` is such a number, finite and at least 1.
    """
    match = _COUNT.fullmatch(text.strip())
    # the suffix joins the exponent as text: 1.1B is the float nearest to 1100000000, not a product of two roundings
    value = math.nan if match is None else float(f"{match[1]}e{int(match[2] or 0) + SUFFIXES[match[3].lower()]}")
    if not 1 <= value < math.inf:
        raise ValueError(f"{option}: expected a count of at least 1 such as 590720, 1e9, 1.5B or 200M, got '{text}'")
    return value

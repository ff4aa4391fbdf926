"""A row of the contract that is to be, with the place that it comes from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from bayescpt.schema import KEY


@dataclass(frozen=True)
class Row:
    """One row of the contract.

    Args:
        values: by column; one without a value is left out.
        place: where its loss stands in the source.
        row: its number in a table, else 0.
        wrong: why its loss is none: a code, what was found and a remedy; None for a finite loss.
    """

    values: Mapping[str, Any]
    place: str
    row: int = 0
    wrong: tuple[str, str, str] | None = None

    @property
    def key(self) -> tuple[Hashable, ...]:
        """What tells it from every other row."""
        return tuple(self.values[name] for name in KEY)

    @property
    def point(self) -> str:
        """Target and tokens, for a message."""
        return f"{self.values['target']} at {self.values['tokens']:.15g} tokens"

"""What can be wrong with an observation table, as values that a person or a program can act on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 5
"""How many rows or values a message names before it only counts the rest."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a table.

    Args:
        code: stable name of the kind of fault, for programs.
        message: what was expected, what came, and what to do; names the first few rows only.
        column: the column at fault, or None where no single column is.
        rows: every row at fault, counted from 1 with the header left out; empty where no row is to blame.
    """

    code: str
    message: str
    column: str | None = None
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def as_dict(self) -> dict[str, Any]:
        """The fault as plain values for JSON, every row kept."""
        return {"code": self.code, "message": self.message, "column": self.column, "rows": list(self.rows)}


class TableError(ValueError):
    """A table cannot be used; carries every fault that was found and prints one a line.

    Args:
        faults: all faults, at least one.
        source: where the table came from, usually the path as the user gave it.

    Examples:
        >>> from bayescpt import Table, TableError
        >>> try:
        ...     Table.from_frame(table.frame().drop(columns="ratio"), source="rows.csv")
        ... except TableError as error:
        ...     print([fault.code for fault in error.faults])
        ['missing_column']
    """

    def __init__(self, faults: Iterable[Fault], source: str | None = None) -> None:
        self.faults = tuple(faults)
        self.source = source
        assert self.faults, "a TableError needs at least one fault"
        super().__init__(self.faults, source)

    def __str__(self) -> str:
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        head = f"{self.source or 'the observation table'} cannot be used, {count}:"
        return "\n".join([head, *(f"  {fault}" for fault in self.faults)])


def row_list(rows: Sequence[int]) -> str:
    """Rows as a person reads them: "row 3", "rows 3, 5" or "rows 1, 2, 3, 4, 5 and 95 more (100 rows)"."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    shown = ", ".join(map(str, rows[:SHOWN]))
    if len(rows) <= SHOWN:
        return f"rows {shown}"
    return f"rows {shown} and {len(rows) - SHOWN} more ({len(rows)} rows)"


def abbreviated(parts: Sequence[str], noun: str) -> str:
    """The first few parts joined by "; ", and how many more there are."""
    shown = "; ".join(parts[:SHOWN])
    return shown if len(parts) <= SHOWN else f"{shown}; and {len(parts) - SHOWN} more {noun}"

"""What there is to say of one source, gathered: faults of single records by what is wrong, with every place."""

from __future__ import annotations

from collections import defaultdict

from bayescpt.data.faults import Fault, abbreviated


def losses(number: int) -> str:
    """So many losses, in words."""
    return "1 loss" if number == 1 else f"{number} losses"


class Collector:
    """What is wrong with one source, and what is worth knowing of it.

    Args:
        label: what the source is called in a message.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.notes: list[str] = []
        self._whole: list[Fault] = []
        self._records: dict[tuple[str, str, str, str], list[tuple[str, int]]] = defaultdict(list)

    def add(self, code: str, message: str, column: str | None = None) -> None:
        """A fault of the source as a whole."""
        self._whole.append(Fault(code, f"{self.label}: {message}", column))

    def note(self, message: str) -> None:
        """Something to know that stops nothing."""
        self.notes.append(f"{self.label}: {message}")

    def take(self, fault: Fault) -> None:
        """A fault that names its place itself."""
        self._whole.append(Fault(fault.code, f"{self.label}: {fault.message}", fault.column, fault.rows))

    def at(self, place: str, row: int, code: str, expected: str, remedy: str, column: str) -> None:
        """A fault of one record; those that differ in the place alone become one."""
        self._records[code, expected, remedy, column].append((place, row))

    @property
    def faults(self) -> list[Fault]:
        """All of them, those of the whole first."""
        found = list(self._whole)
        for (code, expected, remedy, column), places in self._records.items():
            # a record with two losses meets the same fault twice
            once = dict.fromkeys(places)
            where = abbreviated([place for place, _ in once], "places")
            rows = tuple(row for _, row in once if row)
            found.append(Fault(code, f"{self.label}: {expected}: {where}; {remedy}", column, rows))
        return found

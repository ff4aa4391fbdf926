"""An entry of a file of sources, or the flags of a command line, read value by value, each with its fault."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayescpt.data.counts import count
from bayescpt.data.importers.collect import Collector
from bayescpt.schema import COLUMNS, SHARE, Kind

KINDS: dict[str, Kind] = {column.name: column.kind for column in COLUMNS}
COUNTS = ("size", "tokens")
"""Columns in which 1.5B stands for a number."""


def amount(value: Any, counts: bool = False) -> float:
    """A number, or its text; with ``counts`` also 1.5B. Raises ValueError where it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"got {value!r}")
    try:
        return float(value)
    except ValueError:
        if not counts:
            raise ValueError(f"got {value!r}") from None
    return count("got", str(value))


class Entry:
    """Reads the values of an entry one by one, each with its fault."""

    def __init__(self, entry: Mapping[str, Any], faults: Collector) -> None:
        self._entry = entry
        self._faults = faults

    def _wrong(self, key: str, expected: str, value: Any) -> None:
        self._faults.add("wrong_value", f"{key}: expected {expected}, got {value!r}", key)

    def paths(self) -> tuple[Path, ...]:
        value = self._entry.get("path")
        found = value if isinstance(value, list | tuple) else [value]
        paths = tuple(Path(one) for one in found if isinstance(one, str | Path) and str(one))
        if not paths or len(paths) < len(found):
            self._wrong("path", "a file or folder, or a list of the pieces of one log", value)
            return ()
        return paths

    def text(self, key: str) -> str | None:
        value = self._entry.get(key)
        if value is None or (isinstance(value, str) and value):
            return value
        self._wrong(key, "a name", value)
        return None

    def choice(self, key: str, known: tuple[str, ...]) -> str | None:
        value = self._entry.get(key)
        if value is None or value in known:
            return value
        self._wrong(key, f"one of {', '.join(known)}", value)
        return None

    def flag(self, key: str) -> bool:
        value = self._entry.get(key, False)
        if not isinstance(value, bool):
            self._wrong(key, "true or false", value)
        return value is True

    def number(self, key: str, lower_open: bool = False) -> float | None:
        value = self._entry.get(key)
        return None if value is None else self._positive(key, value, lower_open)

    def _positive(self, key: str, value: Any, lower_open: bool) -> float | None:
        try:
            found = amount(value, counts=True)
        except ValueError:
            found = math.nan
        if (found > 0 if lower_open else found >= 0) and found < math.inf:
            return found
        self._wrong(key, f"a number {'above' if lower_open else 'of at least'} 0", value)
        return None

    def numbers(self, key: str, known: tuple[str, ...]) -> dict[str, float]:
        value = self._entry.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            value = dict.fromkeys(known, value)
        found = {name: self._positive(f"{key}.{name}", one, True) for name, one in self._known(key, value, known)}
        return {name: number for name, number in found.items() if number is not None}

    def names(self, key: str, known: tuple[str, ...] | None) -> dict[str, str]:
        value = self._entry.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self._wrong(key, "names and what they stand for", value)
            return {}
        found = {}
        for name, one in self._known(key, value, known):
            if isinstance(one, bool) or not isinstance(one, str | int | float) or one == "":
                self._wrong(f"{key}.{name}", "a name", one)
            else:
                found[name] = str(one)
        return found

    def _known(self, key: str, value: Mapping[Any, Any], known: tuple[str, ...] | None) -> list[tuple[str, Any]]:
        for name in value:
            if known is not None and name not in known:
                self._wrong(key, f"{' and '.join(known)} as its keys", name)
        return [(str(name), one) for name, one in value.items() if known is None or name in known]

    def constants(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in self._entry.items():
            kind = "number" if name.startswith(SHARE) else KINDS.get(name)
            if kind is None or value is None or (name == "loss_se" and isinstance(value, Mapping)):
                continue
            if name == "loss":
                self._faults.add(
                    "wrong_value", "loss: it is what is imported; say where it is (targets, or columns)", name
                )
                continue
            try:
                found[name] = constant(name, kind, value)
            except ValueError:
                expected = {
                    "text": "text (in quotes where YAML makes something else of it)",
                    "integer": "a whole number",
                }
                self._wrong(name, expected.get(kind, "a number"), value)
        return found


def constant(name: str, kind: Kind, value: Any) -> Any:
    """A value as the contract's column holds it. Raises ValueError where it cannot be."""
    if kind == "text":
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            raise ValueError(f"got {value!r}")
        return str(value)
    number = amount(value, counts=name in COUNTS)
    if kind == "number":
        return number
    if not number.is_integer():
        raise ValueError(f"got {value!r}")
    # text and whole numbers keep digits that a float would lose
    return (
        int(value)
        if isinstance(value, int) or (isinstance(value, str) and value.strip().lstrip("+-").isdigit())
        else int(number)
    )

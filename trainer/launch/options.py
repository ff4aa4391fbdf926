"""Options of a launcher from ``key=value`` texts: converted by the type of the field, unknown ones refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, get_type_hints

_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _convert(text: str, kind: type[Any]) -> Any:
    """ValueError where the text is no value of that kind."""
    if kind is not bool:
        return kind(text)
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def read_options(launcher: str, options: type[Any], texts: Iterable[str]) -> Any:
    """An instance of the dataclass ``options``.

    Args:
        launcher: name for messages.
        options: dataclass whose fields are int, float, bool or str, all with defaults.
        texts: ``key=value`` each.

    Raises:
        ValueError: naming every option that is unknown, stands twice or has an unusable value.
    """
    hints = get_type_hints(options)
    known = [field.name for field in fields(options)]
    faults: list[str] = []
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            faults.append(f"{text!r}: expected key=value")
        elif key not in known:
            faults.append(f"unknown option {key!r}; known are {', '.join(known)}")
        elif key in values:
            faults.append(f"{key}: given twice")
        else:
            try:
                values[key] = _convert(value, hints[key])
            except ValueError:
                faults.append(f"{key}: expected {_WORDS[hints[key]]}, got {value!r}")
    if faults:
        raise ValueError(f"launcher {launcher}: " + "; ".join(faults))
    try:
        return options(**values)
    except ValueError as error:
        raise ValueError(f"launcher {launcher}: {error}") from error


def require_at_least(options: Any, least: dict[str, float]) -> None:
    """Refuse fields below their bound.

    Raises:
        ValueError: naming every one.
    """
    faults = [
        f"{name}: expected at least {bound}, got {getattr(options, name)}"
        for name, bound in least.items()
        if getattr(options, name) < bound
    ]
    if faults:
        raise ValueError("; ".join(faults))

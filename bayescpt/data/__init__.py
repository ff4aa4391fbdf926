"""Reading and checking observation tables; names load on first use, so faults and schema stay light."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescpt.data.checks import validate
    from bayescpt.data.faults import Fault, TableError
    from bayescpt.data.read import read_frame
    from bayescpt.data.table import Table

__all__ = ["Fault", "Table", "TableError", "read_frame", "validate"]

_HOME = {
    "Fault": "faults",
    "Table": "table",
    "TableError": "faults",
    "read_frame": "read",
    "validate": "checks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

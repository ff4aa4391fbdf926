"""Losses that other trainers and trackers logged, as rows of the observation table; names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescpt.data.importers.assemble import Imported, import_rows
    from bayescpt.data.importers.registry import IMPORTERS
    from bayescpt.data.importers.sources_file import read_sources

__all__ = ["IMPORTERS", "Imported", "import_rows", "read_sources"]

_HOME = {
    "IMPORTERS": "registry",
    "Imported": "assemble",
    "import_rows": "assemble",
    "read_sources": "sources_file",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

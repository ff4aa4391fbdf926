"""A YAML file of sources: each with its path, its constants and where its losses are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bayescpt.data.faults import Fault, TableError
from bayescpt.data.importers.record import refusal
from bayescpt.data.yaml_file import StrictLoader

SUFFIXES = (".yaml", ".yml")
KEYS = ("defaults", "sources")
MERGED = ("columns", "targets", "loss_se", "where", "base_loss", "tokens_per_byte")
"""Keys whose entries fill each other up; any other value takes the place of a default."""


def read_sources(path: str | Path) -> list[dict[str, Any]]:
    """The sources of a file, each filled up by its defaults; paths are relative to the folder of the file.

    Raises:
        TableError: it is no YAML, or has no sources; every fault named.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text("utf-8"), StrictLoader)
    except OSError as error:
        raise refusal(path, "file_missing", f"expected a file of sources, but {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise refusal(path, "file_unreadable", f"expected YAML, but it cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("sources"), list) or not content["sources"]:
        raise refusal(path, "no_sources", "expected a list `sources`, each with a path; see docs/import.md")
    faults = [
        Fault("unknown_key", f"unknown key {key!r}; known are {', '.join(KEYS)}") for key in content if key not in KEYS
    ]
    defaults = content.get("defaults") or {}
    entries = {"defaults": defaults} | {f"sources[{i}]": entry for i, entry in enumerate(content["sources"])}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or not all(isinstance(key, str) for key in entry):
            faults.append(Fault("wrong_value", f"{name}: expected keys and values, got {entry!r}"))
    if faults:
        raise TableError(faults, str(path))
    return [_placed(filled(entry, defaults), path.parent) for entry in content["sources"]]


def filled(entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with what the defaults add to it."""
    found = {**defaults, **entry}
    for key in MERGED:
        ours, theirs = entry.get(key), defaults.get(key)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            found[key] = {**theirs, **ours}
    return found


def _placed(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    given = entry.get("path")
    if isinstance(given, str):
        entry["path"] = str(folder / given)
    elif isinstance(given, list):
        entry["path"] = [str(folder / one) if isinstance(one, str) else one for one in given]
    return entry

"""Settings as plain values: what the id of a run is a hash of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from trainer.schedule import Schedule

PLACE = {"identity": False}
"""Metadata of a field that says where something lies on this machine, and not what it is."""


def settings_of(spec: Any) -> Any:
    """Settings as plain values, the kind of a schedule with them, whole floats as integers.

    ``ratio: 1`` and ``ratio: 1.0`` are one run, with one id.
    """
    if is_dataclass(spec):
        kind = {"kind": spec.kind} if isinstance(spec, Schedule) else {}
        kept = [f.name for f in fields(spec) if f.metadata.get("identity", True)]
        return kind | {name: settings_of(getattr(spec, name)) for name in kept}
    if isinstance(spec, Mapping):
        return {str(key): settings_of(item) for key, item in spec.items()}
    if isinstance(spec, list | tuple):
        return [settings_of(item) for item in spec]
    return int(spec) if isinstance(spec, float) and spec.is_integer() else spec

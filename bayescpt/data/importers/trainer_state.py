"""``trainer_state.json``, which the Trainer of Hugging Face keeps with every checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bayescpt.data.importers.record import Importer, Log, Record, refusal

FILE = "trainer_state.json"


def _recognises(path: Path) -> bool:
    return (path / FILE).is_file() if path.is_dir() else path.name.lower().endswith(".json")


def _read(path: Path) -> Log:
    path = path / FILE if path.is_dir() else path
    try:
        state = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        message = f"expected JSON as the Trainer writes it, but it cannot be read ({error}); copy the file again"
        raise refusal(path, "file_unreadable", message) from error
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        message = "expected a log_history, a list of entries, found none; name the trainer_state.json of a checkpoint"
        raise refusal(path, "not_this_format", message)
    return Log([_record(i, entry) for i, entry in enumerate(history, start=1)])


def _record(number: int, entry: dict[str, Any]) -> Record:
    step = f" (step {entry['step']})" if "step" in entry else ""
    return Record(f"entry {number}{step}", {name: value for name, value in entry.items() if value is not None})


TRAINER_STATE = Importer(
    "trainer-state",
    "trainer_state.json of transformers' Trainer, or a checkpoint folder that holds one",
    _recognises,
    _read,
    tokens=("num_input_tokens_seen",),
)

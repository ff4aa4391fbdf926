"""Weights & Biases: the file of a run, or a table exported from it."""

from __future__ import annotations

from pathlib import Path

from bayescpt.data.importers.record import Importer, Log, refusal
from bayescpt.data.importers.table import is_table
from bayescpt.data.importers.wandb_file import read_wandb_file
from bayescpt.data.importers.wandb_table import is_export, read_export

SUFFIX = ".wandb"


def _recognises(path: Path) -> bool:
    if path.is_dir():
        return any(path.glob(f"*{SUFFIX}"))
    return path.name.endswith(SUFFIX) or (is_table(path) and is_export(path))


def _read(path: Path) -> Log:
    if is_table(path):
        return read_export(path)
    if path.is_dir():
        found = sorted(path.glob(f"*{SUFFIX}"))
        if len(found) != 1:
            told = ", ".join(file.name for file in found) or "none"
            message = f"expected one file run-ID{SUFFIX} in the folder of a run, found {told}; name the file"
            raise refusal(path, "file_missing", message)
        (path,) = found
    return read_wandb_file(path)


WANDB = Importer(
    "wandb",
    "a run's folder or its run-ID.wandb, or a table from run.history() or from a chart",
    _recognises,
    _read,
    step=("train/global_step", "trainer/global_step", "global_step"),
    tokens=("train/num_input_tokens_seen",),
    run=("run_id", "run_name"),
    without_step="`_step` and the `Step` of a chart count calls of log(), unless the trainer passed its own step: "
    "say --step _step if it did",
)

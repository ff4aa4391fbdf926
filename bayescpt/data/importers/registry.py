"""All importers, and which of them a path is for; to add one, write a file and put its name into IMPORTERS."""

from __future__ import annotations

from pathlib import Path

from bayescpt.data.importers.mlflow_history import MLFLOW
from bayescpt.data.importers.record import Importer, refusal
from bayescpt.data.importers.table import TABLE
from bayescpt.data.importers.tensorboard_events import TENSORBOARD
from bayescpt.data.importers.trainer_state import TRAINER_STATE
from bayescpt.data.importers.wandb_history import WANDB

IMPORTERS: tuple[Importer, ...] = (TABLE, TRAINER_STATE, WANDB, MLFLOW, TENSORBOARD)
BY_NAME = {importer.name: importer for importer in IMPORTERS}


def find(path: Path, name: str | None = None) -> Importer:
    """The importer of that name, or the one that recognises the path; any other comes before the plain table.

    Raises:
        TableError: nothing is there, or none or several recognise it.
    """
    if not path.exists():
        raise refusal(path, "file_missing", f"expected a file or folder, but {path} does not exist; check the path")
    if name is not None:
        return BY_NAME[name]
    found = [importer for importer in IMPORTERS if importer.recognises(path)]
    special = [importer for importer in found if importer is not TABLE] or found
    if len(special) == 1:
        return special[0]
    names = ", ".join(importer.name for importer in special or IMPORTERS)
    told = "which format it is of is not clear" if special else "no importer recognises it"
    raise refusal(path, "format_unknown", f"{told}; say --from (`from:` in a file of sources), one of {names}")

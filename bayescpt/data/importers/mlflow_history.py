"""MLflow: a store of runs in folders or in SQLite, or a table of the history of its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bayescpt.data.faults import row_list
from bayescpt.data.importers.mlflow_database import is_database, read_database
from bayescpt.data.importers.mlflow_store import read_store, run_folders
from bayescpt.data.importers.record import Importer, Log, Record, refusal
from bayescpt.data.importers.table import is_table, names_of, read_rows

COLUMNS = ("key", "value", "step")


def _recognises(path: Path) -> bool:
    if path.is_dir():
        return bool(run_folders(path))
    return set(COLUMNS) <= set(names_of(path)) if is_table(path) else is_database(path)


def _read(path: Path) -> Log:
    if path.is_dir():
        if not run_folders(path):
            message = "expected the folder of a run, of an experiment or of a store, found no run in it; check the path"
            raise refusal(path, "not_this_format", message)
        return read_store(path)
    return _read_table(path) if is_table(path) else read_database(path)


def _read_table(path: Path) -> Log:
    records, faulty = [], []
    for i, row in enumerate(read_rows(path), start=1):
        if not all(name in row for name in COLUMNS):
            faulty.append(i)
            continue
        about = {name: cell for name, cell in row.items() if name not in COLUMNS}
        if "run_uuid" in about:
            about["run_id"] = about.pop("run_uuid")
        values: dict[str, Any] = {str(row["key"]): row["value"], "step": row["step"]}
        records.append(Record(f"row {i}, {row['key']} (step {row['step']})", values, about))
    if faulty:
        message = f"expected {', '.join(COLUMNS)} in every row, got a blank in {row_list(faulty)}; fill or delete it"
        raise refusal(path, "blank_cell", message)
    return Log(records)


MLFLOW = Importer(
    "mlflow",
    "mlruns, or the folder of an experiment or a run in it; a SQLite database; a table of key, value, step, run_id",
    _recognises,
    _read,
    run=("run_id",),
)

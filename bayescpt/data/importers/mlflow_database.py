"""MLflow's database in SQLite, read as it is: its client upgrades or refuses what an older one made."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from bayescpt.data.importers.record import Log, Record, refusal

START = b"SQLite format 3\x00"
KINDS = ("params", "tags")
INFINITE = 1.7976931348623157e308
"""What MLflow writes for an infinite value."""


def is_database(path: Path) -> bool:
    """Whether a file is a database of SQLite."""
    try:
        with path.open("rb") as file:
            return file.read(len(START)) == START
    except OSError:
        return False


def read_database(path: Path) -> Log:
    """Metrics of every run that is not deleted, as :func:`bayescpt.data.importers.mlflow_store.read_store` has them.

    Raises:
        TableError: it is no database of MLflow.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            runs = base.execute(
                "SELECT run_uuid, runs.name, experiments.name, runs.lifecycle_stage FROM runs "
                "LEFT JOIN experiments USING (experiment_id) ORDER BY start_time, run_uuid"
            ).fetchall()
            settings = {kind: base.execute(f"SELECT run_uuid, key, value FROM {kind}").fetchall() for kind in KINDS}
            metrics = base.execute(
                "SELECT run_uuid, key, value, step, is_nan FROM metrics ORDER BY run_uuid, timestamp, rowid"
            ).fetchall()
    except sqlite3.Error as error:
        message = f"expected a database of MLflow, but its metrics cannot be read ({error}); name the file of the store"
        raise refusal(path, "not_this_format", message) from error
    about: dict[str, dict[str, Any]] = {}
    for run, name, experiment, stage in runs:
        if stage == "active":
            named = {"run_id": run, "run_name": name, "experiment": experiment}
            about[run] = {key: value for key, value in named.items() if value is not None}
    for kind, rows in settings.items():
        for run, key, value in rows:
            if run in about:
                about[run][f"{kind}.{key}"] = value
    of_run: dict[str, list[Record]] = defaultdict(list)
    for run, key, value, step, is_nan in metrics:
        number = math.nan if is_nan else math.copysign(math.inf, value) if abs(value) >= INFINITE else value
        if run in about:
            place = f"run {run}, {key} (step {step})"
            of_run[run].append(Record(place, {key: number, "step": step}, about[run]))
    deleted = len(runs) - len(about)
    notes = (f"{deleted} deleted runs are left out",) if deleted else ()
    return Log([record for run in about for record in of_run[run]], notes)

"""Tables that Weights & Biases exports: the history of a run, and the lines of a chart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bayescpt.data.importers.record import Log, Record
from bayescpt.data.importers.table import names_of, read_rows

LINE = " - "
"""Between run and metric in the columns of a chart: "happy-sun-3 - eval/general_loss"."""
EXTREMES = ("__MIN", "__MAX")


def is_export(path: Path) -> bool:
    """Whether a table has the columns of ``run.history()`` or of a chart's export."""
    names = names_of(path)
    history = "_step" in names and ("_runtime" in names or "_timestamp" in names)
    return history or bool(_lines(names))


def read_export(path: Path) -> Log:
    """History as it stands; of a chart one record for each row and run, the run's name as ``run_name``.

    Raises:
        TableError: the file cannot be read.
    """
    rows = read_rows(path)
    lines = _lines(dict.fromkeys(name for row in rows for name in row))
    if not lines:
        return Log([Record(f"row {i}", row) for i, row in enumerate(rows, start=1)])
    shared = dict.fromkeys(name for row in rows for name in row if LINE not in name)
    records = []
    for i, row in enumerate(rows, start=1):
        x = {name: row[name] for name in shared if name in row}
        for run, metrics in lines.items():
            values = {metric: row[column] for metric, column in metrics.items() if column in row}
            if values:
                records.append(Record(f"row {i} of {run!r}", x | values, {"run_name": run}))
    averaged = sum(_is_averaged(row, lines) for row in rows)
    note = f"{averaged} rows are means over several steps, as charts of long runs are; export the history instead"
    return Log(records, (note,) if averaged else ())


def _lines(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Run, metric and column of each line of a chart; empty where the columns are of something else."""
    ordered = tuple(names)
    known = set(ordered)
    found: dict[str, dict[str, str]] = {}
    for name in ordered:
        if LINE in name and all(f"{name}{end}" in known for end in EXTREMES):
            run, metric = name.rsplit(LINE, 1)
            found.setdefault(run, {})[metric] = name
    return found


def _is_averaged(row: dict[str, Any], lines: dict[str, dict[str, str]]) -> bool:
    columns = [column for metrics in lines.values() for column in metrics.values()]
    return any(len({str(row.get(f"{column}{end}")) for end in EXTREMES}) > 1 for column in columns)

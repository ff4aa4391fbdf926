"""CSV and Parquet tables: one record for each row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from bayescpt.data.importers.record import Importer, Log, Record, refusal
from bayescpt.data.read import CSV_SUFFIXES, MISSING, PARQUET_SUFFIXES, check_table_file, open_text, read_cells

ABSENT = MISSING - {"nan"}
"""Cells that say "no value" here; a NaN is a loss that diverged, and whoever logged it wants to know."""


def is_table(path: Path) -> bool:
    """Whether the name says CSV or Parquet."""
    return path.name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV or Parquet file, cells without a value left out; cells of a CSV are text.

    Raises:
        TableError: the file cannot be read, or two of its columns share a name.
    """
    check_table_file(path)
    names, rows = read_cells(path) if path.name.lower().endswith(CSV_SUFFIXES) else _parquet(path)
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        message = (
            f"expected columns of different names, got {', '.join(twice)} more than once; rename or drop the copies"
        )
        raise refusal(path, "repeated_column", message)
    return [
        {name: cell for name, cell in zip(names, row, strict=True) if name and not _is_absent(cell)} for row in rows
    ]


def names_of(path: Path) -> tuple[str, ...]:
    """The columns of a file, to recognise it by; none where it is not readable."""
    try:
        check_table_file(path)
        if path.name.lower().endswith(CSV_SUFFIXES):
            with open_text(path) as file:
                return tuple(next(csv.reader(file), ()))
        import pyarrow.parquet as pq

        return tuple(pq.read_schema(path).names)
    except (OSError, EOFError, ValueError, csv.Error):
        return ()


def _parquet(path: Path) -> tuple[list[str], list[list[Any]]]:
    import pyarrow.parquet as pq

    try:
        # not by pandas, which makes a NaN of every null
        table = pq.read_table(path)
        return list(table.column_names), [
            list(row) for row in zip(*(c.to_pylist() for c in table.columns), strict=True)
        ]
    except (OSError, ValueError) as error:
        told = (str(error).splitlines() or ["no reason told"])[0]
        message = f"expected a Parquet file, but it cannot be read ({told}); write it again"
        raise refusal(path, "file_unreadable", message) from error


def _is_absent(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in ABSENT)


def _read(path: Path) -> Log:
    return Log([Record(f"row {i}", row, row=i) for i, row in enumerate(read_rows(path), start=1)])


TABLE = Importer(
    "csv",
    "a table, .csv, .csv.gz, .parquet or .pq, long (a column `loss`) or wide (a column for each target)",
    is_table,
    _read,
    is_log=False,
    own_names=True,
    step=("step", "Step", "global_step", "iteration"),
)

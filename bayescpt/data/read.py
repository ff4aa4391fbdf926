"""A file on disk as a data frame, with text kept as text and nothing repaired on the way."""

from __future__ import annotations

import csv
import gzip
from io import TextIOWrapper
from pathlib import Path

import pandas as pd

from bayescpt.data.faults import Fault, TableError, row_list
from bayescpt.schema import COLUMNS, SHARE

CSV_SUFFIXES = (".csv", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
OTHER_MARKS = (";", "\t", "|")
"""What separates columns of tables that are no CSV by commas."""
MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "<na>"})
"""Cells of a number column that say "no value" in CSV, in lower case; a text column has only the blank."""


def read_frame(path: str | Path) -> pd.DataFrame:
    """Read an observation table from CSV (also gzipped) or Parquet.

    Columns of the contract that hold text stay text, so a run called 007 keeps its zeros. A number that
    cannot be read stays as its text, for ``validate`` to report with its row. Columns outside the contract
    stay text in CSV.

    Args:
        path: file ending in .csv, .csv.gz, .parquet or .pq.

    Raises:
        TableError: the file is missing, empty, of an unknown kind or unreadable.

    Examples:
        >>> from bayescpt.data import read_frame
        >>> read_frame("examples/data/quickstart.parquet").shape
        (864, 15)
    """
    path = Path(path)
    check_table_file(path)
    return _read_csv(path) if path.name.lower().endswith(CSV_SUFFIXES) else _read_parquet(path)


def check_table_file(path: Path) -> None:
    """Raise TableError unless ``path`` is a file of some bytes whose name says CSV or Parquet."""
    name = path.name.lower()
    try:
        there = path.is_file()
    except OSError as error:
        message = f"expected a file, but {path} cannot be looked at ({error.strerror}); check the path and its rights"
        raise _error(path, "file_unreadable", message) from error
    if not there:
        what = "is a folder" if path.is_dir() else "does not exist"
        raise _error(path, "file_missing", f"expected a file, but {path} {what}; check the path")
    if not name.endswith(CSV_SUFFIXES + PARQUET_SUFFIXES):
        known = ", ".join(CSV_SUFFIXES + PARQUET_SUFFIXES)
        raise _error(path, "file_unknown", f"expected a name ending in {known}, got {path.name!r}; convert it")
    if path.stat().st_size == 0:
        raise _error(path, "file_empty", "expected a header and rows, got 0 bytes; write the table again")


def _error(path: Path, code: str, message: str) -> TableError:
    return TableError([Fault(code, message)], source=str(path))


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError) as error:
        message = f"expected a Parquet file, but it cannot be read ({_first_line(error)}); write it again"
        raise _error(path, "file_unreadable", message) from error


def read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file (also gzipped) as text.

    Raises:
        TableError: it is no CSV in UTF-8, has blank lines only, or rows that are shorter or longer than its header.
    """
    try:
        with open_text(path) as file:
            records = list(csv.reader(file, strict=True))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        message = f"expected comma-separated UTF-8 text, but it cannot be read ({_first_line(error)})"
        raise _error(path, "file_unreadable", f"{message}; save it as CSV in UTF-8") from error
    while records and not records[-1]:
        records.pop()
    if not records:
        raise _error(path, "file_empty", "expected a header and rows, got blank lines only")
    header, body = records[0], records[1:]
    other = next((mark for mark in OTHER_MARKS if mark in header[0]), None) if len(header) == 1 else None
    if other is not None:
        message = f"expected columns separated by commas, got {other!r} between them; save it as CSV with commas"
        raise _error(path, "file_unreadable", message)
    ragged = tuple(i for i, record in enumerate(body, start=1) if len(record) != len(header))
    if ragged:
        found = len(body[ragged[0] - 1])
        message = (
            f"expected {len(header)} fields in every row, got {found} in row {ragged[0]}; at fault: "
            f"{row_list(ragged)}; complete or delete these rows, and quote fields that hold commas"
        )
        raise TableError([Fault("ragged_row", message, rows=ragged)], source=str(path))
    return header, body


def _read_csv(path: Path) -> pd.DataFrame:
    header, body = read_cells(path)
    kinds = {column.name: column.kind for column in COLUMNS}
    kinds |= {name: "number" for name in header if name.startswith(SHARE)}
    series = [_column([record[i] for record in body], kinds.get(name, "text")) for i, name in enumerate(header)]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame()
    frame.columns = pd.Index(header)
    return frame


def open_text(path: Path) -> TextIOWrapper:
    """A CSV file (also gzipped) to read as text."""
    # utf-8-sig, because spreadsheets put a byte-order mark in front of the first column's name
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


def _column(cells: list[str], kind: str) -> pd.Series:
    if kind == "text":
        return pd.Series(cells, dtype="str")
    parse = _integer if kind == "integer" else _number
    values = [parse(cell) for cell in cells]
    if kind == "number" and all(isinstance(value, float) for value in values):
        return pd.Series(values, dtype="float64")
    return pd.Series(values, dtype="object")


def _number(cell: str) -> float | str:
    if cell.strip().lower() in MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return cell


def _integer(cell: str) -> int | float | str:
    # an integer column with gaps is often written with ".0"; going through float only then keeps large seeds
    try:
        return int(cell)
    except ValueError:
        return _number(cell)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

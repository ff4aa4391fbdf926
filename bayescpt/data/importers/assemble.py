"""Sources become one observation table, or every fault of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayescpt.data.checks import validate
from bayescpt.data.faults import SHOWN, Fault, TableError
from bayescpt.data.importers.collect import Collector
from bayescpt.data.importers.plan import plan_of
from bayescpt.data.importers.record import Importer, Record
from bayescpt.data.importers.registry import find
from bayescpt.data.importers.row import Row
from bayescpt.data.importers.rows import rows_of
from bayescpt.data.importers.source import Source, source_of
from bayescpt.schema import COLUMNS, SHARE

CALLED = "what is to be imported"
COUNTS = ("size", "tokens")


@dataclass(frozen=True, eq=False)
class Imported:
    """What came out of an import.

    Args:
        frame: rows of the contract, sound as :func:`bayescpt.data.checks.validate` has it.
        places: where the loss of each row stands.
        notes: what to know: losses logged again, left out, of doubtful unit.
    """

    frame: pd.DataFrame
    places: tuple[str, ...]
    notes: tuple[str, ...]


def import_rows(entries: Iterable[Mapping[str, Any]]) -> Imported:
    """Read sources into one observation table.

    Args:
        entries: one mapping for each source, with the keys of a file of sources (docs/import.md): its ``path``,
            constants such as ``run`` and ``ratio``, and where its losses are.

    Raises:
        TableError: with every fault of every source; where they are sound, with those of the table that they make.
    """
    faults: list[Fault] = []
    notes: list[str] = []
    rows: list[Row] = []
    for i, entry in enumerate(entries):
        collector = Collector(_label(entry, i))
        rows += _import(entry, collector)
        faults += collector.faults
        notes += collector.notes
    if faults:
        raise TableError(faults, CALLED)
    frame = frame_of(rows)
    wrong = validate(frame)
    if wrong:
        raise TableError([_placed(fault, rows) for fault in wrong], CALLED)
    return Imported(frame, tuple(row.place for row in rows), tuple(notes))


def _label(entry: Mapping[str, Any], number: int) -> str:
    path = entry.get("path")
    if isinstance(path, list | tuple):
        return " + ".join(str(one) for one in path[:SHOWN]) + (" + ..." if len(path) > SHOWN else "")
    return f"source {number + 1}" if path is None else str(path)


def _import(entry: Mapping[str, Any], faults: Collector) -> list[Row]:
    source = source_of(entry, faults)
    importer, pieces = _read(source, faults)
    if importer is None or not any(pieces):
        return []
    pieces = _where(source, pieces, faults)
    records = [record for piece in pieces for record in piece]
    names = tuple(dict.fromkeys(name for record in records for name in (*record.values, *record.about)))
    if not records:
        return []
    before = len(faults.faults)
    plan = plan_of(source, importer, names, faults)
    if len(faults.faults) > before:
        return []
    _mixed(source, importer, pieces, faults)
    rows = rows_of(source, importer, plan, records, faults)
    if not rows and not faults.faults:
        faults.add("no_rows", f"no losses in its {len(records)} records; check the names of the targets")
    if not importer.is_log:
        unused = [name for name in names if name not in plan.used]
        if unused:
            faults.note(f"columns not used: {', '.join(unused)}")
    return [Row(row.values, f"{faults.label}: {row.place}", row.row) for row in rows]


def _read(source: Source, faults: Collector) -> tuple[Importer | None, list[list[Record]]]:
    """The importer of a source and the records of each of its pieces."""
    found: dict[str, Importer] = {}
    pieces: list[list[Record]] = []
    for path in source.paths:
        try:
            importer = find(path, source.importer)
            log = importer.read(path)
        except TableError as error:
            for fault in error.faults:
                where = "" if error.source in (None, faults.label) else f"{error.source}: "
                faults.take(Fault(fault.code, f"{where}{fault.message}", fault.column, fault.rows))
            continue
        found[importer.name] = importer
        for note in log.notes:
            faults.note(note)
        if not log.records:
            faults.add("no_rows", "expected records, found none; check that the run logged anything")
        several = len(source.paths) > 1
        pieces.append([_of_piece(record, path) if several else record for record in log.records])
    if len(found) > 1:
        faults.add(
            "format_unknown",
            f"expected pieces of one format, got {', '.join(found)}; make sources of their own of them",
        )
        return None, []
    return next(iter(found.values()), None), pieces


def _of_piece(record: Record, path: Path) -> Record:
    return Record(f"{path}, {record.place}", record.values, record.about, record.row)


def _where(source: Source, pieces: list[list[Record]], faults: Collector) -> list[list[Record]]:
    """The records that count."""
    kept = pieces
    for name, wanted in source.where.items():
        seen = dict.fromkeys(
            str(held) for piece in kept for record in piece if (held := _held(record, name)) is not None
        )
        if wanted not in seen:
            told = (
                f"found {', '.join(list(seen)[:SHOWN])}{' and more' if len(seen) > SHOWN else ''}"
                if seen
                else "found none"
            )
            faults.add("name_missing", f"where.{name}: expected records with {wanted!r}, {told}; correct it", name)
            return []
        kept = [[record for record in piece if str(_held(record, name)) == wanted] for piece in kept]
    return kept


def _held(record: Record, name: str) -> Any:
    return record.values.get(name, record.about.get(name))


def _mixed(source: Source, importer: Importer, pieces: Sequence[Sequence[Record]], faults: Collector) -> None:
    """Refuse one id for the several runs that a file may hold: their losses would replace one another."""
    if "run" not in source.constants:
        return
    name = next(
        (name for name in importer.run if any(name in record.about for piece in pieces for record in piece)), None
    )
    if name is None:
        return
    called = repr(source.constants["run"])
    ids = [dict.fromkeys(str(record.about[name]) for record in piece if name in record.about) for piece in pieces]
    for several in (found for found in ids if len(found) > 1):
        message = (
            f"expected one run to be called {called}, found {len(several)} with a {name} of their own "
            f"({', '.join(list(several)[:SHOWN])}); choose one (--where {name}=ID; `where:`) or leave out the run"
        )
        faults.add("several_runs", message, "run")
        return
    together = dict.fromkeys(one for found in ids for one in found)
    if len(together) > 1:
        faults.note(f"taken as one run {called}, started again: {name} {', '.join(together)}")


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as a frame, with the columns that any of them has."""
    given = {name for row in rows for name in row.values}
    shares = sorted(name for name in given if name.startswith(SHARE))
    series = {}
    for column in COLUMNS:
        if column.name in given or column.required:
            cells = [row.values.get(column.name) for row in rows]
            series[column.name] = _series(column.name, column.kind, cells)
    for name in shares:
        series[name] = _series(name, "number", [row.values.get(name) for row in rows])
    return pd.DataFrame(series)


def _series(name: str, kind: str, cells: list[Any]) -> pd.Series:
    if kind == "text":
        return pd.Series(cells, dtype="str")
    if kind == "integer":
        return pd.Series(cells, dtype="Int64")
    series = pd.Series(cells, dtype="float64")
    if name in COUNTS and ((series % 1 == 0) & (series < 2**53)).all():
        return series.astype("int64")
    return series


def _placed(fault: Fault, rows: Sequence[Row]) -> Fault:
    """A fault of the table that was to be, with the places in the sources that its rows come from."""
    if not fault.rows:
        return fault
    told = "; ".join(f"row {number} is {rows[number - 1].place}" for number in fault.rows[:SHOWN])
    more = f" and {len(fault.rows) - SHOWN} more" if len(fault.rows) > SHOWN else ""
    return Fault(fault.code, f"{fault.message} (of the rows imported, {told}{more})", fault.column, fault.rows)

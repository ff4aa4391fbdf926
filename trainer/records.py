"""The only writer of rows: a folder per run, and one table of all runs with the columns of the contract."""

from __future__ import annotations

import hashlib
import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from bayescpt.schema import COLUMNS, Observation
from trainer.bases import BaseSpec
from trainer.files import atomic_path, read_json, write_json
from trainer.settings import settings_of
from trainer.spec import Spec

RUNNING = "running"
FINISHED = "finished"
FAILED = "failed"


def check_row(row: Observation) -> None:
    """Refuse a row that the contract does not allow.

    Raises:
        ValueError: naming every column at fault.
    """
    faults = []
    for column in COLUMNS:
        value = getattr(row, column.name)
        if value is None:
            if column.required:
                faults.append(f"{column.name} is missing")
            continue
        if column.kind == "text":
            continue
        if not math.isfinite(value):
            faults.append(f"{column.name} = {value} is not finite")
        elif column.lower is not None and (value < column.lower or (column.lower_open and value == column.lower)):
            faults.append(f"{column.name} = {value} is below its bound {column.lower}")
        elif column.upper is not None and value > column.upper:
            faults.append(f"{column.name} = {value} is above its bound {column.upper}")
    if faults:
        raise ValueError(f"row of {row.run} at {row.tokens} tokens, {row.target}: " + "; ".join(faults))


def write_table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as Parquet with the columns of the contract, atomically."""
    table = pd.DataFrame(list(rows), columns=[column.name for column in COLUMNS])
    kinds = {"text": "string", "number": "float64", "integer": "Int64"}
    table = table.astype({column.name: kinds[column.kind] for column in COLUMNS})
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a table written by :func:`write_table`; missing values are None."""
    table = pd.read_parquet(path).astype(object)
    return table.where(table.notna(), None).to_dict("records")


def _code_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _remove_checkpoint(path: Path) -> None:
    # Imported here, because a driver only reads records and need not load PyTorch for that.
    from trainer.checkpoint import remove_state

    remove_state(path)


class Record:
    """The folder of one run: ``spec.json``, ``provenance.json`` and ``rows.parquet``.

    Args:
        out: the folder of the study.
        spec: the run.
    """

    def __init__(self, out: Path, spec: Spec) -> None:
        self.folder = out / "runs" / spec.run_id
        self._spec = spec
        self._rows: list[Observation] = []
        self._provenance: dict[str, Any] = {}
        self._seconds = 0.0

    @property
    def checkpoint(self) -> Path:
        """State of the run while it is not finished."""
        return self.folder / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        """Final weights of a base."""
        return self.folder / "weights.safetensors"

    @property
    def model(self) -> Path:
        """Folder of a trained checkpoint in the Hugging Face layout."""
        return self.folder / "model"

    def status(self) -> str | None:
        """``running``, ``finished`` or ``failed``; None for a run never started."""
        path = self.folder / "provenance.json"
        return str(read_json(path)["status"]) if path.exists() else None

    def provenance(self) -> dict[str, Any]:
        """What made the run, how long it took and where it stands; empty for a run never started."""
        path = self.folder / "provenance.json"
        return dict(read_json(path)) if path.exists() else {}

    def row_losses(self) -> dict[str, list[float]]:
        """Final loss of every validation row of a finished run, in nats per token, by validation set."""
        losses: dict[str, list[float]] = read_json(self.folder / "final.json")
        return losses

    def reason(self) -> str:
        """Why the run failed; empty if it did not."""
        return str(read_json(self.folder / "provenance.json").get("reason", ""))

    def diverged(self) -> bool:
        """Whether the run failed in a way that will not pass."""
        path = self.folder / "provenance.json"
        return path.exists() and bool(read_json(path).get("final", False))

    def start(self, details: dict[str, Any], resumed: bool) -> None:
        """Write what the run is and what made it; earlier rows stay only for a run that is resumed."""
        write_json(self.folder / "spec.json", {"run_id": self._spec.run_id, **settings_of(self._spec)})
        rows = self.folder / "rows.parquet"
        self._seconds = 0.0
        if resumed and rows.exists():
            self._rows = [Observation(**row) for row in read_table(rows)]
            path = self.folder / "provenance.json"
            self._seconds = float(read_json(path).get("seconds", 0.0)) if path.exists() else 0.0
        else:
            rows.unlink(missing_ok=True)
        packages = ("bayescpt", "numpy", "pandas", "tokenizers", "torch")
        self._provenance = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in packages},
            "code": _code_digest(),
            **details,
        }
        self._write(RUNNING, seconds=self._seconds)

    def append(self, rows: list[Observation], seconds: float) -> None:
        """Add the rows of one measurement; what a resumed run measures again takes the place of the old row.

        Args:
            rows: the rows.
            seconds: how long this process has been at the run.

        Raises:
            ValueError: for a row that the contract does not allow; nothing is written then.
        """
        for row in rows:
            check_row(row)
        new = {(row.tokens, row.target) for row in rows}
        self._rows = [row for row in self._rows if (row.tokens, row.target) not in new] + rows
        write_table(self.folder / "rows.parquet", (row.row() for row in self._rows))
        self._write(RUNNING, seconds=self._seconds + seconds)

    def finish(self, seconds: float, row_losses: Mapping[str, Sequence[float]]) -> None:
        """Mark the run as complete, after which it is never trained again.

        Args:
            seconds: how long this process has been at it. The record has the sum over all of them, without what an
                interrupted one did after its last measurement.
            row_losses: final loss of every validation row, in nats per token, by validation set.
        """
        write_json(self.folder / "final.json", {name: list(losses) for name, losses in row_losses.items()})
        self._write(FINISHED, seconds=self._seconds + seconds)
        _remove_checkpoint(self.checkpoint)

    def fail(self, reason: str, final: bool = False) -> None:
        """Mark the run as failed; a later sweep goes on from its checkpoint.

        Args:
            reason: what is said of it.
            final: whether it would fail there again, as one that diverged: then it starts anew, and its rows are none.
        """
        path = self.folder / "provenance.json"
        there = read_json(path) if path.exists() else {}
        self._provenance = self._provenance or there
        if final:
            _remove_checkpoint(self.checkpoint)
        self._write(FAILED, reason=reason, final=final, seconds=there.get("seconds", 0.0))

    def _write(self, status: str, **more: Any) -> None:
        write_json(self.folder / "provenance.json", {**self._provenance, "status": status, **more})


def collect(out: Path, specs: Iterable[Spec], name: str) -> int:
    """Write the rows of all given runs, diverged ones left out, as ``out/name``; returns their number.

    Rows of runs that are still going on, or were stopped by a fault, are measurements like others and are in the table.
    """
    rows: list[dict[str, Any]] = []
    for spec in specs:
        record = Record(out, spec)
        path = record.folder / "rows.parquet"
        if record.status() is not None and not record.diverged() and path.exists():
            hours = _hours(out, spec)
            rows += [row | {"gpu_hours": None if hours is None else hours(row["tokens"])} for row in read_table(path)]
    # what one run does not tell nobody can use: a table has such a column for all of its rows or for none
    for column in ("phase_start", "phase_ratio", "gpu_hours"):
        if any(row[column] is None for row in rows):
            rows = [row | {column: None} for row in rows]
    write_table(out / name, rows)
    return len(rows)


def _hours(out: Path, spec: Spec) -> Callable[[int], float] | None:
    """Device-hours of a run by its tokens since the base, those of its trunk among them; None where unknown.

    From its record and in proportion to its tokens: the rows of a run say nothing of the clock, so that they are the
    same however often it was stopped.
    """
    record = Record(out, spec)
    provenance = record.provenance()
    reached = max((int(row["tokens"]) for row in read_table(record.folder / "rows.parquet")), default=0)
    start = 0 if isinstance(spec, BaseSpec) else spec.start_tokens
    if "seconds" not in provenance or reached <= start:
        return None
    spent = float(provenance["seconds"]) * int(provenance.get("processes", 1)) / 3600
    before = 0.0
    trunk = None if isinstance(spec, BaseSpec) else spec.trunk
    if trunk is not None:
        if not (Record(out, trunk).folder / "rows.parquet").exists() or (of_trunk := _hours(out, trunk)) is None:
            return None
        before = of_trunk(start)
    return lambda tokens: before + spent * (tokens - start) / (reached - start)

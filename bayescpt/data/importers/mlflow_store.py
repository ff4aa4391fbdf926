"""MLflow's file store: folders of runs, in each one file a metric with lines of time, value and step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bayescpt.data.importers.record import Log, Record, refusal

META = "meta.yaml"


def run_folders(path: Path) -> tuple[Path, ...]:
    """Folders of runs: ``path`` itself, those of an experiment, or those of all experiments of a store."""
    for pattern in ("metrics", "*/metrics", "*/*/metrics"):
        found = tuple(sorted(folder.parent for folder in path.glob(pattern) if (folder.parent / META).is_file()))
        if found:
            return found
    return ()


def read_store(path: Path) -> Log:
    """Metrics of every run not deleted, with its ``run_id``, ``run_name``, ``experiment``, ``params.*`` and ``tags.*``.

    Raises:
        TableError: a file cannot be read, or a line of a metric is none.
    """
    records: list[Record] = []
    deleted = 0
    for folder in run_folders(path):
        meta = _meta(folder / META)
        if meta.get("lifecycle_stage", "active") != "active":
            deleted += 1
            continue
        about = {"run_id": folder.name, "run_name": meta.get("run_name"), "experiment": _experiment(folder)}
        for kind in ("params", "tags"):
            about |= {f"{kind}.{name}": file.read_text("utf-8") for name, file in _files(folder / kind)}
        about = {name: value for name, value in about.items() if value is not None}
        for name, file in _files(folder / "metrics"):
            records += _metric(name, file, about)
    return Log(records, (f"{deleted} deleted runs are left out",) if deleted else ())


def _metric(name: str, file: Path, about: dict[str, Any]) -> Iterator[Record]:
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        parts = line.split()
        try:
            # before MLflow 1.0 a line had no step; since 3 it may name a data set after it
            value, step = float(parts[1]), int(parts[2]) if len(parts) > 2 else 0
        except (IndexError, ValueError) as error:
            message = f"expected time, value and step in line {number}, got {line[:60]!r}; copy the file again"
            raise refusal(file, "file_unreadable", message) from error
        place = f"run {about['run_id']}, {name}, line {number} (step {step})"
        yield Record(place, {name: value, "step": step}, about)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files below a folder by the name that MLflow gave them, in which a slash makes a folder."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


def _meta(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise refusal(path, "file_unreadable", f"expected what MLflow keeps of a run, got no YAML ({error})") from error
    return content if isinstance(content, dict) else {}


def _experiment(folder: Path) -> str | None:
    path = folder.parent / META
    return _meta(path).get("name") if path.is_file() else None

"""States of runs that others start from: which are wanted, and where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trainer.bases import BaseSpec
from trainer.files import read_json, write_json
from trainer.records import Record
from trainer.spec import KEEP, RunSpec, Spec


def needed_by(spec: Spec) -> tuple[Spec, int] | None:
    """The run and its own tokens whose whole state ``spec`` starts from; None where weights or nothing will do."""
    if not isinstance(spec, RunSpec):
        return None
    if spec.trunk is not None:
        return spec.trunk, spec.at
    if spec.optimizer == KEEP and isinstance(spec.base, BaseSpec):
        return spec.base, spec.base.training.tokens
    return None


def snapshot_path(out: Path, spec: Spec, tokens: int) -> Path:
    """Where the state of a run after its first ``tokens`` tokens is kept."""
    return Record(out, spec).folder / f"state-{tokens}.pt"


def want(out: Path, specs: Iterable[Spec]) -> None:
    """Note in the folder of the study which states will be needed, so that runs keep them as they pass."""
    noted = _noted(out)
    for spec in specs:
        needed = needed_by(spec)
        if needed is not None:
            run, tokens = needed
            noted.setdefault(run.run_id, [])
            noted[run.run_id] = sorted({*noted[run.run_id], tokens})
    write_json(out / "snapshots.json", noted)


def wanted(out: Path, spec: Spec) -> dict[int, Path]:
    """Paths of the states to keep of a run, by steps done."""
    step = spec.training.step_tokens
    return {tokens // step: snapshot_path(out, spec, tokens) for tokens in _noted(out).get(spec.run_id, [])}


def _noted(out: Path) -> dict[str, list[int]]:
    path = out / "snapshots.json"
    return read_json(path) if path.exists() else {}

"""What can be known of the runs of a study once its corpora are packed, and before any of them is trained."""

from __future__ import annotations

from pathlib import Path

from trainer.bases import BaseSpec
from trainer.files import read_json
from trainer.prepare import TRAIN, VALIDATION, validation_fault
from trainer.spec import RunSpec, Spec
from trainer.stream import stream_of, usable_rows
from trainer.study import Study
from trainer.training import raise_faults


def packed_rows(study: Study, out: Path, name: str, part: str) -> int | None:
    """Rows of a corpus, or None where it is not packed yet."""
    header = study.data.shard_path(out, name, part).with_suffix(".json")
    return int(read_json(header)["rows"]) if header.exists() else None


def _faults(spec: Spec, study: Study, out: Path) -> list[str]:
    own = [spec.general] if isinstance(spec, BaseSpec) else spec.corpora
    rows = {name: packed_rows(study, out, name, TRAIN) for name in own}
    known = {name: count for name, count in rows.items() if count is not None}
    found = []
    if len(known) == len(rows):
        try:
            usable_rows(spec, known)
            if isinstance(spec, RunSpec) and spec.max_epochs:
                stream_of(spec, known, ordered=False)
        except ValueError as error:
            found.append(str(error))
    targets = [spec.general] if isinstance(spec, BaseSpec) else [spec.base.general, spec.domain]
    for name in targets:
        held = packed_rows(study, out, name, VALIDATION)
        if held is not None and (fault := validation_fault(name, held, spec.training.validation_rows)):
            found.append(fault)
    return found


def refuse_unfit(study: Study, out: Path) -> None:
    """Refuse a study with runs that cannot be trained on the text there is; corpora not packed yet are let pass.

    Raises:
        ValueError: naming every fault once, with the first run that has it.
    """
    first: dict[str, str] = {}
    for spec in study.specs:
        for fault in _faults(spec, study, out):
            first.setdefault(fault, spec.run_id)
    raise_faults("study", [f"{run}: {fault}" for fault, run in first.items()])

"""One study in this process, or in all those that torchrun started: its runs one after another, each by all of them.

A sweep gives every run a process of its own, which is best for many small models. A model that needs a whole machine,
or several, is trained here.
"""

from __future__ import annotations

from pathlib import Path

from trainer.backend import Backend
from trainer.execute import execute
from trainer.feasible import refuse_unfit
from trainer.folder import ROWS, collect_tables, study_folder
from trainer.launch.base import State
from trainer.launch.perform import attempt
from trainer.loop import DivergedError
from trainer.prepare import prepare
from trainer.progress import Progress
from trainer.records import FINISHED, Record
from trainer.spec import Spec
from trainer.study import Study

FAILURES = (DivergedError, ValueError)
"""What all processes of a run meet alike."""


def train_together(study: Study, out: Path, backend: Backend, progress: Progress) -> dict[str, str]:
    """Train what is not yet trained of a study; called by every process.

    The first process holds the folder, prepares the data and keeps the records; the others compute with it. A run
    that was interrupted goes on from its checkpoint, whatever the number of processes is now.

    Args:
        study: the runs, parents before what starts from them.
        out: their folder.
        backend: this process's place.
        progress: shows how far the study is; the first process's is used.

    Returns:
        reason by id of every run that failed, those included whose parent failed; empty in the other processes.

    Raises:
        ValueError: if another process holds the folder, or it was made with other settings.
    """
    out = out.resolve()
    if not backend.first:
        _follow(study, out, backend)
        return {}
    with study_folder(out, study):
        finished = {spec.run_id for spec in study.specs if Record(out, spec).status() == FINISHED}
        progress.begin(list(study.specs), finished)
        try:
            if len(finished) < len(study.specs):
                prepare(study.data, out, study.corpora, progress.say)
                refuse_unfit(study, out)
            return _lead(study, out, backend, progress)
        finally:
            progress.end(collect_tables(out, study), out / ROWS)


def _lead(study: Study, out: Path, backend: Backend, progress: Progress) -> dict[str, str]:
    """The part of the first process: says of every run whether it is executed, and keeps its record."""
    failed: dict[str, str] = {}
    for spec in study.specs:
        if Record(out, spec).status() == FINISHED:
            backend.agree(False)
            continue
        if spec.parent is not None and spec.parent.run_id in failed:
            backend.agree(False)
            failed[spec.run_id] = f"the run it starts from, {spec.parent.run_id}, failed"
            continue
        progress.started(spec)
        state = _attempt(spec, study, out, backend, progress)
        if state.kind == "done":
            progress.done(spec)
        else:
            failed[spec.run_id] = state.reason
            progress.failed(spec, state.reason)
    return failed


def _attempt(spec: Spec, study: Study, out: Path, backend: Backend, progress: Progress) -> State:
    told = False

    def body() -> None:
        nonlocal told
        told = True
        backend.agree(True)
        execute(spec, study.data, out, lambda tokens: progress.tick(spec, tokens), backend)

    # What one process alone meets, a lost neighbour above all, is not the run's own failure: it goes on from its state.
    state = attempt(spec, out, body, FAILURES if backend.world > 1 else (Exception,))
    if not told:
        backend.agree(False)
    return state


def _follow(study: Study, out: Path, backend: Backend) -> None:
    """The part of the other processes."""
    for spec in study.specs:
        if backend.agree(False):
            try:
                execute(spec, study.data, out, backend=backend)
            except FAILURES:
                # All processes see the same loss and the same data, so the first has met this too and records it.
                continue

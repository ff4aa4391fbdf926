"""Train every run of a study: parents first, finished runs skipped, failures recorded, lost runs taken up again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.feasible import refuse_unfit
from trainer.folder import ROWS, collect_tables, study_folder
from trainer.launch.base import Launcher, State
from trainer.launch.claim import ClaimedError, claimed
from trainer.launch.perform import forget_failure, measured_tokens, record_failure, recorded
from trainer.prepare import DataSpec, prepare
from trainer.progress import Progress
from trainer.records import FINISHED, Record
from trainer.spec import Spec
from trainer.study import Study

MOST_LOSSES = 3
"""A run may lose its process this often without getting further than before; then it counts as failed.

Preemption and kill -9 say nothing about a run, but one that takes all memory takes it every time.
"""

StartLauncher = Callable[[DataSpec, Path, int], Launcher[Any]]
"""Takes the data, the folder of the study and the number of runs to come."""


@dataclass
class _Queue:
    """Runs still to do. A run is ready once its parent (a base, or the trunk of a branch) is finished."""

    waiting: list[Spec]
    finished: set[str]
    failed: dict[str, str] = field(default_factory=dict)

    def next(self) -> Spec | None:
        """The next ready run, the most expensive first so that the cores end together."""
        ready = [spec for spec in self.waiting if spec.parent is None or spec.parent.run_id in self.finished]
        parents = {spec.parent.run_id for spec in self.waiting if spec.parent is not None}
        # A run that others wait for is worth more than its own cost.
        best = max(ready, key=lambda spec: (spec.run_id in parents, spec.flops), default=None)
        if best is not None:
            self.waiting.remove(best)
        return best

    def drop_orphans(self) -> list[Spec]:
        """Runs whose parent has failed, taken off the queue."""
        orphans: list[Spec] = [
            spec for spec in self.waiting if spec.parent is not None and spec.parent.run_id in self.failed
        ]
        self.waiting = [spec for spec in self.waiting if spec not in orphans]
        return orphans


def sweep(study: Study, out: Path, start: StartLauncher, progress: Progress) -> dict[str, str]:
    """Train what is not yet trained and write ``rows.parquet`` (continual runs) and ``bases.parquet``.

    Args:
        study: the runs.
        out: their folder.
        start: makes the launcher; called only if there is something to train.
        progress: shows how far the sweep is.

    Returns:
        reason by id of every run that failed, those included whose parent failed.

    Raises:
        ValueError: if another sweep holds the folder, or it was made with other settings.
    """
    out = out.resolve()
    specs = list(study.specs)
    with study_folder(out, study):
        finished = {spec.run_id for spec in specs if Record(out, spec).status() == FINISHED}
        queue = _Queue([spec for spec in specs if spec.run_id not in finished], finished)
        progress.begin(specs, finished)
        try:
            if queue.waiting:
                prepare(study.data, out, study.corpora, progress.say)
                refuse_unfit(study, out)
                launcher = start(study.data, out, len(queue.waiting))
                drive = _Drive(queue, launcher, out, progress)
                try:
                    drive.run()
                finally:
                    drive.stop()
        finally:
            progress.end(collect_tables(out, study), out / ROWS)
    return queue.failed


class _Drive:
    """Brings runs from the queue to the launcher and their states back, until there are none.

    A run is in one of three places: in the queue, in flight (submitted by this driver, or by an earlier one and
    adopted by the launcher), or watched: executed by a process that nobody here knows but by its claim on the run,
    which an earlier driver left behind. A watched run is submitted only once its claim is free.
    """

    def __init__(self, queue: _Queue, launcher: Launcher[Any], out: Path, progress: Progress) -> None:
        self._queue = queue
        self._launcher = launcher
        self._out = out
        self._progress = progress
        self._in_flight: dict[str, tuple[Spec, Any]] = {}
        self._watched: dict[str, Spec] = {}
        self._shown: set[str] = set()
        self._reached: dict[str, int] = {}
        self._losses: dict[str, int] = {}

    def run(self) -> None:
        """Return when every run is finished or failed."""
        while True:
            self._submit()
            if not self._in_flight and not self._watched:
                assert not self._queue.waiting, f"runs wait for parents that nobody trains: {self._queue.waiting}"
                return
            self._launcher.wait()
            for spec, handle in list(self._in_flight.values()):
                self._take(spec, self._launcher.poll(handle))
            for spec in list(self._watched.values()):
                if not self._claimed(spec):
                    del self._watched[spec.run_id]
                    self._settle(spec, recorded(self._out, spec) or State("lost", reason="its process has ended"))

    def stop(self) -> None:
        """Cancel what is still in flight, and close the launcher."""
        try:
            for _, handle in self._in_flight.values():
                self._launcher.cancel(handle)
        finally:
            self._launcher.close()

    def _claimed(self, spec: Spec) -> bool:
        return claimed(Record(self._out, spec).folder)

    def _submit(self) -> None:
        capacity = self._launcher.capacity
        free = math.inf if capacity is None else capacity - len(self._in_flight)
        fresh: list[Spec] = []
        while len(fresh) < free and (spec := self._queue.next()) is not None:
            if spec.run_id not in self._shown:
                self._shown.add(spec.run_id)
                self._progress.started(spec)
            handle = self._launcher.adopt(spec)
            if handle is not None:
                self._in_flight[spec.run_id] = (spec, handle)
                free -= 1
            elif self._claimed(spec):
                self._watched[spec.run_id] = spec
            else:
                forget_failure(self._out, spec)
                fresh.append(spec)
        if fresh:
            with self._launcher.batch():
                handles = [self._launcher.submit(spec) for spec in fresh]
            self._in_flight |= {spec.run_id: (spec, handle) for spec, handle in zip(fresh, handles, strict=True)}

    def _take(self, spec: Spec, state: State) -> None:
        if state.kind in ("pending", "running"):
            if state.tokens is not None:
                self._progress.tick(spec, state.tokens)
                self._note(spec, state.tokens)
            return
        del self._in_flight[spec.run_id]
        self._settle(spec, state)

    def _note(self, spec: Spec, tokens: int) -> None:
        """A run has got so far; if that is further than before, its losses are forgotten."""
        if tokens > self._reached.get(spec.run_id, 0):
            self._reached[spec.run_id] = tokens
            self._losses.pop(spec.run_id, None)

    def _settle(self, spec: Spec, state: State) -> None:
        """Draw the consequence of a final state."""
        if state.kind == "done":
            self._queue.finished.add(spec.run_id)
            self._progress.done(spec)
        elif state.kind == "failed":
            self._fail(spec, state.reason)
        elif self._claimed(spec):
            # Another process of the same run was first: this driver's own has made way for it.
            self._watched[spec.run_id] = spec
        else:
            # A launcher may not have told all: a run can measure and be killed between two polls.
            self._note(spec, measured_tokens(self._out, spec))
            losses = self._losses[spec.run_id] = self._losses.get(spec.run_id, 0) + 1
            if losses > MOST_LOSSES:
                self._fail(spec, f"lost its process {losses} times at the same point, the last time: {state.reason}")
                return
            self._progress.say(f"lost: {spec.run_id}: {state.reason}; it goes on from its checkpoint")
            self._queue.waiting.append(spec)

    def _fail(self, spec: Spec, reason: str) -> None:
        self._queue.failed[spec.run_id] = reason
        try:
            record_failure(self._out, spec, reason)
        except ClaimedError as error:
            reason += f" (not recorded: {error})"
        self._progress.failed(spec, reason)
        for orphan in self._queue.drop_orphans():
            self._fail(orphan, f"the run it starts from, {spec.run_id}, failed: {reason}")

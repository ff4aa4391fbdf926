"""One run in the process that trains it, the same under every launcher: claim, execute, record what became of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from trainer.files import read_json
from trainer.identity import keep_name
from trainer.launch.base import State
from trainer.launch.claim import ClaimedError, claim, remove_leftovers
from trainer.machine import Machine
from trainer.prepare import DataSpec
from trainer.records import FAILED, FINISHED, Record, read_table
from trainer.spec import Spec

TICK_SECONDS = 2.0
"""How often the progress file is written."""


def attempt(
    spec: Spec,
    out: Path,
    body: Callable[[], None],
    failures: tuple[type[Exception], ...] = (Exception,),
    interruptions: tuple[type[Exception], ...] = (),
) -> State:
    """Execute a run unless it is finished or another process is at it; a failure is a state, not an error.

    The record is written under the claim, so what a driver reads there is never undone by a late process. A run that
    diverged would do so again and loses its checkpoint; after any other failure (a full disk, no memory, no such
    device) it goes on from there when it is submitted again.

    Args:
        spec: the run.
        out: the folder of the study.
        body: executes it.
        failures: errors that are the run's own. All others pass through here, and leave the run as it would be after
            a kill.
        interruptions: errors that do so although they are among the failures.
    """
    from trainer.loop import DivergedError

    record = Record(out, spec)
    try:
        with claim(record.folder):
            if record.status() == FINISHED:
                return State("done", spec.training.tokens)
            try:
                keep_name(record.folder, spec)
            except ValueError as error:
                # The folder is another run's: nothing is written there.
                return State("failed", reason=str(error))
            remove_leftovers(record.folder)
            try:
                body()
            except interruptions:
                raise
            except failures as error:
                reason = f"{type(error).__name__}: {error}"
                record.fail(reason, final=isinstance(error, DivergedError))
                return State("failed", reason=reason)
            return State("done", spec.training.tokens)
    except ClaimedError as error:
        return State("lost", reason=str(error))


def perform(
    spec: Spec,
    data: DataSpec,
    out: Path,
    machine: Machine,
    tick: Callable[[int], None],
    interruptions: tuple[type[Exception], ...] = (),
) -> State:
    """One run in this process alone, by :func:`attempt`.

    Args:
        spec: the run.
        data: corpora and tokenizer, prepared in ``out``.
        out: the folder of the study.
        machine: what it is executed on.
        tick: called with the tokens seen after every step.
        interruptions: errors that leave the run as it would be after a kill.
    """
    from trainer.backend import join
    from trainer.execute import execute

    return attempt(spec, out, lambda: execute(spec, data, out, tick, join(machine)), interruptions=interruptions)


def record_failure(out: Path, spec: Spec, reason: str) -> None:
    """Write that a run has failed, where its own process could not.

    Raises:
        ClaimedError: if a process is executing it.
    """
    record = Record(out, spec)
    with claim(record.folder):
        if record.status() in (FAILED, FINISHED):
            return
        keep_name(record.folder, spec)
        record.fail(reason)


def forget_failure(out: Path, spec: Spec) -> None:
    """Make a failed run one that never started: an old failure must not be taken for that of a new attempt.

    Raises:
        ClaimedError: if a process is executing it.
    """
    record = Record(out, spec)
    if record.status() == FAILED:
        with claim(record.folder):
            (record.folder / "provenance.json").unlink()


def recorded(out: Path, spec: Spec) -> State | None:
    """The final state that the record of a run tells; None while it tells none."""
    record = Record(out, spec)
    status = record.status()
    if status == FINISHED:
        return State("done", spec.training.tokens)
    return State("failed", reason=record.reason()) if status == FAILED else None


def measured_tokens(out: Path, spec: Spec) -> int:
    """Tokens at the last measurement of a run that is on disk; 0 before the first."""
    path = Record(out, spec).folder / "rows.parquet"
    return max((int(row["tokens"]) for row in read_table(path)), default=0) if path.exists() else 0


class ProgressFile:
    """Tells a driver on another machine how far a run is: a tick that now and then writes the tokens to a file.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "progress.json"
        self._said = -TICK_SECONDS

    def __call__(self, tokens: int) -> None:
        """Note the tokens seen so far."""
        if time.monotonic() - self._said < TICK_SECONDS:
            return
        self._said = time.monotonic()
        # Replaced as a whole for readers, but not forced to disk: it is worth nothing after a crash.
        temporary = self._path.with_name(".progress.json.tmp")
        temporary.write_text(json.dumps({"tokens": tokens}), "utf-8")
        os.replace(temporary, self._path)

    def read(self) -> int | None:
        """Tokens that were noted last; None if none were."""
        return int(read_json(self._path)["tokens"]) if self._path.exists() else None

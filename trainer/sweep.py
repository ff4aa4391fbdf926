"""Train every run of a study on one machine: bases first, finished runs skipped, failures recorded."""

from __future__ import annotations

import ctypes
import fcntl
import multiprocessing
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from trainer.prepare import DataSpec, prepare
from trainer.progress import Progress
from trainer.records import FINISHED, Record, collect
from trainer.spec import RunSpec, Spec
from trainer.study import Study

TICK_SECONDS = 0.5
"""How often a worker says how far it is."""


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's mallopt(3)."""


def keep_memory() -> bool:
    """Let glibc keep freed memory instead of returning it to the system; False if it cannot be told.

    A training step allocates and frees the same activations again. Returned memory has to be zeroed by the
    kernel at its next use: hundreds of page faults a step, 5 to 20 % of the time of a small model.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)) and bool(libc.mallopt(_M_MMAP_THRESHOLD, 1 << 25))


def _work(pipe: Connection, data: DataSpec, out: Path) -> None:
    """A worker process: takes specs until the pipe closes, answers ticks and results."""
    import torch

    from trainer.execute import execute

    # One process a core and one thread each: two threads in one process were measured to be slower.
    torch.set_num_threads(1)
    keep_memory()
    while True:
        try:
            spec: Spec = pipe.recv()
        except EOFError:
            return
        said = time.monotonic()

        def tick(tokens: int) -> None:
            nonlocal said
            if time.monotonic() - said > TICK_SECONDS:
                said = time.monotonic()
                pipe.send(("tick", tokens))

        try:
            execute(spec, data, out, tick)
        except BrokenPipeError:
            return
        # Whatever stops one run must not stop the others.
        except Exception as error:
            pipe.send(("failed", f"{type(error).__name__}: {error}"))
        else:
            pipe.send(("done", spec.training.tokens))


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    spec: Spec | None = None

    @classmethod
    def start(cls, data: DataSpec, out: Path) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, data, out), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def stop(self) -> None:
        self.pipe.close()
        self.process.join(timeout=1)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


@dataclass
class _Queue:
    """Runs still to do. A run is ready once its base is finished, and fails with it."""

    waiting: list[Spec]
    finished: set[str]
    failed: dict[str, str] = field(default_factory=dict)

    def next(self) -> Spec | None:
        """The next ready run, the most expensive first so that the cores end together."""
        ready = [s for s in self.waiting if not isinstance(s, RunSpec) or s.base.run_id in self.finished]
        # A base is worth more than its own cost: others wait for it.
        best = max(ready, key=lambda s: (not isinstance(s, RunSpec), s.flops), default=None)
        if best is not None:
            self.waiting.remove(best)
        return best

    def drop_orphans(self) -> list[Spec]:
        """Runs whose base has failed, taken off the queue."""
        orphans: list[Spec] = [s for s in self.waiting if isinstance(s, RunSpec) and s.base.run_id in self.failed]
        self.waiting = [s for s in self.waiting if s not in orphans]
        return orphans


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the folder for this process: two sweeps in one folder would train the same runs twice."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{out}: another sweep is at work here; wait for it or choose another folder") from error
        yield


def sweep(study: Study, out: Path, workers: int, progress: Progress) -> dict[str, str]:
    """Train what is not yet trained and write ``rows.parquet`` (continual runs) and ``bases.parquet``.

    Args:
        study: the runs.
        out: their folder.
        workers: processes, one thread each.
        progress: shows how far the sweep is.

    Returns:
        reason by id of every run that failed, those included whose base failed.

    Raises:
        ValueError: if another sweep holds the folder.
    """
    if workers < 1:
        raise ValueError(f"workers: expected at least 1, got {workers}")
    specs = list(study.specs)
    with _locked(out):
        finished = {spec.run_id for spec in specs if Record(out, spec).status() == FINISHED}
        queue = _Queue([spec for spec in specs if spec.run_id not in finished], finished)
        progress.begin(specs, finished)
        try:
            if queue.waiting:
                prepare(study.data, out, study.corpora, progress.say)
                _run_all(queue, study, out, min(workers, len(queue.waiting)), progress)
        finally:
            rows = collect(out, study.runs, "rows.parquet")
            collect(out, study.bases, "bases.parquet")
            progress.end(rows, out / "rows.parquet")
    return queue.failed


def _run_all(queue: _Queue, study: Study, out: Path, count: int, progress: Progress) -> None:
    pool = [_Worker.start(study.data, out) for _ in range(count)]

    def fail(spec: Spec, reason: str) -> None:
        queue.failed[spec.run_id] = reason
        Record(out, spec).fail(reason)
        progress.failed(spec, reason)
        for orphan in queue.drop_orphans():
            fail(orphan, f"its base {spec.run_id} failed: {reason}")

    try:
        while True:
            for worker in pool:
                if worker.spec is None and (spec := queue.next()) is not None:
                    worker.spec = spec
                    worker.pipe.send(spec)
                    progress.started(spec)
            busy = [worker for worker in pool if worker.spec is not None]
            if not busy:
                assert not queue.waiting, f"runs wait for bases that nobody trains: {queue.waiting}"
                return
            ready = set(wait([worker.pipe for worker in busy]))
            for i, worker in enumerate(pool):
                if worker.spec is None or worker.pipe not in ready:
                    continue
                spec = worker.spec
                try:
                    kind, value = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    worker.process.join()
                    code = worker.process.exitcode
                    worker.stop()
                    pool[i] = _Worker.start(study.data, out)
                    fail(spec, f"the worker process ended with exit code {code}; memory may have run out")
                    continue
                if kind == "tick":
                    progress.tick(spec, value)
                    continue
                worker.spec = None
                if kind == "done":
                    queue.finished.add(spec.run_id)
                    progress.done(spec)
                else:
                    fail(spec, value)
    finally:
        for worker in pool:
            worker.stop()

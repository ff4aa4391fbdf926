"""Runs on this machine: one persistent process a core, one thread each, results through pipes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import ClassVar

from trainer.launch.base import POLL_SECONDS, Launcher, State
from trainer.launch.options import require_at_least
from trainer.launch.perform import perform
from trainer.machine import Machine, gpus_here
from trainer.prepare import DataSpec
from trainer.process import child, settle
from trainer.spec import Spec

WORKERS_PER_GPU = 4
TICK_SECONDS = 0.5
"""How often a worker says how far it is."""


@dataclass(frozen=True)
class LocalOptions(Machine):
    """Options of the local launcher, besides device, rows and compile.

    Args:
        workers: processes, one thread each; 0 is one a core, or on GPUs four a GPU, which small models leave idle.
    """

    workers: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, {"workers": 0})

    @property
    def gpus(self) -> int:
        """GPUs that the workers share out among them."""
        return 0 if self.device == "cpu" else gpus_here()

    @property
    def processes(self) -> int:
        """Workers that are wanted."""
        return self.workers or WORKERS_PER_GPU * self.gpus or os.cpu_count() or 1


def work(pipe: Connection) -> None:
    """A worker process: takes data, folder, options and place, then specs till the pipe closes; answers with states."""
    # Ctrl-C reaches every process of the terminal; what it means for a run is for the driver to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle(threads=1)
    # Imported before there is a run, while other processes may still be busy with theirs.
    import_module("trainer.execute")
    data: DataSpec
    out: Path
    options: LocalOptions
    data, out, options, place = pipe.recv()
    if options.gpus:
        os.environ["LOCAL_RANK"] = str(place % options.gpus)  # where PyTorch's launchers say which GPU is whose
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
                try:
                    pipe.send(State("running", tokens))
                except BrokenPipeError as error:
                    # Where the kernel does not end this process with its driver, this does: not the run's failure.
                    raise SystemExit(1) from error

        state = perform(spec, data, out, options, tick)
        try:
            pipe.send(state)
        except BrokenPipeError:
            return


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    place: int
    busy: bool = False

    @classmethod
    def start(cls, data: DataSpec, out: Path, options: LocalOptions, place: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        # A worker of a killed driver would otherwise train on beside those of the next one, at half the speed.
        process = context.Process(target=child, args=(os.getpid(), __name__, work.__name__, theirs), daemon=True)
        process.start()
        theirs.close()
        with suppress(BrokenPipeError):
            ours.send((data, out, options, place))
        return cls(process, ours, place)

    def stop(self) -> None:
        """End the process, at once if it is at work."""
        self.pipe.close()
        if self.busy:
            self.process.terminate()
        self.process.join(timeout=1)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@dataclass
class Job:
    """A run, and the worker that has it while its state is not final."""

    worker: _Worker
    state: State = field(default_factory=lambda: State("pending"))


class Local(Launcher[Job]):
    """Persistent worker processes: the packages are imported once, not once a run."""

    Options: ClassVar[type[LocalOptions]] = LocalOptions

    def __init__(self, options: LocalOptions, data: DataSpec, out: Path, count: int) -> None:
        super().__init__(options, data, out, count)
        self._size = min(options.processes, count)
        # All at once, so that the imports of one do not wait for the first run of another.
        self._pool = [_Worker.start(data, out, options, place) for place in range(self._size)]

    @property
    def capacity(self) -> int:
        """One run a worker."""
        return self._size

    def submit(self, spec: Spec) -> Job:
        """Hand a run to a free worker."""
        worker = next((worker for worker in self._pool if not worker.busy), None)
        if worker is None:
            if len(self._pool) >= self._size:
                raise RuntimeError(f"{spec.run_id}: all {self._size} workers are busy; submit no more than `capacity`")
            place = min(set(range(self._size)) - {other.place for other in self._pool})
            worker = _Worker.start(self.data, self.out, self.options, place)
            self._pool.append(worker)
        worker.busy = True
        # A worker that died while it had nothing to do is found by poll, like one that dies at work.
        with suppress(BrokenPipeError):
            worker.pipe.send(spec)
        return Job(worker)

    def poll(self, handle: Job) -> State:
        """The last state that the worker sent."""
        worker = handle.worker
        while handle.state.kind in ("pending", "running") and worker.pipe.poll():
            try:
                handle.state = worker.pipe.recv()
            except (EOFError, OSError):  # OSError: it was killed while it wrote
                worker.process.join()
                reason = f"the worker process ended with exit code {worker.process.exitcode}; memory may have run out"
                handle.state = State("lost", reason=reason)
                self._discard(worker)
            if handle.state.kind not in ("pending", "running"):
                worker.busy = False
        return handle.state

    def cancel(self, handle: Job) -> None:
        """End the worker that has the run; another takes its place when needed."""
        if self.poll(handle).kind in ("pending", "running"):
            handle.state = State("lost", reason="cancelled")
            self._discard(handle.worker)

    def _discard(self, worker: _Worker) -> None:
        worker.stop()
        self._pool.remove(worker)

    def wait(self) -> None:
        """Return when a worker says something, or after a moment."""
        busy = [worker.pipe for worker in self._pool if worker.busy]
        if busy:
            wait(busy, POLL_SECONDS)
        else:
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """End all workers."""
        for worker in self._pool:
            worker.stop()
        self._pool = []

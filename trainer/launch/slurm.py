"""Runs as jobs of a Slurm cluster through submitit: arrays, requeue on preemption, adoption by a later driver.

What a job does and how far it is goes through the folder of its run, which must be on a disk that all machines share;
a driver that is killed leaves its jobs at work, and the next one takes them over.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import submitit
from submitit.core.utils import UncompletedJobError
from submitit.helpers import DelayedSubmission

from trainer.files import read_json, write_json
from trainer.launch.base import Launcher, State
from trainer.launch.claim import claimed
from trainer.launch.options import require_at_least
from trainer.launch.perform import ProgressFile, perform, recorded
from trainer.machine import Machine, on_cpu_without_gpus
from trainer.prepare import DataSpec
from trainer.process import settle
from trainer.records import Record
from trainer.spec import Spec

CLUSTERS = ("slurm", "local")
REQUEUES = 1000
"""How often a job may run out of time: a run that is longer than the limit goes on from its checkpoint each time."""
CLOSE_SECONDS = 30.0
"""How long processes on this machine have to end: a run is recorded a moment before its process is over."""
LIVE = ("PENDING", "RUNNING", "REQUEUED", "COMPLETING", "CONFIGURING", "SUSPENDED", "RESIZING")
"""States of sacct(1) in which a job is queued or at work."""


@dataclass(frozen=True)
class SlurmOptions(Machine):
    """Options of the submitit launcher, besides device, rows and compile.

    Args:
        cluster: ``slurm``, or ``local`` for plain processes on this machine.
        parallel: runs at once; 0 leaves that to Slurm, and means one a core where cluster is local.
        time: limit of a job in minutes; a run that is longer is requeued and goes on.
        cpus: cores and threads of a run.
        gpus: GPUs of a run.
        mem_gb: memory of a run in GB; 0 leaves that to the cluster.
        partition: of Slurm; so are account, qos and constraint.
    """

    cluster: str = "slurm"
    parallel: int = 0
    time: int = 60
    cpus: int = 1
    gpus: int = 0
    mem_gb: float = 0.0
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, {"parallel": 0, "time": 1, "cpus": 1, "gpus": 0, "mem_gb": 0})
        if self.cluster not in CLUSTERS:
            raise ValueError(f"cluster: expected one of {', '.join(CLUSTERS)}, got {self.cluster!r}")
        given = [name for name in ("partition", "account", "qos", "constraint") if getattr(self, name)]
        if self.cluster == "local" and given:
            raise ValueError(f"{', '.join(given)}: only Slurm has that; leave it out where cluster is local")


@dataclass(frozen=True)
class Work:
    """What a job executes; its state is the run's checkpoint, so on requeue it is submitted as it is."""

    spec: Spec
    data: DataSpec
    out: Path
    machine: Machine
    threads: int

    def __call__(self) -> str:
        """Execute the run; the outcome is in its record, and returned for submitit's log only."""
        settle(self.threads)
        tick = ProgressFile(Record(self.out, self.spec).folder)
        # Raised by submitit's signal handler inside the run when it may not be requeued again.
        return perform(self.spec, self.data, self.out, self.machine, tick, (UncompletedJobError,)).kind

    def checkpoint(self) -> DelayedSubmission:
        """Called by submitit on preemption and at the time limit, before the job is requeued."""
        return DelayedSubmission(self)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Processes started inside hear SIGINT, by which submitit cancels the jobs of this machine.

    A driver in the background of a shell ignores it, and what a process ignores its children ignore as well.
    """
    alone = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    if not alone or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass
class Job:
    """A run and its job at the cluster."""

    spec: Spec
    job: submitit.Job[Any]


class Slurm(Launcher[Job]):
    """One job a run; runs that are submitted together are one array."""

    Options: ClassVar[type[SlurmOptions]] = SlurmOptions

    def __init__(self, options: SlurmOptions, data: DataSpec, out: Path, count: int) -> None:
        super().__init__(options, data, out, count)
        try:
            self._executor = submitit.AutoExecutor(out / "jobs", options.cluster, slurm_max_num_timeout=REQUEUES)
        except RuntimeError as error:
            raise ValueError(f"launcher submitit: {error} For plain processes here: --option cluster=local") from error
        parameters = {
            "name": "bayescpt",
            "timeout_min": options.time,
            "cpus_per_task": options.cpus,
            "gpus_per_node": options.gpus or None,
            "mem_gb": options.mem_gb or None,
            **{f"slurm_{name}": getattr(options, name) or None for name in ("partition", "account", "qos")},
            "slurm_constraint": options.constraint or None,
            "slurm_array_parallelism": options.parallel or None,
        }
        self._executor.update_parameters(**{name: value for name, value in parameters.items() if value is not None})
        self._batch: list[Job] | None = None
        self._submitted: list[Job] = []

    @property
    def capacity(self) -> int | None:
        """No bound with Slurm, which has a queue; without it submitit would start everything at once."""
        return None if self.options.cluster == "slurm" else self.options.parallel or os.cpu_count() or 1

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Runs submitted inside become one array."""
        self._batch = []
        try:
            with _interruptible(), self._executor.batch():
                yield
            for job in self._batch:
                self._note(job)
        finally:
            self._batch = None

    def submit(self, spec: Spec) -> Job:
        """Queue a run."""
        work = Work(spec, self.data, self.out, on_cpu_without_gpus(self.options), self.options.cpus)
        with _interruptible():
            job = Job(spec, self._executor.submit(work))
        self._submitted.append(job)
        if self._batch is None:
            self._note(job)
        else:
            # Inside a batch a job has no id yet.
            self._batch.append(job)
        return job

    def _note(self, job: Job) -> None:
        note = {"cluster": self.options.cluster, "job": job.job.job_id}
        write_json(Record(self.out, job.spec).folder / "job.json", note)

    def adopt(self, spec: Spec) -> Job | None:
        """The job that an earlier driver noted, if Slurm still has it queued or at work.

        Without Slurm nobody keeps a list of jobs; one that is at work is then known by its claim only.
        """
        note = Record(self.out, spec).folder / "job.json"
        if self.options.cluster != "slurm" or not note.exists():
            return None
        said = read_json(note)
        if said["cluster"] != "slurm":
            return None
        job: submitit.Job[Any] = submitit.SlurmJob(self._executor.folder, said["job"])
        state = job.watcher.get_state(said["job"], mode="force")
        return Job(spec, job) if state.upper().startswith(LIVE) else None

    def poll(self, handle: Job) -> State:
        """What the record says, and the cluster only where it says nothing."""
        # Before the record: a job that ends in between has its record written.
        ended = handle.job.done()
        outcome = recorded(self.out, handle.spec)
        if outcome is not None:
            return outcome
        folder = Record(self.out, handle.spec).folder
        if ended:
            return State("lost", reason=self._last_words(handle.job))
        return State("running", ProgressFile(folder).read()) if claimed(folder) else State("pending")

    @staticmethod
    def _last_words(job: submitit.Job[Any]) -> str:
        lines = (job.stderr() or "").strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        return f"job {job.job_id} ended as {job.state} without a result{said}; its log is {job.paths.stderr}"

    def cancel(self, handle: Job) -> None:
        """Take the job off the queue, or end it."""
        if not handle.job.done():
            handle.job.cancel()

    def close(self) -> None:
        """Slurm's jobs belong to the cluster; processes of this machine that have ended are taken off its list."""
        if self.options.cluster == "local":
            deadline = time.monotonic() + CLOSE_SECONDS
            while not all(job.job.done() for job in self._submitted) and time.monotonic() < deadline:
                time.sleep(0.05)

"""Runs as tasks of a Ray cluster. Ray ends the tasks of a driver that ends, so there is nothing to take over."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from trainer.launch.base import Launcher, State
from trainer.launch.claim import claimed
from trainer.launch.options import require_at_least
from trainer.launch.perform import ProgressFile, perform
from trainer.machine import Machine, on_cpu_without_gpus
from trainer.prepare import DataSpec
from trainer.process import settle
from trainer.records import Record
from trainer.spec import Spec


@dataclass(frozen=True)
class RayOptions(Machine):
    """Options of the Ray launcher, besides device, rows and compile.

    Args:
        address: of a cluster, ``auto`` for the one this machine belongs to; empty starts one here for this sweep.
            The machines must share the folder of the study.
        cpus: cores and threads of a run.
        gpus: GPUs of a run; a fraction shares one.
    """

    address: str = ""
    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, {"cpus": 1, "gpus": 0})


def _work(spec: Spec, data: DataSpec, out: Path, machine: Machine, threads: int) -> State:
    settle(threads)
    return perform(spec, data, out, machine, ProgressFile(Record(out, spec).folder))


@dataclass
class Job:
    """A run and the reference to the result of its task."""

    spec: Spec
    result: Any
    state: State | None = None
    """The final state, once it is known."""


class RayCluster(Launcher[Job]):
    """One task a run; Ray has a queue of its own and starts as many as the cluster has cores for."""

    Options: ClassVar[type[RayOptions]] = RayOptions

    def __init__(self, options: RayOptions, data: DataSpec, out: Path, count: int) -> None:
        super().__init__(options, data, out, count)
        # Nothing is sent to Ray's makers.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Without a GPU asked for Ray would hide all; it warns that it will stop to do so.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ours = not ray.is_initialized()
        if self._ours:
            try:
                ray.init(address=options.address or "local", include_dashboard=False if not options.address else None,
                         log_to_driver=False, logging_level=logging.ERROR)  # fmt: skip
            except ConnectionError as error:
                raise ValueError(f"launcher ray: no cluster at address={options.address}: {error}") from error
        # A lost run is submitted again by the sweep, which also knows when to stop that.
        self._task = ray.remote(num_cpus=options.cpus, num_gpus=options.gpus, max_retries=0)(_work)

    def submit(self, spec: Spec) -> Job:
        """Queue a run."""
        return Job(
            spec, self._task.remote(spec, self.data, self.out, on_cpu_without_gpus(self.options), self.options.cpus)
        )

    def poll(self, handle: Job) -> State:
        """The result of the task if it has ended, else whether it holds the claim and how far it is."""
        if handle.state is None:
            handle.state = self._final(handle)
        if handle.state is not None:
            return handle.state
        folder = Record(self.out, handle.spec).folder
        return State("running", ProgressFile(folder).read()) if claimed(folder) else State("pending")

    @staticmethod
    def _final(handle: Job) -> State | None:
        try:
            state: State = ray.get(handle.result, timeout=0)
        except GetTimeoutError:
            return None
        except RayTaskError as error:
            # Not the run, whose failures are states: the worker could not load or start what it was sent.
            return State("failed", reason=str(error).strip().splitlines()[-1])
        except RayError as error:
            # Some of Ray's errors carry pages of advice, some no text at all.
            return State("lost", reason=f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        return state

    def cancel(self, handle: Job) -> None:
        """Take the task off the queue, or kill its process."""
        ray.cancel(handle.result, force=True)

    def close(self) -> None:
        """Leave the cluster, or end it if it was started here."""
        if self._ours:
            ray.shutdown()

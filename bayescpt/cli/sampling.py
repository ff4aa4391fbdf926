"""Sampling from the command line: chains on cores of their own, time shown, and an end when the user asks for one."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

T = TypeVar("T")

DEVICES = "--xla_force_host_platform_device_count"


def device_flags(flags: str, chains: int) -> str:
    """``XLA_FLAGS`` with one host device a chain, so that chains run in parallel; a count already there stays."""
    return flags if DEVICES in flags else f"{flags} {DEVICES}={chains}".strip()


def use_devices(chains: int) -> None:
    """Ask XLA for one host device a chain. Only the first import of JAX in a process reads it."""
    os.environ["XLA_FLAGS"] = device_flags(os.environ.get("XLA_FLAGS", ""), chains)


def in_background(work: Callable[[], T], label: str) -> tuple[T, float]:
    """The value of ``work()`` and the seconds it took, with the elapsed time on stderr meanwhile.

    A compiled sampler holds its thread until it ends; in one of its own it leaves the main thread free to stop.
    """
    values: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            values.append(work())
        except BaseException as error:
            errors.append(error)

    started = time.monotonic()
    thread = threading.Thread(target=run, name="sampling", daemon=True)
    with _clock(label):
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
    if errors:
        raise errors[0]
    return values[0], time.monotonic() - started


def _clock(label: str) -> AbstractContextManager[Any]:
    if not sys.stderr.isatty():
        print(label, file=sys.stderr, flush=True)
        return nullcontext()
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    clock = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    clock.add_task(label, total=None)
    return clock

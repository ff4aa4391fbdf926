"""Settings of the process that trains: threads, memory, and its end when the process that started it ends."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from importlib import import_module
from typing import NoReturn

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's mallopt(3)."""
_PR_SET_PDEATHSIG = 1
"""Option of prctl(2)."""


def keep_memory() -> bool:
    """Let glibc keep freed memory instead of returning it to the system; False if it cannot be told.

    A training step allocates and frees the same activations again. Returned memory has to be zeroed by the
    kernel at its next use: hundreds of page faults a step, 5 to 20 % of the time of a small model.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)) and bool(libc.mallopt(_M_MMAP_THRESHOLD, 1 << 25))


def die_with(parent: int) -> bool:
    """Have the kernel kill this process when its parent ends, however that ends; False where no kernel does so.

    Linux ties this to the thread that started the process, which must live as long as the process is wanted.

    Args:
        parent: id of the parent process as it was when this one was started.
    """
    if not sys.platform.startswith("linux"):
        return False
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    # The parent may have ended before the line above; then no signal will come.
    if os.getppid() != parent:
        os._exit(1)
    return True


def settle(threads: int | None) -> None:
    """Prepare this process for training with so many threads; None leaves that to PyTorch.

    One process a core and one thread each is best for small models: two threads in one process were slower.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    keep_memory()


def child(parent: int, module: str, function: str, *args: object) -> None:
    """Start of a spawned worker: tied to its parent before it imports anything that takes time.

    Args:
        parent: id of the process that spawns it.
        module: where ``function`` is; by name, as the function itself would bring its imports along.
        function: what the worker does.
        args: what it is called with; they too should import little.
    """
    die_with(parent)
    getattr(import_module(module), function)(*args)


def end_at_once(status: int) -> NoReturn:
    """End this process without tearing the interpreter down; for one that has left its group and written its files.

    Threads of gloo may still run then. Now and then the C++ runtime aborts a process for that ("terminate called
    without an active exception"), which torchrun takes for a failure.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

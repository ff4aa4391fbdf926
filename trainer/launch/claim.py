"""The claim on a run: a lock in its folder, held by the one process that executes it, wherever that came from.

The kernel frees the lock when the process ends, kill -9 included. It is a flock(2): on NFS Linux carries it over to
the server (NFS 4, or 3 with lockd), so it holds between machines; Lustre must be mounted with ``flock``.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

CLAIM_SECONDS = 10.0
"""How long a process tries for a claim: :func:`claimed` and a driver that writes a failure hold it for a moment."""
RETRY_SECONDS = 0.05


class ClaimedError(RuntimeError):
    """The run is being executed by another process."""


def _lock_path(folder: Path) -> Path:
    return folder / ".lock"


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(folder: Path) -> str:
    """Process and machine that claimed the run last, in words."""
    try:
        said = json.loads(_lock_path(folder).read_text("utf-8"))
        return f"process {said['pid']} on {said['host']}"
    except (FileNotFoundError, json.JSONDecodeError):
        # Between taking the lock and writing the name there is a moment without one.
        return "a process that has not said its name yet"


def claimed(folder: Path) -> bool:
    """Whether a process holds the claim on the run with this folder."""
    try:
        with _lock_path(folder).open("r") as file:
            # A shared lock, so that two who ask at once do not take each other for the owner.
            return not _try_lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


@contextmanager
def claim(folder: Path, seconds: float = CLAIM_SECONDS) -> Iterator[None]:
    """Hold the claim on the run with this folder.

    Args:
        folder: of the run; made if it is missing.
        seconds: how long to try.

    Raises:
        ClaimedError: if another process holds it all that time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The file stays for ever: a lock on a deleted file would exclude nobody.
    with _lock_path(folder).open("a") as file:
        deadline = time.monotonic() + seconds
        while not _try_lock(file, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                raise ClaimedError(f"{folder}: is being trained by {holder(folder)}; wait for it or end it")
            time.sleep(RETRY_SECONDS)
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        yield


def remove_leftovers(folder: Path, seconds: float = 0.0) -> None:
    """Delete the temporary files and folders that killed writers left in a folder.

    Args:
        folder: where to look.
        seconds: least age of what is deleted. 0 is for who alone may write there.
    """
    for path in folder.glob(".*.tmp"):
        try:
            if time.time() - path.stat().st_mtime >= seconds:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        except FileNotFoundError:
            # Its writer was alive and is done with it.
            continue

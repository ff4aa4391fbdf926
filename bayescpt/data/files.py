"""Files that are never left half written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAMED = 40
"""Characters of a file's name that that of its temporary one keeps, so that it is never too long where the other is
not."""


class OutputError(OSError):
    """A file cannot be written where it was asked for."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without an error.

    Raises OutputError with the path where the system does not let it be written.
    """
    temporary = path.with_name(f".{path.name[:NAMED]}.{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}): write somewhere else") from error
    finally:
        with suppress(OSError):  # what was never made
            temporary.unlink(missing_ok=True)

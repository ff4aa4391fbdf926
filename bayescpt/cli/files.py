"""Files that a command writes: refused before the work where they cannot be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayescpt.data.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd


def check_output(text: str, inputs: Sequence[str], suffixes: Sequence[str] = ()) -> Path:
    """The path of a file that may be written.

    Raises ValueError where its folder does not exist or cannot be written to, where it is a folder, a device or a pipe,
    where it is one of ``inputs``, where its name ends in none of ``suffixes``, or where the system refuses a
    file of that name there.
    """
    path = Path(text)
    try:
        _check(path, text, inputs, suffixes)
        # some folders say that they can be written to and cannot: hours of work are not to end there
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"-o {text}: it cannot be written ({reason}); write somewhere else") from error
    return path


def _check(path: Path, text: str, inputs: Sequence[str], suffixes: Sequence[str]) -> None:
    if path.is_dir():
        raise ValueError(f"-o {text}: expected a file, but it is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise ValueError(f"-o {text}: expected a file, but it is a device or a pipe; write to a file")
    if not path.parent.is_dir():
        raise ValueError(f"-o {text}: there is no folder {path.parent}; make it first, or write somewhere else")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"-o {text}: the folder {path.parent} cannot be written to; write somewhere else")
    for source in inputs:
        if path.exists() and os.path.exists(source) and os.path.samefile(path, source):
            raise ValueError(f"-o {text}: it would overwrite the input {source}; write to another file")
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
        raise ValueError(f"-o {text}: expected a name ending in {', '.join(suffixes)}")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV (also gzipped) or Parquet, by the ending of the name, atomically."""
    from bayescpt.data.read import PARQUET_SUFFIXES

    name = path.name.lower()
    with atomic_path(path) as temporary:
        if name.endswith(PARQUET_SUFFIXES):
            frame.to_parquet(temporary, engine="pyarrow", index=False)
        else:
            # no time stamp in the archive: the same answer is the same file
            packed = {"method": "gzip", "mtime": 0} if name.endswith(".gz") else None
            frame.to_csv(temporary, index=False, compression=packed)

"""The folder of a study: held by one driver at a time, made with one set of settings, with its tables."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.identity import check_name, keep_study
from trainer.launch.claim import remove_leftovers
from trainer.records import Record, collect
from trainer.snapshots import want
from trainer.study import Study

ROWS = "rows.parquet"
"""The observation table of the continual runs."""
BASES = "bases.parquet"
"""The same of the base runs."""

LEFTOVER_SECONDS = 3600.0
"""Age from which a temporary file in the folder of a run is taken for left behind."""


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the folder for this process: two sweeps in one folder would submit the same runs twice."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{out}: another sweep is at work here; wait for it or choose another folder") from error
        yield


def _clean(out: Path) -> None:
    """Delete what killed writers left; runs that are not trained again do not clean up after themselves."""
    for folder in (out, out / "data", *(out / "data").glob("*/")):
        remove_leftovers(folder)
    for folder in (out / "runs").glob("*/"):
        # A job of an earlier driver may be at work there.
        remove_leftovers(folder, LEFTOVER_SECONDS)


@contextmanager
def study_folder(out: Path, study: Study) -> Iterator[None]:
    """Hold the folder of a study and make it ready for its runs.

    Args:
        out: the folder, absolute.
        study: what it is for.

    Raises:
        ValueError: if another process holds the folder, or it was made with other settings.
    """
    with _locked(out):
        keep_study(out, study)
        for spec in study.specs:
            check_name(Record(out, spec).folder, spec)
        _clean(out)
        want(out, list(study.specs))
        yield


def collect_tables(out: Path, study: Study) -> int:
    """Write ``rows.parquet`` (continual runs) and ``bases.parquet``; returns the number of rows of the first."""
    rows = collect(out, study.runs, ROWS)
    collect(out, study.bases, BASES)
    return rows

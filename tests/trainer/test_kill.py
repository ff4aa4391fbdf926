"""kill -9 at random moments, of the driver and of its workers: no finished row is lost, none is doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bayescpt.schema import KEY
from trainer.launch.claim import claimed
from trainer.prepare import prepare
from trainer.records import FINISHED, Record
from trainer.study import Study, read_study

KILLS = 20
SEED = 5
AT_WORK = 0.75
"""Share of the kills that wait until a run is being trained; the others come at any moment, mostly during imports."""
LONGEST = 0.6
"""Seconds after that, or after the last kill, by which the next one has come."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers in /proc"),
]


def driver(path: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "trainer", "sweep", str(path), "--out", str(out), "--workers", "2"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def children(parent: int) -> list[int]:
    """Processes started by a process that are still alive."""
    try:
        found = [int(pid) for pid in (Path("/proc") / f"{parent}/task/{parent}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [pid for pid in found if alive(pid)]


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def workers(parent: int) -> list[int]:
    """The workers among the children; the other one is Python's resource tracker."""

    def is_worker(pid: int) -> bool:
        try:
            return b"spawn_main" in (Path("/proc") / str(pid) / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False

    return [pid for pid in children(parent) if is_worker(pid)]


def ends_before(sweep: subprocess.Popen[bytes], study: Study, out: Path, draw: random.Random) -> bool:
    """Wait for the moment of the next kill; True if the sweep has ended before."""
    if draw.random() < AT_WORK:
        folders = [Record(out, spec).folder for spec in study.specs]
        while not any(map(claimed, folders)) and sweep.poll() is None:
            time.sleep(0.01)
    try:
        sweep.wait(draw.uniform(0, LONGEST))
    except subprocess.TimeoutExpired:
        return False
    return True


def finished_rows(study: Study, out: Path) -> dict[str, pd.DataFrame]:
    """The rows of every finished run, by its id."""
    records = {spec.run_id: Record(out, spec) for spec in study.specs}
    return {i: pd.read_parquet(r.folder / "rows.parquet") for i, r in records.items() if r.status() == FINISHED}


def check_kept(study: Study, out: Path, before: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The rows of finished runs, after a check that those of ``before`` are among them."""
    after = finished_rows(study, out)
    for run_id, rows in before.items():
        pd.testing.assert_frame_equal(after[run_id], rows)
    return after


def check_orphans_end(pids: list[int], study: Study, out: Path) -> None:
    """Workers of a killed driver end by themselves, and with them their claims."""
    deadline = time.monotonic() + 15
    while any(map(alive, pids)) or any(claimed(Record(out, spec).folder) for spec in study.specs):
        assert time.monotonic() < deadline, f"workers {pids} outlive their driver"
        time.sleep(0.01)


def test_a_sweep_that_is_killed_again_and_again_ends_as_an_undisturbed_one(
    tmp_path: Path, study_content: dict[str, Any], write_study: Callable[[dict[str, Any]], Path]
) -> None:
    study_content["base"] |= {"evaluations": 6}
    study_content["bases"][0]["tokens"] = 51_200
    study_content["run"] |= {"tokens": 51_200, "evaluations": 12}
    study_content["grid"]["ratios"] = [0, 0.1, 0.3, 0.6, 1]
    path = write_study(study_content)
    study = read_study(path)
    whole = tmp_path / "whole"
    prepare(study.data, whole, study.corpora, lambda line: None)
    assert driver(path, whole).wait() == 0
    expected = finished_rows(study, whole)

    draw = random.Random(SEED)
    killed = {"driver": 0, "worker": 0}
    rounds = 0
    while sum(killed.values()) < KILLS:
        rounds += 1
        out = tmp_path / f"killed{rounds}"
        out.mkdir()
        (out / "data").symlink_to(whole / "data")
        kept: dict[str, pd.DataFrame] = {}
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            sweep = driver(path, out)
            while sum(killed.values()) < KILLS and not ends_before(sweep, study, out, draw):
                pool = workers(sweep.pid)
                victim = draw.choice(pool) if pool and draw.random() < 0.5 else sweep.pid
                os.kill(victim, signal.SIGKILL)
                killed["driver" if victim == sweep.pid else "worker"] += 1
                if victim == sweep.pid:
                    sweep.wait()
                    check_orphans_end(pool, study, out)
                kept = check_kept(study, out, kept)
            code = sweep.wait()
        # A run that lost its worker too often counts as failed; the next sweep starts it anew.
        assert code == 0 or driver(path, out).wait() == 0
        assert set(check_kept(study, out, kept)) == set(expected)
        check_kept(study, out, expected)
        for name in ("rows.parquet", "bases.parquet"):
            rows = pd.read_parquet(out / name)
            assert not rows.duplicated(list(KEY)).any()
            # all but what the clock said
            tables = [table.drop(columns="gpu_hours") for table in (rows, pd.read_parquet(whole / name))]
            pd.testing.assert_frame_equal(*tables)
        assert not list((out / "runs").rglob("*.tmp"))
    print(f"{killed} in {rounds} sweeps")
    assert min(killed.values()) >= KILLS // 4

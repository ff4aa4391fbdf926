"""What holds for every launcher: each is tried for real, with processes of its own on this machine."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trainer.__main__ import main
from trainer.execute import execute
from trainer.launch import LAUNCHERS
from trainer.launch.claim import claimed
from trainer.launch.perform import recorded
from trainer.records import Record
from trainer.study import Study

from .conftest import Start, final, longer, training, until

# Those that start clusters want a test process of their own (`make launchers`): Ray forks, which JAX forbids, and jobs
# that share two cores with other tests miss their deadlines.
pytestmark = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "local" else pytest.mark.slow) for name in LAUNCHERS]
)


def test_a_run_is_done_and_its_rows_are_those_of_a_run_in_this_process(
    name: str, start: Start, study: Study, tmp_path: Path
) -> None:
    base, out = study.bases[0], tmp_path / "out"
    launcher = start(name, study, out)
    assert final(launcher, launcher.submit(base)).kind == "done"
    there = Record(out, base)
    assert there.status() == "finished"
    rows = pd.read_parquet(there.folder / "rows.parquet")
    (tmp_path / "here" / "data").parent.mkdir()
    (tmp_path / "here" / "data").symlink_to(out / "data")
    execute(base, study.data, tmp_path / "here")
    pd.testing.assert_frame_equal(rows, pd.read_parquet(Record(tmp_path / "here", base).folder / "rows.parquet"))
    before = (there.folder / "rows.parquet").stat().st_mtime_ns
    assert final(launcher, launcher.submit(base)).kind == "done"
    assert (there.folder / "rows.parquet").stat().st_mtime_ns == before


def test_a_diverged_run_is_a_state_with_a_reason_and_a_record(
    name: str, start: Start, study: Study, tmp_path: Path
) -> None:
    base, out = study.bases[0], tmp_path / "out"
    diverging = replace(base, training=replace(base.training, lr=1e30))
    launcher = start(name, study, out)
    state = final(launcher, launcher.submit(diverging))
    assert state.kind == "failed"
    assert "DivergedError" in state.reason
    record = Record(out, diverging)
    assert recorded(out, diverging) == state
    assert json.loads((record.folder / "spec.json").read_text())["training"]["lr"] == 1e30
    assert final(launcher, launcher.submit(base)).kind == "done"


def test_cancel_ends_the_run_and_leaves_its_checkpoint(name: str, start: Start, study: Study, tmp_path: Path) -> None:
    out, base = tmp_path / "out", longer(study.bases[0])
    launcher = start(name, study, out)
    handle = launcher.submit(base)
    until(lambda: training(out, base), "it has a checkpoint")
    assert launcher.poll(handle).kind == "running"
    launcher.cancel(handle)
    record = Record(out, base)
    until(lambda: not claimed(record.folder), "its claim is free", 30)
    assert final(launcher, handle).kind == "lost"
    assert record.status() == "running"
    assert record.checkpoint.exists()


@pytest.mark.slow
def test_a_killed_process_loses_its_run_and_the_next_one_is_well(
    name: str, start: Start, study: Study, tmp_path: Path
) -> None:
    out, base = tmp_path / "out", longer(study.bases[0])
    launcher = start(name, study, out)
    handle = launcher.submit(base)
    until(lambda: training(out, base), "it has a checkpoint")
    os.kill(process_of(out, base), signal.SIGKILL)
    state = final(launcher, handle)
    assert state.kind == "lost"
    assert state.reason
    assert final(launcher, launcher.submit(study.bases[0])).kind == "done"


def test_a_sweep_gives_the_rows_of_one_in_local_workers(
    name: str,
    tmp_path: Path,
    study_content: dict[str, Any],
    write_study: Callable[[dict[str, Any]], Path],
    request: pytest.FixtureRequest,
) -> None:
    if name != "local":
        pytest.importorskip(name)
    options = {"local": "workers=2", "submitit": "cluster=local"}.get(name)
    options = options or f"address={request.getfixturevalue('ray_address')}"
    study_content["grid"]["ratios"] = [0.3, 1]
    study_content["runs"] = [{"size": 32, "domain": "code", "ratio": 0.5, "lr": 1e30}]
    path = write_study(study_content)
    # The diverging run fails, the others are trained.
    there = ["--out", str(tmp_path / "there"), "--launcher", name, "--option", options]
    assert main(["sweep", str(path), *there]) == 1
    assert main(["sweep", str(path), "--out", str(tmp_path / "here"), "--workers", "1"]) == 1
    tables = [pd.read_parquet(tmp_path / where / "rows.parquet") for where in ("there", "here")]
    assert tables[0]["run"].nunique() == 2
    # all but what the clock said
    pd.testing.assert_frame_equal(*(table.drop(columns="gpu_hours") for table in tables))


def process_of(out: Path, spec: Any) -> int:
    return int(json.loads((Record(out, spec).folder / ".lock").read_text())["pid"])

"""Several processes train one model: the samples of one process, its losses, and states that either can take up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from trainer.backend import Backend
from trainer.execute import execute
from trainer.machine import Machine
from trainer.prepare import prepare
from trainer.records import FAILED, FINISHED, RUNNING, Record
from trainer.study import Study, parse_study, read_study

TOLERANCE = 2e-5
"""nats: sums of float32 in another order, over ten steps."""

WORKER = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from trainer.backend import join, leave
from trainer.machine import Machine
from trainer.execute import execute
from trainer.process import end_at_once
from trainer.study import read_study
path, out, stop = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
study = read_study(Path(path))

class Stopped(Exception):
    pass

def tick(tokens):
    if stop and tokens >= stop:
        raise Stopped

try:
    execute(study.runs[0], study.data, out, tick, join(Machine("cpu")))
except Stopped:
    pass
finally:
    leave()
end_at_once(0)
"""


def torchrun(world: int, *arguments: object, code: int = 0) -> str:
    """Run a script, or a module after ``-m``, in several processes of this machine, over gloo; returns what it said."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture
def study(tmp_path: Path, study_content: dict[str, Any]) -> Study:
    study_content["grid"]["ratios"] = [0.3]
    (tmp_path / "RUNS.yaml").write_text(yaml.safe_dump(study_content), "utf-8")
    (tmp_path / "worker.py").write_text(WORKER, "utf-8")
    return read_study(tmp_path / "RUNS.yaml")


def folder(study: Study, out: Path) -> Path:
    """A folder with packed rows and a trained base."""
    prepare(study.data, out, study.corpora, lambda _: None)
    execute(study.bases[0], study.data, out)
    return out


def rows(study: Study, out: Path) -> pd.DataFrame:
    record = Record(out, study.runs[0])
    assert record.status() == FINISHED
    return pd.read_parquet(record.folder / "rows.parquet")


@pytest.mark.slow
def test_world_sizes_give_the_same_rows_and_take_up_each_others_states(tmp_path: Path, study: Study) -> None:
    alone = folder(study, tmp_path / "1")
    execute(study.runs[0], study.data, alone)
    expected = rows(study, alone)
    for world in (2, 4):
        out = folder(study, tmp_path / str(world))
        torchrun(world, tmp_path / "worker.py", tmp_path / "RUNS.yaml", out, 0)
        found = rows(study, out)
        same = [c for c in expected.columns if c not in ("loss", "loss_se")]
        pd.testing.assert_frame_equal(found[same], expected[same])
        assert (found["loss"] - expected["loss"]).abs().max() < TOLERANCE
        provenance = json.loads((Record(out, study.runs[0]).folder / "provenance.json").read_text())
        assert provenance["processes"] == world

    # stopped with two processes, taken up by four, stopped again, and ended by one
    out = folder(study, tmp_path / "changing")
    for world, stop in ((2, 192), (4, 448)):
        torchrun(world, tmp_path / "worker.py", tmp_path / "RUNS.yaml", out, stop)
        assert Record(out, study.runs[0]).status() != FINISHED
        assert list(Record(out, study.runs[0]).folder.glob("*.shards"))
    execute(study.runs[0], study.data, out)
    found = rows(study, out)
    assert (found["loss"] - expected["loss"]).abs().max() < TOLERANCE
    assert not list(Record(out, study.runs[0]).folder.glob("checkpoint*"))


def test_the_command_trains_base_and_run_under_torchrun(tmp_path: Path, study: Study) -> None:
    alone = folder(study, tmp_path / "1")
    execute(study.runs[0], study.data, alone)
    out = tmp_path / "2"
    command = ("-m", "trainer", "run", tmp_path / "RUNS.yaml", "--out", out, "--device", "cpu")
    torchrun(2, *command)
    found = rows(study, out)
    assert (found["loss"] - rows(study, alone)["loss"]).abs().max() < TOLERANCE
    assert len(pd.read_parquet(out / "rows.parquet")) == len(found)
    assert "2 already trained" in torchrun(2, *command)


def test_a_run_that_diverges_in_several_processes_is_recorded(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["grid"]["ratios"] = [0.3]
    study_content["run"]["lr"] = 1e30
    (tmp_path / "RUNS.yaml").write_text(yaml.safe_dump(study_content), "utf-8")
    study = read_study(tmp_path / "RUNS.yaml")
    said = torchrun(2, "-m", "trainer", "run", tmp_path / "RUNS.yaml", "--out", tmp_path / "out", code=1)
    assert "failed: code-w32-r0.3" in said
    record = Record(tmp_path / "out", study.runs[0])
    assert record.status() == FAILED
    assert "is not finite" in record.reason() or "gradient norm" in record.reason()


KILLED = """
import os, signal, sys
from pathlib import Path

if __name__ == "__main__":  # spawned helpers import this file
    import trainer.loop
    from trainer.__main__ import main

    flag, read = Path(sys.argv[1]), trainer.loop.batch_at

    def batch_at(stream, sources, positions):
        if os.environ["RANK"] == "1" and positions.start > 24 and "code" in sources and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return read(stream, sources, positions)

    trainer.loop.batch_at = batch_at
    sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_process_that_is_killed_is_no_failure_of_the_run(tmp_path: Path, study: Study) -> None:
    alone = folder(study, tmp_path / "1")
    execute(study.runs[0], study.data, alone)
    (tmp_path / "killed.py").write_text(KILLED, "utf-8")
    out = tmp_path / "2"
    arguments = ("run", tmp_path / "RUNS.yaml", "--out", out, "--device", "cpu")
    command = (tmp_path / "killed.py", tmp_path / "flag", *arguments)
    said = torchrun(2, *command, code=1)
    record = Record(out, study.runs[0])
    assert record.status() == RUNNING, said
    assert list(record.folder.glob("*.shards"))
    assert len(pd.read_parquet(record.folder / "rows.parquet")) > 2
    torchrun(2, *command)
    assert (rows(study, out)["loss"] - rows(study, alone)["loss"]).abs().max() < TOLERANCE


def test_rows_must_go_evenly_into_the_processes() -> None:
    assert [list(Backend(rank=rank, world=2).own(8, 4)) for rank in (0, 1)] == [[8, 9], [10, 11]]
    with pytest.raises(ValueError, match="batch: 4 rows do not go evenly into 3 processes"):
        Backend(world=3).own(0, 4)


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="precision: expected one of float32, bfloat16, got 'half'"):
        Backend(precision="half")
    with pytest.raises(ValueError, match="device: expected one of auto, cpu, cuda, got 'tpu'"):
        Machine("tpu")


def test_half_precision_follows_single_precision(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["grid"]["ratios"] = [0.3]
    single = parse_study(study_content, tmp_path)
    study_content["run"]["precision"] = "bfloat16"
    half = parse_study(study_content, tmp_path)
    assert half.runs[0].run_id != single.runs[0].run_id
    found = []
    for study in (single, half):
        out = folder(study, tmp_path / study.runs[0].training.precision)
        execute(study.runs[0], study.data, out)
        found.append(rows(study, out)["loss"])
    assert 0 < (found[1] - found[0]).abs().max() < 0.05

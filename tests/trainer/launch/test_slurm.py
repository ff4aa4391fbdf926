"""What only jobs have: requeue on preemption, a driver that is killed, arrays and adoption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from trainer.__main__ import main
from trainer.execute import execute
from trainer.launch import launcher_class
from trainer.launch.base import Launcher
from trainer.launch.claim import claimed
from trainer.launch.options import read_options
from trainer.records import Record
from trainer.study import Study, read_study

from .conftest import Start, final, longer, training, until

pytest.importorskip("submitit")


def holder(folder: Path) -> int:
    return int(json.loads((folder / ".lock").read_text())["pid"])


@pytest.mark.slow
def test_a_preempted_job_is_requeued_and_goes_on_from_its_checkpoint(
    start: Start, study: Study, tmp_path: Path
) -> None:
    out, base = tmp_path / "out", longer(study.bases[0], 64_000)
    launcher = start("submitit", study, out)
    handle = launcher.submit(base)
    until(lambda: training(out, base), "it has a checkpoint")
    record = Record(out, base)
    first = holder(record.folder)
    saved = pd.read_parquet(record.folder / "rows.parquet")
    os.kill(first, signal.SIGUSR2)  # what Slurm sends on preemption and before the time limit
    until(lambda: holder(record.folder) != first, "another process has the run")
    # The job goes on from a checkpoint, or this would be the time to see the rows go.
    pd.testing.assert_frame_equal(pd.read_parquet(record.folder / "rows.parquet").head(len(saved)), saved)
    assert final(launcher, handle).kind == "done"
    rows = pd.read_parquet(record.folder / "rows.parquet")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "data").symlink_to(out / "data")
    execute(base, study.data, tmp_path / "here")
    pd.testing.assert_frame_equal(rows, pd.read_parquet(Record(tmp_path / "here", base).folder / "rows.parquet"))


@pytest.mark.slow
def test_the_job_of_a_killed_driver_is_waited_for(
    tmp_path: Path, study_content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    study_content["bases"][0]["tokens"] = 64_000
    study_content["base"]["evaluations"] = 10
    study_content["grid"]["ratios"] = [0.3]
    path, out = tmp_path / "RUNS.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(study_content), "utf-8")
    study = read_study(path)
    arguments = ["sweep", str(path), "--out", str(out), "--launcher", "submitit", "--option", "cluster=local"]
    driver = subprocess.Popen([sys.executable, "-m", "trainer", *arguments], stdout=subprocess.DEVNULL)
    until(lambda: training(out, study.bases[0]), "the base has a checkpoint")
    driver.kill()
    driver.wait()
    folder = Record(out, study.bases[0]).folder
    job = holder(folder)
    assert claimed(folder)
    assert main(arguments) == 0
    assert holder(folder) == job  # the same process has trained it to its end
    assert "2 of 2 runs trained" in capsys.readouterr().out


SLURM = {
    # Starts every task of the array as a process, with the environment that Slurm gives; notes the script.
    "sbatch": """
        import os, re, shutil, subprocess, sys
        home = os.environ["PAPER_SLURM"]
        shutil.copy(sys.argv[1], home + "/script")
        array = re.search(r"#SBATCH --array=0-(\\d+)", open(sys.argv[1]).read())
        for task in range(int(array[1]) + 1):
            env = {**os.environ, "SLURM_JOB_ID": f"7{task}", "SLURM_ARRAY_JOB_ID": "7",
                   "SLURM_ARRAY_TASK_ID": str(task), "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
            child = subprocess.Popen(["bash", sys.argv[1]], env=env, start_new_session=True,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            open(f"{home}/7_{task}", "w").write(str(child.pid))
        print("Submitted batch job 7")
    """,
    "srun": """
        import os, sys
        start = next(i for i, word in enumerate(sys.argv) if "python" in word)
        os.execv(sys.argv[start], sys.argv[start:])
    """,
    "sacct": """
        import os, pathlib
        print("JobID|State|NodeList")
        for note in pathlib.Path(os.environ["PAPER_SLURM"]).glob("7_*"):
            live = os.path.exists("/proc/" + note.read_text())
            print(f"{note.name}|{'RUNNING' if live else 'COMPLETED'}|here")
    """,
    "scancel": """
        import os, signal, sys
        os.killpg(int(open(os.environ["PAPER_SLURM"] + "/" + sys.argv[1]).read()), signal.SIGKILL)
    """,
}
"""The four commands that submitit and this launcher use, on paper: as much of Slurm as one machine needs."""


@pytest.fixture
def paper_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from textwrap import dedent

    home = tmp_path / "slurm"
    home.mkdir()
    for name, source in SLURM.items():
        (home / name).write_text(f"#!{sys.executable}\n{dedent(source)}", "utf-8")
        (home / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    monkeypatch.setenv("PAPER_SLURM", str(home))
    return home


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
def test_runs_submitted_together_are_one_array_that_a_later_driver_adopts(
    paper_slurm: Path, study: Study, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def launcher() -> Launcher[Any]:
        slurm = launcher_class("submitit")
        texts = ["partition=tiny", "time=7", "gpus=1", "parallel=2", "mem_gb=2"]
        return slurm(read_options("submitit", slurm.Options, texts), study.data, out, 2)

    first = launcher()
    assert first.capacity is None
    short, long = study.bases[0], longer(study.bases[0])
    with first.batch():
        handles = [first.submit(short), first.submit(long)]
    script = (paper_slurm / "script").read_text()
    for line in ("partition=tiny", "time=7", "gpus-per-node=1", "array=0-1%2", "mem=2GB"):
        assert f"#SBATCH --{line}" in script
    assert final(first, handles[0]).kind == "done"
    until(lambda: training(out, long), "the long one has a checkpoint")
    # A second driver knows nothing but what lies in the folders of the runs.
    second = launcher()
    until(lambda: second.adopt(short) is None, "the short one is off the list", 20)
    adopted = second.adopt(long)
    assert adopted is not None
    assert second.poll(adopted).kind == "running"
    second.cancel(adopted)
    until(lambda: not claimed(Record(out, long).folder), "its claim is free", 20)
    adopted.job.watcher.clear()  # its list is brought up to date every ten minutes only
    assert final(second, adopted).kind == "lost"
    until(lambda: second.adopt(long) is None, "the long one is off the list", 20)


def test_without_slurm_the_advice_is_to_run_here(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    slurm = launcher_class("submitit")
    with pytest.raises(ValueError, match=r"srun.*--option cluster=local"):
        slurm(read_options("submitit", slurm.Options, []), study.data, tmp_path / "out", 1)


@pytest.mark.slow
def test_cancel_reaches_jobs_of_a_driver_that_ignores_interrupts(start: Start, study: Study, tmp_path: Path) -> None:
    out, base = tmp_path / "out", longer(study.bases[0])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        launcher = start("submitit", study, out)
        handle = launcher.submit(base)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    until(lambda: training(out, base), "it has a checkpoint")
    launcher.cancel(handle)
    until(lambda: not claimed(Record(out, base).folder), "its claim is free", 30)

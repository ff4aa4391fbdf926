from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from bayescpt.schema import COLUMNS, CONSTANT_IN_RUN, KEY
from trainer.__main__ import main
from trainer.execute import execute
from trainer.files import read_json, write_json
from trainer.launch.base import Launcher, State
from trainer.launch.claim import claim
from trainer.prepare import prepare
from trainer.progress import Progress
from trainer.records import FINISHED, Record
from trainer.spec import Spec
from trainer.study import Study, parse_study, read_study
from trainer.sweep import sweep

Writer = Callable[[dict[str, Any]], Path]


def stamps(out: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in (out / "runs").rglob("*") if file.is_file()}


def test_a_sweep_end_to_end_and_its_second_call(
    tmp_path: Path, study_content: dict[str, Any], write_study: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write_study(study_content), tmp_path / "out"
    study = read_study(path)
    assert main(["sweep", str(path), "--out", str(out), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert not out.exists()
    for spec in study.specs:
        assert spec.run_id in printed
    assert "4 runs, 2,560 tokens" in printed

    assert main(["sweep", str(path), "--out", str(out), "--workers", "2"]) == 0
    assert "4 of 4 runs trained" in capsys.readouterr().out
    table = pd.read_parquet(out / "rows.parquet")
    assert list(table.columns) == [column.name for column in COLUMNS]
    assert set(table["run"]) == {run.run_id for run in study.runs}
    assert not table.duplicated(list(KEY)).any()
    assert (table.groupby("run")[list(CONSTANT_IN_RUN)].nunique() == 1).all().all()
    assert table.drop(columns=["run", "domain", "target", "base"]).astype(float).notna().all().all()
    start = table[table["tokens"] == 0]
    # All three runs start from the same base, so they agree on its losses to the last bit.
    assert start.groupby("target")["loss"].nunique().tolist() == [1, 1]
    assert sorted(start["ratio"].unique()) == [0, 0.3, 1]
    assert (start["lr_sum"] == 0).all()
    end = table[(table["tokens"] == 640) & (table["target"] == "domain")].set_index("run")
    by_ratio = {run.ratio: end.loc[run.run_id] for run in study.runs}
    assert by_ratio[0.3]["ratio"] == 12 / 40
    assert by_ratio[1]["loss"] < by_ratio[0]["loss"]
    assert by_ratio[0]["domain_epochs"] == 0
    assert by_ratio[1]["flops"] == 640 * study.bases[0].size.flops_per_token(280)
    bases = pd.read_parquet(out / "bases.parquet")
    assert bases["run"].unique().tolist() == [study.bases[0].run_id]
    assert np.isclose(bases["loss"].iloc[-1], start.loc[start["target"] == "general", "loss"].iloc[0], rtol=1e-6)

    provenance = read_json(Record(out, study.runs[0]).folder / "provenance.json")
    assert (provenance["status"], provenance["threads"]) == ("finished", 1)
    assert set(provenance["shards"]) == {"general", "code"}
    assert len(provenance["code"]) == 64

    before = stamps(out)
    assert main(["sweep", str(path), "--out", str(out), "--workers", "2"]) == 0
    assert "4 runs, 4 already trained" in capsys.readouterr().out
    assert stamps(out) == before
    pd.testing.assert_frame_equal(pd.read_parquet(out / "rows.parquet"), table)


def test_a_failing_run_is_recorded_and_the_others_go_on(
    tmp_path: Path, study_content: dict[str, Any], write_study: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    study_content["grid"]["ratios"] = [0.5]
    study_content["runs"] = [{"size": 32, "domain": "code", "ratio": 1, "lr": 1e30}]
    path, out = write_study(study_content), tmp_path / "out"
    diverging, sound = read_study(path).runs
    assert main(["sweep", str(path), "--out", str(out), "--workers", "1"]) == 1
    assert f"failed: {diverging.run_id}: DivergedError" in capsys.readouterr().err
    assert Record(out, diverging).status() == "failed"
    assert "not finite" in Record(out, diverging).reason() or "gradient norm" in Record(out, diverging).reason()
    assert Record(out, sound).status() == "finished"
    assert set(pd.read_parquet(out / "rows.parquet")["run"]) == {sound.run_id}


def test_runs_of_a_failed_base_fail_with_it(tmp_path: Path, study_content: dict[str, Any], write_study: Writer) -> None:
    study_content["base"]["lr"] = 1e30
    path, out = write_study(study_content), tmp_path / "out"
    assert main(["sweep", str(path), "--out", str(out), "--workers", "1"]) == 1
    study = read_study(path)
    assert Record(out, study.bases[0]).reason().startswith("DivergedError")
    assert all("it starts from, base-" in Record(out, run).reason() for run in study.runs)


def test_what_cannot_be_trained_is_refused_before_anything_is(
    tmp_path: Path, study_content: dict[str, Any], write_study: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    study_content["base"]["validation_rows"] = 100_000
    study_content["run"] |= {"max_epochs": {"code": 0.01}, "limits": {"general": 10_000_000}}
    study_content["grid"]["ratios"] = [0.3]
    study_content["runs"] = [{"size": 32, "domain": "code", "ratio": 0.6, "limits": {}}]
    path, out = write_study(study_content), tmp_path / "out"
    for command in (["sweep", "--workers", "1"], ["run"], ["sweep", "--dry-run"]):
        assert main([command[0], str(path), "--out", str(out), *command[1:]]) == 2
        said = capsys.readouterr().err
        assert "100000 wanted" in said
        assert "general: limited to 625000 rows of 16 tokens, but there are only" in said
        assert "mixture: repeated too often: code:" in said
    assert not (out / "runs").exists()


def test_a_killed_run_goes_on_and_ends_with_the_rows_of_an_undisturbed_one(
    tmp_path: Path, study_content: dict[str, Any]
) -> None:
    study_content["grid"]["ratios"] = [0.3]
    study = parse_study(study_content, tmp_path)
    for out in (tmp_path / "whole", tmp_path / "killed"):
        prepare(study.data, out, study.corpora, lambda line: None)
        execute(study.bases[0], study.data, out)
    run = study.runs[0]
    execute(run, study.data, tmp_path / "whole")

    class KilledError(BaseException):
        pass

    def kill(tokens: int) -> None:
        if tokens == 512:
            raise KilledError

    with pytest.raises(KilledError):
        execute(run, study.data, tmp_path / "killed", kill)
    record = Record(tmp_path / "killed", run)
    assert record.status() == "running"
    saved = pd.read_parquet(record.folder / "rows.parquet")
    whole = pd.read_parquet(Record(tmp_path / "whole", run).folder / "rows.parquet")
    assert 0 < len(saved) < len(whole)
    pd.testing.assert_frame_equal(saved, whole.head(len(saved)))
    execute(run, study.data, tmp_path / "killed")
    assert record.status() == "finished"
    pd.testing.assert_frame_equal(pd.read_parquet(record.folder / "rows.parquet"), whole)
    assert not record.checkpoint.exists()


def test_kill_9_of_a_sweep_loses_no_row(tmp_path: Path, study_content: dict[str, Any], write_study: Writer) -> None:
    study_content["base"]["evaluations"] = study_content["run"]["evaluations"] = 10
    study_content["run"]["tokens"] = 19_200
    study_content["grid"]["ratios"] = [0.3]
    path, out = write_study(study_content), tmp_path / "out"
    run_ids = {run.run_id for run in read_study(path).runs}
    command = [sys.executable, "-m", "trainer", "sweep", str(path), "--out", str(out), "--workers", "1"]
    sweep = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    files: list[Path] = []
    deadline = time.monotonic() + 60
    while not files and time.monotonic() < deadline:
        time.sleep(0.02)
        files = [out / "runs" / i / "rows.parquet" for i in run_ids if (out / "runs" / i / "checkpoint.pt").exists()]
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    assert files
    saved = pd.read_parquet(files[0])
    assert len(saved) >= 4
    assert main(["run", str(path), "--out", str(out)]) == 0
    whole = pd.read_parquet(files[0])
    pd.testing.assert_frame_equal(whole.head(len(saved)), saved)
    assert not list(out.rglob("*.tmp"))


def test_two_sweeps_in_one_folder_are_refused(
    tmp_path: Path, study_content: dict[str, Any], write_study: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    path, out = write_study(study_content), tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["sweep", str(path), "--out", str(out)]) == 2
    assert "another sweep is at work" in capsys.readouterr().err


def test_a_run_needs_its_base(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study = parse_study(study_content, tmp_path)
    prepare(study.data, tmp_path / "out", study.corpora, lambda line: None)
    with pytest.raises(ValueError, match="has no weights"):
        execute(study.runs[0], study.data, tmp_path / "out")


def test_the_command_line_refuses_with_status_2(
    tmp_path: Path, study_content: dict[str, Any], write_study: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_study(study_content)
    assert main(["run", str(path), "--out", str(tmp_path / "out"), "--threads", "0"]) == 2
    assert "--threads: expected at least 1, got 0" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert main(["run", str(path), "--out", str(tmp_path / "out"), "--device", "cuda"]) == 2
        assert "PyTorch sees no GPU here" in capsys.readouterr().err
    assert main(["sweep", str(path), "--out", str(tmp_path / "out"), "--workers", "-1"]) == 2
    assert "workers: expected at least 0" in capsys.readouterr().err
    assert main(["corpora", "poems"]) == 2
    assert "no built-in corpus poems" in capsys.readouterr().err
    assert main(["corpora", "metrics", "--max-bytes", "20000"]) == 0
    assert "metrics" in capsys.readouterr().out


def test_a_dry_run_tells_repetition_and_time_once_they_are_known(
    tmp_path: Path, study_content: dict[str, Any], write_study: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write_study(study_content), tmp_path / "out"
    assert main(["sweep", str(path), "--out", str(out), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "code not prepared yet" in printed
    assert "time unknown until a run of that size is finished" in printed
    assert main(["sweep", str(path), "--out", str(out), "--workers", "2"]) == 0
    study_content["grid"]["ratios"] = [0, 0.3, 1, 0.5]
    write_study(study_content)
    capsys.readouterr()
    before = {file for file in out.rglob("*") if file.is_file()}
    assert main(["sweep", str(path), "--out", str(out), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert {file for file in out.rglob("*") if file.is_file()} == before
    assert "5 runs, 3,200 tokens" in printed
    assert "4 already trained; 1 runs" in printed
    study = read_study(path)
    half = next(line for line in printed.splitlines() if line.startswith("code-w32-r0.5"))
    rows = read_json(study.data.shard_path(out, "code", "train").with_suffix(".json"))["rows"]
    assert f"code {20 / rows:.2f} x" in half
    assert half.endswith(" s")
    assert "one after another" in printed


def test_a_changed_setting_under_the_same_name_is_refused(
    tmp_path: Path, study_content: dict[str, Any], write_study: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    study_content["grid"]["ratios"] = [0.3]
    path, out = write_study(study_content), tmp_path / "out"
    command = ["sweep", str(path), "--out", str(out), "--workers", "1"]
    assert main(command) == 0
    table = (out / "rows.parquet").read_bytes()

    def refused(*told: str) -> None:
        assert main(command) == 2
        err = capsys.readouterr().err
        assert all(text in err for text in told), err
        assert (out / "rows.parquet").read_bytes() == table

    # the base of a size
    study_content["bases"][0]["lr"] = 1e-3
    write_study(study_content)
    refused("base-w32-s0: training.lr: 0.003 there, 0.001 here", "choose another folder")
    del study_content["bases"][0]["lr"]
    # what the rows are made of
    study_content["validation_share"] = 0.3
    write_study(study_content)
    refused("validation_share: 0.25 there, 0.3 here")
    study_content["validation_share"] = 0.25
    write_study(study_content)
    # the text of a corpus, at once and in the middle of a sweep's life
    text = tmp_path / "code" / "000.txt"
    before = text.read_text("utf-8")
    text.write_text("changed", "utf-8")
    refused("corpora.code")
    text.write_text(before, "utf-8")
    # the folder of a run
    run = Record(out, read_study(path).runs[0])
    spec = read_json(run.folder / "spec.json")
    spec["training"]["lr"] = 5.0
    write_json(run.folder / "spec.json", spec)
    refused("training.lr: 5.0 there, 0.001 here")
    spec["training"]["lr"] = 1e-3
    write_json(run.folder / "spec.json", spec)
    # more runs are no change
    study_content["grid"]["ratios"] = [0.3, 0.5]
    write_study(study_content)
    assert main(command) == 0
    assert pd.read_parquet(out / "rows.parquet")["run"].nunique() == 2


class Scripted(Launcher[str]):
    """Tells of every run the states that a test has written down, and trains nothing."""

    script: ClassVar[dict[str, list[State]]] = {}
    log: ClassVar[list[tuple[str, str]]] = []
    waits: ClassVar[int] = 0

    def submit(self, spec: Spec) -> str:
        self.log.append(("submit", spec.run_id))
        return spec.run_id

    def poll(self, handle: str) -> State:
        states = self.script[handle]
        if not states:
            raise KeyboardInterrupt
        return states.pop(0)

    def cancel(self, handle: str) -> None:
        self.log.append(("cancel", handle))

    def close(self) -> None:
        self.log.append(("close", ""))

    def wait(self) -> None:
        Scripted.waits += 1
        time.sleep(0.01)


@pytest.fixture
def scripted(
    tmp_path: Path, study_content: dict[str, Any]
) -> tuple[Study, Callable[[dict[str, list[State]]], dict[str, str]]]:
    """A study of one base and one run, and how to sweep it with states as they are written down."""
    study_content["grid"]["ratios"] = [0.3]
    study = parse_study(study_content, tmp_path)

    def run(script: dict[str, list[State]]) -> dict[str, str]:
        Scripted.script, Scripted.log, Scripted.waits = script, [], 0
        return sweep(study, tmp_path / "out", partial(Scripted, None), Progress(Console(quiet=True)))

    return study, run


DONE, LOST = State("done"), State("lost", reason="gone")


def test_a_lost_run_is_submitted_again_while_it_gets_further(scripted: Any, tmp_path: Path) -> None:
    study, run = scripted
    base, only = study.bases[0].run_id, study.runs[0].run_id
    further = [state for tokens in (64, 128, 192, 256, 320) for state in (State("running", tokens), LOST)]
    assert run({base: [LOST, LOST, LOST, DONE], only: [*further, DONE]}) == {}
    assert Scripted.log.count(("submit", base)) == 4
    assert Scripted.log.count(("submit", only)) == 6
    assert ("cancel", only) not in Scripted.log
    assert Scripted.log[-1] == ("close", "")


def test_a_run_that_is_lost_at_the_same_point_fails_with_those_that_start_from_it(
    scripted: Any, tmp_path: Path
) -> None:
    study, run = scripted
    failed = run({study.bases[0].run_id: [State("running", 64), LOST] * 9})
    assert set(failed) == {spec.run_id for spec in study.specs}
    assert "lost its process 4 times at the same point, the last time: gone" in failed[study.bases[0].run_id]
    for spec in study.specs:
        record = Record(tmp_path / "out", spec)
        assert record.status() == "failed"
        assert read_json(record.folder / "spec.json")["run_id"] == spec.run_id


def test_an_interrupted_sweep_cancels_what_it_has_submitted(scripted: Any) -> None:
    study, run = scripted
    base = study.bases[0].run_id
    with pytest.raises(KeyboardInterrupt):
        run({base: [State("running", 64)]})
    assert Scripted.log == [("submit", base), ("cancel", base), ("close", "")]


def test_a_run_that_another_process_executes_is_waited_for_and_not_doubled(scripted: Any, tmp_path: Path) -> None:
    study, run = scripted
    base, only = study.bases[0], study.runs[0]
    record = Record(tmp_path / "out", base)
    held = threading.Event()

    def other() -> None:
        with claim(record.folder):
            held.set()
            deadline = time.monotonic() + 60
            while Scripted.waits < 5 and time.monotonic() < deadline:
                time.sleep(0.01)
            write_json(record.folder / "provenance.json", {"status": FINISHED})

    Scripted.waits = 0
    thread = threading.Thread(target=other)
    thread.start()
    held.wait(10)
    assert run({only.run_id: [DONE]}) == {}
    thread.join()
    assert [entry for entry in Scripted.log if entry[0] == "submit"] == [("submit", only.run_id)]

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bayescpt.cli.files import check_output
from bayescpt.cli.fit import set_aside
from bayescpt.cli.session import Session
from bayescpt.data.files import OutputError, atomic_path
from bayescpt.data.table import Table
from bayescpt.fit import Check, prior_fit


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def break_off() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    assert path.read_text() == "old"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_output(str(tmp_path / "a.csv"), []) == tmp_path / "a.csv"
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == tmp_path and mode == os.W_OK))
    with pytest.raises(ValueError, match="cannot be written to"):
        check_output(str(tmp_path / "a.csv"), [])


@pytest.mark.parametrize("path", ["/proc/x.csv", "x" * 300 + ".csv"])
def test_what_the_system_refuses_is_refused_before_the_work(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^-o .*x\.csv: it cannot be written \(.+\); write somewhere else"):
        check_output(path if path[0] == "/" else str(tmp_path / path), [])


def test_a_long_name_may_be_as_long_as_the_system_lets_it(tmp_path: Path) -> None:
    path = check_output(str(tmp_path / ("\N{WAVE DASH}" * 80 + "x" * 10 + ".csv")), [])
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["new"]


def test_a_write_that_the_system_refuses_late_names_the_path(
    study_table: Table, tmp_path: Path, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "fit.nc", tmp_path / "actions.csv"
    prior_fit(study_table, "memory", draws=20).save(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left"), atomic_path(out) as temporary:
        temporary.write_text("new")
    place = ("--domain", "code", "--size", "600k", "--tokens", "200k", "--weights", "1,1")
    told = answer("plan", path, *place, "-o", out, status=2)
    assert told["message"] == f"{out} cannot be written (No space left on device): write somewhere else"
    assert [one.name for one in tmp_path.iterdir()] == ["fit.nc"]


@pytest.mark.parametrize("command", [["fit"], ["compare", "--laws", "memory,dcpt"]])
def test_fits_are_written_to_files_of_their_own_kind(
    command: list[str], frame: pd.DataFrame, written: Callable[[pd.DataFrame], Path], answer: Callable[..., Any]
) -> None:
    rows = written(frame)
    other = rows.with_name("precious.parquet")
    other.write_text("precious")
    told = answer(command[0], rows, *command[1:], "-o", other, status=2)
    assert told["message"] == f"-o {other}: expected a name ending in .nc"
    assert other.read_text() == "precious"


def test_a_device_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match="expected a file, but it is a device or a pipe"):
        check_output(str(tmp_path / "pipe.csv"), [])


def test_only_a_fit_that_passed_is_set_aside(
    study_table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, kept, say = tmp_path / "my.fit.nc", tmp_path / "my.fit.before.nc", Session(json=False)
    assert set_aside(path, say) is None
    path.write_text("no fit")
    assert set_aside(path, say) is None
    fit = prior_fit(study_table, "memory", draws=20)
    replace(fit, checks=(Check("r_hat", False, "1.2 at beta"),)).save(path)
    assert set_aside(path, say) is None
    assert list(tmp_path.iterdir()) == [path]
    replace(fit, checks=()).save(path)
    assert set_aside(path, say) is None  # a quick look has passed nothing
    assert list(tmp_path.iterdir()) == [path]
    replace(fit, checks=(Check("r_hat", True, "1.001"),)).save(path)
    kept.write_text("notes")
    assert set_aside(path, say) is None
    assert kept.read_text() == "notes"
    kept.unlink()
    assert set_aside(path, say) == kept
    assert set_aside(path, say) == kept
    assert kept.read_bytes() == path.read_bytes()
    kept.unlink()
    kept.mkdir()
    assert set_aside(path, say) is None
    assert "passed its checks and could not be kept" in capsys.readouterr().err

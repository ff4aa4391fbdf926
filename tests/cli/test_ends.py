"""How a command ends that does not come to its answer."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bayescpt.cli.session import write_json
from bayescpt.data.table import Table
from bayescpt.fit import Fit, prior_fit

if TYPE_CHECKING:
    from conftest import Ask, Run

Breaking = Callable[[BaseException], None]


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Breaking:
    """Make every loading of a fit end with this exception."""

    def arrange(error: BaseException) -> None:
        def load(path: str) -> Fit:
            raise error

        monkeypatch.setattr(Fit, "load", load)

    return arrange


@pytest.fixture(scope="module")
def memory_file(study_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few prior draws of the memory law."""
    path = tmp_path_factory.mktemp("fit") / "fit.nc"
    prior_fit(study_table, "memory", seed=1, draws=20).save(path)
    return path


PLACE = ("--domain", "code", "--size", "400k", "--tokens", "200k")


def test_an_unexpected_error_is_one_line_and_a_hint(run: Run, answer: Ask, breaking: Breaking) -> None:
    breaking(KeyError("gone"))
    result = run("cmr", "fit.nc", *PLACE)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: KeyError: 'gone' (--debug shows the traceback)\n"
    debugged = run("cmr", "fit.nc", *PLACE, "--debug")
    assert debugged.exit_code == 1
    assert "Traceback (most recent call last)" in debugged.stderr
    told = answer("cmr", "fit.nc", *PLACE, status=1)
    assert (told["error"], told["faults"]) == ("failure", [])


def test_an_interrupt_exits_130_without_a_traceback(run: Run, answer: Ask, breaking: Breaking) -> None:
    breaking(KeyboardInterrupt())
    result = run("cmr", "fit.nc", *PLACE)
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")
    assert answer("cmr", "fit.nc", *PLACE, status=130)["error"] == "interrupted"


def test_an_answer_that_is_no_number_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="not a finite number"):
        write_json({"mean": math.nan})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["fit", "compare"])
def test_a_seed_that_no_generator_takes(name: str, answer: Ask) -> None:
    told = answer(
        name, "rows.csv", "--seed", 2**63, *(["-o", "f.nc"] if name == "fit" else ["--laws", "dcpt"]), status=2
    )
    assert "--seed: expected a number at least 0 and below 9.22337e+18, got 9.22337e+18" in told["message"]


def test_everything_that_is_wrong_with_a_comparison_is_said_at_once(answer: Ask) -> None:
    told = answer("compare", "rows.csv", "--laws", "memory,nn,memory", "--noise", "zz", "--by", "qux", status=2)
    for said in ("expected each name once, got 'memory' twice", "no law is called 'nn'", "no folds are called 'qux'"):
        assert said in told["message"]
    assert told["message"].count("no noise is called 'zz'") == 1


def test_an_empty_count_is_no_count(memory_file: Path, answer: Ask) -> None:
    told = answer("plan", memory_file, "--domain", "code", "--size", "", "--tokens", "1M", "--weights", "1,1", status=2)
    assert told["message"].startswith("--size: expected a count of at least 1")


def test_a_confidence_belongs_to_a_budget(memory_file: Path, answer: Ask) -> None:
    told = answer("plan", memory_file, *PLACE, "--weights", "1,2", "--confidence", "0.99", status=2)
    assert told["message"].startswith("--confidence is that of a forgetting budget")


def test_what_the_rows_cannot_teach_goes_with_every_answer(study_table: Table, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "fit.nc"
    prior_fit(study_table.select(study_table.ratio == 0.25), "memory", seed=1, draws=20).save(path)
    for question in ("cmr", "ratio", "plan"):
        more = [] if question == "cmr" else ["--max-forgetting", "0.05"]
        result = run(question, path, *PLACE, *more)
        assert result.exit_code == 0, result.output
        assert "warning: of the rows behind this answer: " in result.stderr
        assert "ratio" in result.stderr


def test_a_terminal_without_the_letters_shows_codes(study_table: Table, tmp_path: Path) -> None:
    frame = study_table.frame()
    frame["domain"] = frame["domain"].replace("code", "d\N{GREEK SMALL LETTER OMEGA}")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    command = [sys.executable, "-m", "bayescpt", "check", str(tmp_path / "rows.csv")]
    ended = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)
    assert b"d\\u03c9" in ended.stdout

"""How a command ends that does not come to its answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from bayescpt.cli.session import write_json
from bayescpt.fit import Fit

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

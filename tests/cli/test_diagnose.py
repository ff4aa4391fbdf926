"""Diagnoses on the command line: those of the library, of a fit and of every member of a mixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from bayescpt.ask.ridges import ridges
from bayescpt.ask.sensitivity import decisions, sensitivity
from bayescpt.cli.diagnose import SHORT, lines
from bayescpt.data.table import Table
from bayescpt.fit import Check, Fit, Mixture, prior_fit


@pytest.fixture(scope="module")
def loose(study_table: Table) -> Fit:
    """Draws of a prior passed off as a posterior: nothing has been learned."""
    return replace(prior_fit(study_table, "dcpt_l5", draws=300, seed=2), method="nuts")


@pytest.fixture
def path(loose: Fit, tmp_path: Path) -> Path:
    loose.save(tmp_path / "fit.nc")
    return tmp_path / "fit.nc"


def test_a_diagnosis_is_the_librarys(path: Path, loose: Fit, answer: Callable[..., Any]) -> None:
    told = answer("diagnose", path, "--size", "1M", "--tolerance", 0.1)
    assert told["ridges"] == [one.as_dict() for one in ridges(loose)]
    expected = sensitivity(loose, decisions(loose, None, 1e6, None, 0.1))
    # sums over draws depend on how they lie in memory, by the last digit
    for name in ("quantity", "kind", "verdict"):
        assert [one[name] for one in told["sensitivity"]] == expected[name].tolist()
    for name in ("prior", "likelihood"):
        assert [one[name] for one in told["sensitivity"]] == pytest.approx(expected[name].tolist(), rel=1e-9)
    # under the prior every coordinate is as open as it was
    single = {one["name"] for one in told["ridges"] if one["kind"] == "coordinates"}
    assert {"log_level", "log_size_gain", "log_alpha"} <= single


def test_a_diagnosis_in_words(path: Path, loose: Fit, run: Callable[..., Result]) -> None:
    text = run("diagnose", path)
    assert text.exit_code == 0, text.output
    for one in ridges(loose):
        assert f"  {one.target} loss, {one.name}: " in text.stdout
        assert one.run.text in text.stdout
    assert "optimal ratio, code: prior " in text.stdout
    assert "critical ratio, law: prior " in text.stdout


def test_what_fit_tells_is_short(loose: Fit) -> None:
    found = ridges(loose)
    told = list(lines(found, SHORT))
    assert len(told) == SHORT + 2
    assert told[-1] == f"  and {len(found) - SHORT} more (bayescpt diagnose shows all)"
    assert "of the prior's variance is left (code, law); " in told[1]
    assert list(lines((), SHORT)) == [
        "every coordinate is identified: nowhere more than 0.7 of the prior's variance is left"
    ]


def test_a_fit_that_failed_and_every_member_of_a_mixture(
    loose: Fit, tmp_path: Path, run: Callable[..., Result]
) -> None:
    failed = replace(loose, checks=(Check("r_hat", False, "1.2"),))
    Mixture({"good": loose, "bad": failed}, {"good": 0.5, "bad": 0.5}).save(tmp_path / "mix.nc")
    text = run("diagnose", tmp_path / "mix.nc")
    assert text.exit_code == 0, text.output
    assert "bad failed its checks" in text.stderr
    assert "good failed" not in text.stderr
    assert [line for line in text.stdout.splitlines() if line in ("good:", "bad:")] == ["good:", "bad:"]


def test_every_fault_of_a_diagnosis_is_named_at_once(tmp_path: Path, answer: Callable[..., Any]) -> None:
    told = answer("diagnose", tmp_path / "none.nc", "--size", "big", "--tokens", "0", "--tolerance", "-1", status=2)
    assert len(told["faults"]) == 4

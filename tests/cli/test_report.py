"""``bayescpt report``: the file and what is said of it, and every way to ask for nonsense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest

from bayescpt.data.table import Table
from bayescpt.fit import Check, Fit, prior_fit

Answer = Callable[..., Any]


@pytest.fixture(scope="module")
def drawn(study_table: Table) -> Fit:
    return prior_fit(study_table, "memory", draws=60)


@pytest.fixture
def path(drawn: Fit, tmp_path: Path) -> Path:
    drawn.save(tmp_path / "fit.nc")
    return tmp_path / "fit.nc"


def test_a_report_is_written_and_told(path: Path, answer: Answer) -> None:
    out = path.with_name("report.html")
    asked = ("report", path, "-o", out, "--domain", "code", "--max-forgetting", "30%", "--confidence", 0.5)
    told = answer(*asked)
    assert (told["path"], told["bytes"]) == (str(out), out.stat().st_size)
    assert (told["size"], told["tokens"], told["assumed"]) == (6e5, 2e5, ["size", "tokens"])
    assert (told["max_forgetting"], told["relative"]) == (0.3, True)
    plan = answer("plan", path, "--domain", "code", "--size", "600k", "--tokens", "200k", *asked[-4:])
    assert told["decisions"] == [{key: plan[key] for key in told["decisions"][0]}]
    assert told["lead"] in out.read_text("utf-8").replace("&#39;", "'")


def test_a_fit_that_failed_needs_a_reason(drawn: Fit, path: Path, answer: Answer, run: Callable[..., Any]) -> None:
    replace(drawn, checks=(Check("r_hat", False, "1.2 at beta: sample more"),)).save(path)
    out = path.with_name("report.html")
    out.write_text("old")
    told = answer("report", path, "-o", out, "--domain", "code", status=2)
    assert [fault["code"] for fault in told["faults"]] == ["unreliable_fit"]
    assert out.read_text() == "old"
    spoken = run("report", path, "-o", out, "--domain", "code", "--size", "1M", "--accept", "a look")
    assert spoken.exit_code == 0, spoken.output
    assert "accepted: a look" in spoken.stderr
    assert "tokens not stated: the largest of the table" in spoken.stderr
    assert spoken.stdout.startswith(("Train", "Shares", "No share"))
    assert "Accepted because: a look" in out.read_text("utf-8")


def test_every_fault_is_named_and_the_old_file_stays(path: Path, answer: Answer) -> None:
    out = path.with_name("report.html")
    out.write_text("old")
    told = answer("report", path, "-o", out, "--domain", "poems", "--domain", "art", status=2)["message"]
    assert "no domain 'poems', 'art'" in told
    assert "code, law" in told
    told = answer(
        *("report", path, "-o", "no/report.pdf", "--size", "big", "--tokens", "0", "--max-forgetting", "much"),
        *("--confidence", 2, "--budget", -1, "--domain", "poems"),
        status=2,
    )["message"]
    for part in ("--size: expected", "--tokens: expected", "--max-forgetting: expected", "--confidence: expected"):
        assert part in told
    for part in ("--budget: expected", "--space and --budget go together", "no folder no", "no domain 'poems'"):
        assert part in told
    told = answer("report", path, "-o", path.with_name("report.pdf"), status=2)["message"]
    assert "expected a name ending in .html, .htm" in told
    told = answer("report", path, "-o", path.parent, "--space", "none.yaml", "--budget", 1e12, status=2)["message"]
    assert "it is a folder" in told
    assert "none.yaml: cannot be read" in told
    assert out.read_text() == "old"


def test_a_file_that_is_no_whole_fit_is_refused(path: Path, answer: Answer) -> None:
    out = path.with_name("report.html")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read as a fit" in answer("report", path, "-o", out, status=2)["message"]
    told = answer("report", path.with_name("none.nc"), "-o", out, status=2)["message"]
    assert "no fit at" in told
    assert not out.exists()


@pytest.mark.parametrize("attribute", ["law", "digest", "checks"])
def test_a_damaged_fit_is_unusable_input(path: Path, answer: Answer, attribute: str) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs[attribute]
    for command in (("report", path, "-o", path.with_name("report.html")), ("diagnose", path)):
        told = answer(*command, status=2)["message"]
        assert told == f"{path} is damaged or was not written by bayescpt: no attribute {attribute}; fit again"

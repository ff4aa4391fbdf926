"""What rows cannot teach is told before a fit, and rows that a law cannot use stop it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import Result

from bayescpt.fit.run import model_of

Written = Callable[[pd.DataFrame], Path]


@pytest.fixture(autouse=True)
def unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every fit end before it samples."""

    def refuse(*arguments: object, **keywords: object) -> None:
        raise AssertionError("nothing was to be sampled")

    monkeypatch.setattr(importlib.import_module("bayescpt.fit.run"), "posterior", refuse)
    monkeypatch.setattr(importlib.import_module("bayescpt.fit.averaging"), "hold_out", refuse)


@pytest.mark.parametrize(
    ("kept", "code"), [("tokens > 0", "no_base_rows"), ("tokens > 0 or domain == 'law'", "some_base_rows_missing")]
)
def test_rows_that_a_law_cannot_use_are_refused_with_the_finding(
    kept: str, code: str, frame: pd.DataFrame, written: Written, answer: Callable[..., Any], tmp_path: Path
) -> None:
    path = written(frame.query(kept))
    for command in (("fit", path, "-o", tmp_path / "fit.nc"), ("compare", path, "--laws", "dcpt,memory")):
        told = answer(*command, status=2)
        assert told["error"] == "unusable_input"
        assert "add rows with tokens = 0" in told["message"]
        assert [fault["code"] for fault in told["faults"]] == [code]
        assert "write rows with tokens = 0 for every base, domain and target" in told["faults"][0]["message"]
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize(
    ("kept", "lines"),
    [
        ("size == 1e5", ["FAIL   one_size: ", "Train one run at another size, at least 4x away: of at most 2.5e+04"]),
        ("ratio == 0.25 or tokens == 0", ["FAIL   few_ratios: ", "Train runs of it at ratios 0.5 and 0.9"]),
        ("tokens > 0", ["FAIL   no_base_rows: ", "evaluate the base on the same validation sets"]),
    ],
)
def test_what_cannot_be_learned_is_told_before_sampling(
    kept: str, lines: list[str], frame: pd.DataFrame, written: Written, run: Callable[..., Result], tmp_path: Path
) -> None:
    path = written(frame.query(kept))
    for command in (
        ("fit", path, "-o", tmp_path / "fit.nc", "--law", "dcpt", "--chains", 1),
        ("compare", path, "--laws", "dcpt"),
    ):
        result = run(*command)
        assert "nothing was to be sampled" in result.stderr
        before = result.stderr.split("sampling" if command[0] == "fit" else "comparing")[0]
        for line in lines:
            assert line in before
        assert "REVIEW no_repeated_seeds: " in before
        assert before.index("FAIL") < before.index("REVIEW")
        assert "INFO" not in before


def test_findings_of_many_domains_are_counted_after_the_first(
    frame: pd.DataFrame, written: Written, run: Callable[..., Result], tmp_path: Path
) -> None:
    one = frame.query("domain == 'law' and (ratio == 0.25 or tokens == 0)")
    path = written(pd.concat([one.assign(domain=f"d{i}", run=one["run"] + f"-{i}") for i in range(5)]))
    told = run("fit", path, "-o", tmp_path / "fit.nc", "--chains", 1).stderr
    assert told.count("FAIL   few_ratios: ") == 3
    assert "few_ratios: and 2 more (bayescpt check shows all)" in told


def test_an_unknown_law_is_named_with_those_on_offer(
    frame: pd.DataFrame, written: Written, answer: Callable[..., Any], tmp_path: Path
) -> None:
    path = written(frame)
    for command in (("fit", path, "-o", tmp_path / "fit.nc", "--law", "oracle"), ("compare", path, "--laws", "oracle")):
        assert "no law is called 'oracle'; on offer: memory, dcpt" in answer(*command, status=2)["message"]


def test_the_model_is_told_with_its_priors_where_that_is_asked(
    frame: pd.DataFrame, written: Written, run: Callable[..., Result], tmp_path: Path
) -> None:
    command = ("fit", written(frame), "-o", tmp_path / "fit.nc", "--law", "dcpt", "--pooling", "none", "--chains", 1)
    assert "law dcpt" not in run(*command).stderr
    told = run(*command, "--priors").stderr.split("sampling")[0]
    assert model_of("dcpt", "none").describe() in told

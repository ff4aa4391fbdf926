"""No command answers for a domain whose name is a slip of the pen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from bayescpt.data.table import Table
from bayescpt.fit import prior_fit

PLACE = ("--size", "600k", "--tokens", "200k")
NEAR = "which looks like 'code': write 'code'"


@pytest.fixture(scope="module")
def path(study_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("names") / "fit.nc"
    prior_fit(study_table, "memory", draws=20).save(found)
    return found


@pytest.mark.parametrize(
    ("name", "told"),
    [("", "expected a name, got ''"), ("code ", "without space around it, got 'code ': write 'code'"), ("CODE", NEAR)],
)
@pytest.mark.parametrize("command", [("cmr",), ("ratio", "--max-forgetting", 0.1), ("plan", "--max-forgetting", 0.1)])
def test_a_slip_is_refused(
    path: Path, answer: Callable[..., Any], command: tuple[Any, ...], name: str, told: str
) -> None:
    first, *rest = command
    error = answer(first, path, "--domain", name, *PLACE, *rest, status=2)
    assert error["message"].startswith("--domain: expected a name")
    assert told in error["message"]
    assert len(error["faults"]) == 1


def test_a_slip_among_points_is_refused(path: Path, answer: Callable[..., Any], tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    row = {"domain": "Code", "size": 1e5, "ratio": 0.5, "tokens": 2e5, "target": "general"}
    pd.DataFrame([row]).to_csv(points, index=False)
    assert NEAR in answer("predict", path, "--at", points, status=2)["message"]


def test_a_slip_in_a_space_is_refused(path: Path, answer: Callable[..., Any], tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    decision = {"domain": "Code", "size": 6e5, "tokens": 2e5, "max_forgetting": 0.2}
    axes = {"domains": ["LAW", "art"], "sizes": [1e5], "ratios": [0.5], "tokens": [2e5]}
    space.write_text(yaml.safe_dump({"decision": decision} | axes))
    told = answer("next", path, "--space", space, "--budget", 1e12, status=2)["message"]
    assert NEAR in told
    assert "write 'law'" in told

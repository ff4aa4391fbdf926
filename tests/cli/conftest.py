"""The command line in process, and the small study as a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from bayescpt.cli import app
from bayescpt.data.table import Table

Run = Callable[..., Result]
Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that fit set XLA_FLAGS for their process, which is this one: put it back."""
    monkeypatch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command."""
    return _run


@pytest.fixture(scope="session")
def answer() -> Ask:
    """What a command answers as JSON, with the status that it must end with."""

    def ask(*arguments: object, status: int = 0) -> Any:
        result = _run(*arguments, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    return ask


@pytest.fixture
def written(tmp_path: Path) -> Callable[[pd.DataFrame], Path]:
    """Write rows to a file."""

    def write(frame: pd.DataFrame) -> Path:
        path = tmp_path / "rows.csv"
        frame.to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def frame(study_table: Table) -> pd.DataFrame:
    """The rows of the small study."""
    return study_table.frame()

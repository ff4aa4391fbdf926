"""Settings that any log of one run needs, logs written by the libraries themselves, and what an import refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bayescpt.data.faults import Fault, TableError
from bayescpt.data.importers import Imported, import_rows

RUN: dict[str, Any] = {"run": "a", "domain": "law", "size": "1.5B", "ratio": 0.25, "tokens_per_step": 1000}
Import = Callable[..., Imported]
Losses = dict[tuple[float, str], float]


@pytest.fixture
def imported() -> Import:
    """Import one file or folder with the settings of one run and others besides; None takes a setting away."""

    def run(path: Any, **settings: Any) -> Imported:
        entry = {"path": path} | RUN | settings
        return import_rows([{key: value for key, value in entry.items() if value is not None}])

    return run


@pytest.fixture
def refused(imported: Import) -> Callable[..., tuple[Fault, ...]]:
    """The faults of an import that must fail."""

    def run(path: Any, **settings: Any) -> tuple[Fault, ...]:
        with pytest.raises(TableError) as caught:
            imported(path, **settings)
        return caught.value.faults

    return run


@pytest.fixture
def losses() -> Callable[[Imported], Losses]:
    """Losses by tokens and target."""

    def by_point(found: Imported) -> Losses:
        frame = found.frame
        return dict(zip(zip(frame["tokens"], frame["target"], strict=True), frame["loss"], strict=True))

    return by_point


@pytest.fixture
def state(tmp_path: Path) -> Callable[..., Path]:
    """Write a trainer_state.json with these entries."""

    def write(*entries: dict[str, Any], name: str = "trainer_state.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({"global_step": 200, "log_history": entries}))
        return path

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Write lines of a CSV file."""

    def write(*lines: str, name: str = "log.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture(scope="session")
def write_with() -> Callable[..., str]:
    """Run a script in a process of its own, where trackers may start services and threads; what it printed."""

    def run(script: str, *arguments: object, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run

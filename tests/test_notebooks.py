"""Notebooks run from top to bottom without a warning; their committed outputs are complete and of no machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
MOST_BYTES = 500_000
IN_MAKE_TEST = {"plan_a_run", "choose_runs"}
"""Most of a minute on a busy core where nothing is compiled yet. The others compile more models and are slow."""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(path: Path) -> str:
    return path.stem


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_committed_outputs(path: Path, tool: ModuleType) -> None:
    assert path.stat().st_size < MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert tool.faults_of(notebook) == []
    # what `make notebooks` writes: nothing of a time or a machine
    assert tool.stripped(notebook.copy()).metadata == notebook.metadata
    assert all(not cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.stem in IN_MAKE_TEST else pytest.mark.slow) for path in NOTEBOOKS],
    ids=named,
)
def test_notebook_runs(path: Path, tool: ModuleType) -> None:
    before = path.read_bytes()
    assert tool.faults_of(tool.executed(path)) == []
    assert path.read_bytes() == before


def test_faults_are_found(tool: ModuleType) -> None:
    cell = nbformat.v4.new_code_cell("1", execution_count=2)
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="UserWarning: no\n"),
        nbformat.v4.new_output("execute_result", data={"text/plain": "'/home/somebody/rows.parquet'"}),
    ]
    faults = "\n".join(tool.faults_of(nbformat.v4.new_notebook(cells=[cell])))
    for fault in ("not run from top to bottom", "UserWarning", "the path of a machine", "no figure"):
        assert fault in faults


def test_a_failing_notebook_is_left_alone(tmp_path: Path, tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fails.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    assert tool.main([str(path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert path.read_bytes() == before

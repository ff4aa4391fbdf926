"""MLflow: stores that the library writes, in folders and in SQLite, and tables of histories."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bayescpt.data.importers import import_rows

Import = Callable[..., Any]
WRITE = """
import sys, sqlalchemy
from mlflow.tracking import MlflowClient

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def quick(connection, record):
    connection.execute("PRAGMA synchronous = OFF")

for uri in sys.argv[1:]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("mixing", artifact_location="nowhere")
    for name, ratio in (("low", "0.25"), ("high", "0.75"), ("gone", "0.5")):
        run = client.create_run(experiment, run_name=name).info.run_id
        client.log_param(run, "data.ratio", ratio)
        client.set_tag(run, "domain", "law")
        for i, step in enumerate((0, 100, 200, 100)):
            loss = 2 + step / 1000 * float(ratio) + i / 16 * (i == 3)
            client.log_metric(run, "eval/general_loss", loss, step=step, timestamp=1000 + i)
            client.log_metric(run, "eval/law_loss", loss + 1, step=step, timestamp=1000 + i)
        for bad, value in (("nan", "nan"), ("inf", "inf")):
            client.log_metric(run, bad, float(value), step=1)
        if name == "gone":
            client.delete_run(run)
"""
SETTINGS: dict[str, Any] = {"columns": {"run": "run_name", "ratio": "params.data.ratio", "domain": "tags.domain"}}
SETTINGS |= {"targets": {"general": "eval/general_loss", "domain": "eval/law_loss"}, "size": 1e9, "tokens_per_step": 10}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, write_with: Callable[..., str]) -> tuple[Path, Path]:
    """The same runs in folders and in SQLite."""
    for name in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(name, exc_type=ImportError)
    folder = tmp_path_factory.mktemp("mlflow")
    quiet = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    paths = folder / "mlruns", folder / "mlflow.db"
    write_with(WRITE, paths[0].as_uri(), f"sqlite:///{paths[1]}", **quiet)
    return paths


@pytest.mark.parametrize("which", [0, 1], ids=["folders", "sqlite"])
def test_every_run_of_a_store_is_read_with_its_settings(stores: tuple[Path, Path], which: int) -> None:
    found = import_rows([SETTINGS | {"path": stores[which]}])
    frame = found.frame
    assert sorted(set(zip(frame["run"], frame["domain"], frame["ratio"], strict=True))) == [
        ("high", "law", 0.75),
        ("low", "law", 0.25),
    ]
    low = frame[(frame["run"] == "low") & (frame["target"] == "domain")]
    assert low["tokens"].tolist() == [0, 1000, 2000]
    # step 100 was logged again with 3/16 more
    assert low["loss"].tolist() == pytest.approx([3, 3.025 + 3 / 16, 3.05])
    told = " ".join(found.notes)
    assert "1 deleted runs are left out" in told
    assert "run 'low': 2 losses logged again" in told


@pytest.mark.parametrize("which", [0, 1], ids=["folders", "sqlite"])
def test_a_store_holds_several_runs(stores: tuple[Path, Path], which: int, refused: Import, imported: Import) -> None:
    (fault,) = refused(stores[which])
    assert fault.code == "several_runs"
    assert "found 2 with a run_id of their own" in fault.message
    settings = {"where": {"run_name": "high"}, "columns": {"ratio": "params.data.ratio"}, "ratio": None}
    assert imported(stores[which], **settings).frame["ratio"].tolist() == [0.75] * 6
    # without a name a run is called by its id
    assert imported(stores[which], **settings, run=None).frame["run"].str.fullmatch("[0-9a-f]{32}").all()


@pytest.mark.parametrize("which", [0, 1], ids=["folders", "sqlite"])
def test_values_that_are_not_finite_are_seen(stores: tuple[Path, Path], which: int, refused: Import) -> None:
    settings = {"where": {"run_name": "high"}, "targets": {"general": "nan", "domain": "inf"}}
    messages = " ".join(fault.message for fault in refused(stores[which], **settings))
    assert "nan is nan" in messages
    assert "inf is inf" in messages
    assert "(step 1)" in messages


def test_folders_of_an_experiment_and_of_a_run_are_taken_too(stores: tuple[Path, Path]) -> None:
    low = next(file for file in stores[0].glob("*/*/params/data.ratio") if file.read_text() == "0.25").parents[1]
    assert set(import_rows([SETTINGS | {"path": low}]).frame["run"]) == {"low"}
    assert set(import_rows([SETTINGS | {"path": low.parent}]).frame["run"]) == {"low", "high"}


def test_a_database_is_left_as_it_is(stores: tuple[Path, Path]) -> None:
    before = stores[1].read_bytes()
    import_rows([SETTINGS | {"path": stores[1]}])
    assert stores[1].read_bytes() == before
    assert [path.name for path in stores[1].parent.glob("mlflow.db*")] == ["mlflow.db"]


def test_another_database_is_refused(tmp_path: Path, refused: Import) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE other (x INTEGER)")
    (fault,) = refused(path)
    assert fault.code == "not_this_format"
    assert "no such table: runs" in fault.message


def test_a_folder_without_runs_is_refused(tmp_path: Path, refused: Import) -> None:
    assert refused(tmp_path)[0].code == "format_unknown"
    (fault,) = refused(tmp_path, **{"from": "mlflow"})
    assert fault.code == "not_this_format"


def test_a_damaged_line_is_named(tmp_path: Path, refused: Import) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "meta.yaml").write_text("run_name: a\n")
    (tmp_path / "metrics" / "general_loss").write_text("1 2.1 0\n2 2.2\n3 two 200\n")
    (fault,) = refused(tmp_path)
    assert "metrics/general_loss" in fault.message.replace("\\", "/")
    assert "in line 3, got '3 two 200'" in fault.message


def test_a_table_of_histories_is_turned(table: Import, imported: Import, refused: Import, losses: Import) -> None:
    header = "run_id,key,value,timestamp,step"
    rows = ("r1,general_loss,2.1,1,0", "r1,law_loss,2.9,1,0", "r1,general_loss,2.2,2,100", "r1,law_loss,2.5,2,100")
    wanted = {(0, "general"): 2.1, (0, "domain"): 2.9, (100_000, "general"): 2.2, (100_000, "domain"): 2.5}
    assert losses(imported(table(header, *rows))) == wanted
    assert set(imported(table(header, *rows), run=None).frame["run"]) == {"r1"}
    again = imported(table(header, *rows, "r1,law_loss,2.4,3,100"))
    assert losses(again)[100_000, "domain"] == 2.4
    assert "row 4, law_loss (step 100) and row 5, law_loss (step 100)" in again.notes[0]
    (fault,) = refused(table(header, *rows, "r1,law_loss,2.4,3,"))
    assert fault.code == "blank_cell"
    assert "row 5" in fault.message


def test_runs_that_are_taken_as_one_are_told(table: Import, imported: Import) -> None:
    rows = ("run_id,key,value,step", "r1,general_loss,2.1,0", "r1,law_loss,2.9,0")
    more = ("run_id,key,value,step", "r2,general_loss,2.2,9", "r2,law_loss,2.5,9")
    found = imported([table(*rows, name="1.csv"), table(*more, name="2.csv")])
    assert len(found.frame) == 4
    assert "taken as one run 'a', started again: run_id r1, r2" in found.notes[0]

"""Sources become one sound table: bases, counters that go on, several files of one run, what the contract refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bayescpt
from bayescpt.data.faults import TableError
from bayescpt.data.importers import IMPORTERS, import_rows
from bayescpt.data.importers.registry import find
from bayescpt.data.table import Table

Import = Callable[..., Any]
HEADER = "step,general_loss,domain_loss"
DOCS = Path(bayescpt.__file__).parents[1] / "docs" / "import.md"


def test_a_base_that_the_log_does_not_start_with_is_added(table: Import, imported: Import) -> None:
    path = table(HEADER, "100,2.2,2.5")
    found = imported(path, base_loss={"general": 2.1, "domain": 2.9}, base="pythia", seed=3, lr=1e-4)
    read = Table.from_frame(found.frame)
    assert read.base_losses.tolist() == [[[2.1, 2.9]]]
    assert read.bases == ("pythia",)
    assert found.frame["lr"].isna().tolist() == [True, True, False, False]
    assert found.places[0].endswith("base_loss.general")


def test_a_base_loss_is_in_the_unit_of_the_source(table: Import, imported: Import) -> None:
    found = imported(table(HEADER, "100,9,12"), base_loss={"general": 8}, unit="perplexity")
    assert found.frame["loss"][0] == pytest.approx(2.0794415)


def test_a_base_that_is_measured_and_given_must_agree(table: Import, imported: Import, refused: Import) -> None:
    path = table(HEADER, "0,2.1,2.9", "100,2.2,2.5")
    assert len(imported(path, base_loss={"general": 2.10001}).frame) == 4
    (fault,) = refused(path, base_loss={"general": 2.3})
    assert fault.code == "base_conflict"
    assert "base_loss.general is 2.3 nats, but run 'a' starts at 2.1 in row 1" in fault.message


def test_counters_that_go_on_from_the_base(table: Import, imported: Import, losses: Import) -> None:
    path = table(f"{HEADER},seen", "900,3,3,9e5", "1000,2.1,2.9,1e6", "1100,2.2,2.5,1.1e6")
    wanted = {(0, "general"): 2.1, (0, "domain"): 2.9, (100_000, "general"): 2.2, (100_000, "domain"): 2.5}
    by_step = imported(path, base_step=1000)
    assert losses(by_step) == wanted
    assert "2 losses from before the base, left out" in " ".join(by_step.notes)
    by_tokens = imported(path, columns={"tokens": "seen"}, tokens_per_step=None, base_tokens=1e6)
    assert losses(by_tokens) == wanted


def test_a_base_has_no_ratio_of_its_own(table: Import, imported: Import) -> None:
    path = table(f"{HEADER},mix", "0,2.1,2.9,", "100,2.2,2.5,0.75")
    assert imported(path, ratio=None, columns={"ratio": "mix"}).frame["ratio"].tolist() == [0, 0, 0.75, 0.75]


def test_a_run_may_have_its_targets_in_different_files(table: Import, state: Import, imported: Import) -> None:
    one = state({"eval_general_loss": 2.2, "step": 100})
    two = table("step,domain_loss", "100,2.5")
    run = {"run": "a", "domain": "law", "size": 1e6, "ratio": 0.5, "tokens_per_step": 10}
    found = import_rows([run | {"path": one}, run | {"path": two, "seed": None}])
    assert found.frame["target"].tolist() == ["general", "domain"]
    with pytest.raises(TableError, match="pieces of one format, got trainer-state, csv"):
        imported([one, two])


def test_faults_of_the_table_name_the_places_of_its_rows(table: Import) -> None:
    one, two = table(HEADER, "0,2.1,2.9", "100,2.2,2.5"), table(HEADER, "0,2.3,2.9", "100,2.2,2.5", name="two.csv")
    run = {"domain": "law", "size": 1e6, "ratio": 1.5, "tokens_per_step": 10}
    with pytest.raises(TableError) as caught:
        import_rows([run | {"path": one, "run": "a"}, run | {"path": two, "run": "b"}])
    bounds, conflict = caught.value.faults
    assert (bounds.code, bounds.rows) == ("out_of_bounds", (3, 4, 7, 8))
    assert conflict.code == "base_conflict"
    assert f"row 5 is {two}: row 1" in conflict.message


def test_two_sources_of_one_run_are_no_restart(table: Import) -> None:
    run = {"run": "a", "domain": "law", "size": 1e6, "ratio": 0.5, "tokens_per_step": 10}
    one, two = table(HEADER, "100,2.2,2.5"), table(HEADER, "100,2.3,2.5", name="two.csv")
    with pytest.raises(TableError, match="duplicate_key"):
        import_rows([run | {"path": one}, run | {"path": two}])


def test_no_file_is_taken_by_the_wrong_importer(tmp_path: Path, table: Import) -> None:
    assert find(table(HEADER)).name == "csv"
    assert find(table("key,value,step,run_id", name="m.csv")).name == "mlflow"
    assert find(table("_step,_timestamp,x", name="w.csv")).name == "wandb"
    for name, importer in (("a.json", "trainer-state"), ("r.wandb", "wandb"), ("x.tfevents.1", "tensorboard")):
        (tmp_path / name).write_text("x")
        assert find(tmp_path / name).name == importer
    with pytest.raises(TableError, match="is not clear; say --from"):
        find(tmp_path)
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(TableError, match="no importer recognises it"):
        find(tmp_path / "x.txt")
    with pytest.raises(TableError, match="does not exist"):
        find(tmp_path / "none")


@pytest.mark.parametrize("importer", IMPORTERS, ids=lambda importer: importer.name)
def test_every_importer_is_explained(importer: Any) -> None:
    assert f"`{importer.name}`" in DOCS.read_text("utf-8")


@pytest.mark.parametrize(("library", "name"), [("wandb", "run-1.wandb"), ("tensorboard", "events.tfevents.1")])
def test_a_library_that_is_missing_is_named_with_what_installs_it(
    tmp_path: Path, refused: Import, monkeypatch: pytest.MonkeyPatch, library: str, name: str
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    path = tmp_path / name
    path.write_bytes(b"x")
    (fault,) = refused(path)
    assert fault.code == "library_missing"
    assert 'pip install "bayescpt[import]"' in fault.message


def test_importers_load_no_library_before_they_read() -> None:
    code = (
        "import sys, bayescpt.data.importers as i; assert i.IMPORTERS; print(*{n.split('.')[0] for n in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=DOCS.parents[1])
    assert not set(done.stdout.split()) & {"tensorboard", "wandb", "mlflow", "jax", "torch"}

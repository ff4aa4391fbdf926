"""Weights & Biases: files that the library writes offline, whole, cut short and damaged; exported tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bayescpt.data.importers import import_rows

Import = Callable[..., Any]
WRITE = """
import sys, wandb
folder, name, first, last, shift = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]), float(sys.argv[5])
settings = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_disable_meta=True, disable_git=True)
config = {"ratio": 0.25, "data": {"domain": "law", "size": "1.5B"}, "long": "x" * 50000}
run = wandb.init(mode="offline", dir=folder, project="p", id=name, name="sun-3", config=config, settings=settings)
for step in range(first, last, 100):
    run.log({"eval/general_loss": 2 + step / 1000 + shift, "train/global_step": step})
    run.log({"eval/law_loss": 3 - step / 1000 + shift, "train/global_step": step, "train": {"lr": 1e-4}})
run.finish()
print(run.dir)
"""
CONFIG = {"ratio": "config.ratio", "domain": "config.data.domain", "size": "config.data.size", "lr": "train.lr"}
TARGETS = {"general": "eval/general_loss", "domain": "eval/law_loss"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, write_with: Callable[..., str]) -> tuple[Path, Path]:
    """Folders of one run and of the same run after a restart."""
    pytest.importorskip("wandb", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("wandb")
    quiet = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_MODE": "offline"}
    parts = (("0", "400", "0"), ("200", "500", "0.125"))
    printed = [write_with(WRITE, folder, "run7", *part, **quiet) for part in parts]
    first, second = (Path(text.strip().splitlines()[-1]).parent for text in printed)
    return first, second


def entry(path: Any, **settings: Any) -> dict[str, Any]:
    return {"path": path, "columns": CONFIG, "targets": TARGETS, "tokens_per_step": 1000} | settings


def test_a_run_written_offline_is_read_with_its_settings(written: tuple[Path, Path]) -> None:
    folder, _ = written
    file = folder / "run-run7.wandb"
    assert file.stat().st_size > 33_000  # more than a block, so that a record lies in several
    for path in (folder, file):
        frame = import_rows([entry(path)]).frame
        assert frame.query("target == 'general'")["loss"].tolist() == [2.0, 2.1, 2.2, 2.3]
        assert frame.query("target == 'domain'")["loss"].tolist() == [3.0, 2.9, 2.8, 2.7]
        assert frame["tokens"].unique().tolist() == [0, 100_000, 200_000, 300_000]
        assert set(zip(frame["run"], frame["domain"], frame["size"], frame["ratio"], strict=True)) == {
            ("run7", "law", 1_500_000_000, 0.25)
        }
        assert frame["lr"].eq(1e-4).all()


def test_a_run_that_was_resumed_counts_as_it_was_last(written: tuple[Path, Path]) -> None:
    found = import_rows([entry([str(path) for path in written])])
    domain = found.frame.query("target == 'domain'")
    assert domain["loss"].tolist() == [3.0, 2.9, 2.925, 2.825, 2.725]
    assert "4 losses logged again, the last counts, they differ by at most 0.125 nats" in found.notes[0]


def test_a_file_cut_short_is_read_up_to_there_and_that_is_told(written: tuple[Path, Path], tmp_path: Path) -> None:
    content = (written[0] / "run-run7.wandb").read_bytes()
    place = content.rindex(b"eval/general_loss", 0, content.rindex(b"train/global_step"))
    path = tmp_path / "run-cut.wandb"
    path.write_bytes(content[: content.index(b"2.3") + 1])
    found = import_rows([entry(path)])
    assert found.frame["tokens"].max() == 200_000
    assert "the file ends within a record" in found.notes[0]
    path.write_bytes(content[:place] + b"X" + content[place + 1 :])
    found = import_rows([entry(path)])
    assert "the file is damaged at byte" in found.notes[0]


def test_other_files_are_refused(tmp_path: Path, refused: Import) -> None:
    pytest.importorskip("wandb", exc_type=ImportError)
    path = tmp_path / "run-x.wandb"
    path.write_bytes(b"something else")
    assert refused(path)[0].code == "not_this_format"
    (tmp_path / "run-y.wandb").write_bytes(b"")
    (fault,) = refused(tmp_path)
    assert "found run-x.wandb, run-y.wandb; name the file" in fault.message


def test_history_needs_to_be_told_of_its_step(table: Import, imported: Import, refused: Import, losses: Import) -> None:
    rows = (",_step,_runtime,eval/general_loss,eval/law_loss,train/global_step", "0,0,0.1,2.1,,0", "1,1,0.2,,2.9,0")
    rows += ("2,2,0.3,2.2,,100", "3,3,0.4,,2.5,100")
    wanted = {(0, "general"): 2.1, (0, "domain"): 2.9, (100_000, "general"): 2.2, (100_000, "domain"): 2.5}
    assert losses(imported(table(*rows))) == wanted
    # the same without the trainer's step: that of W&B counts calls, and nobody could see the mistake in the result
    rest = tuple(row.rsplit(",", 1)[0] for row in rows)
    (fault,) = refused(table(*rest))
    assert fault.code == "no_step"
    assert "say --step _step if it did" in fault.message
    assert losses(imported(table(*rest), step="_step"))[2000, "general"] == 2.2


def test_lines_of_a_chart_become_runs(table: Import, imported: Import, refused: Import, losses: Import) -> None:
    names = [f"{run} - eval/{metric}_loss" for run in ("sun-3", "moon - 4") for metric in ("general", "law")]
    header = '"Step",' + ",".join(f'"{name}{end}"' for name in names for end in ("", "__MIN", "__MAX"))
    path = table(
        header, "0" + ",2.1" * 3 + ",2.9" * 3 + ",2.1" * 3 + ",2.9" * 3, "100,2.2,2.1,2.3" + ",2.5" * 3 + "," * 6
    )
    run = imported(path, step="Step", run=None)
    assert run.frame["run"].value_counts().to_dict() == {"sun-3": 4, "moon - 4": 2}
    assert "1 rows are means over several steps" in run.notes[0]
    one = imported(path, step="Step", run="a", where={"run_name": "sun-3"})
    assert losses(one)[100_000, "domain"] == 2.5
    (fault,) = refused(path, step="Step", run="a")
    assert fault.code == "several_runs"
    assert "2 with a run_name of their own (sun-3, moon - 4)" in fault.message
    (fault,) = refused(path, step="Step", where={"run_name": "star"})
    assert "where.run_name: expected records with 'star', found sun-3, moon - 4" in fault.message

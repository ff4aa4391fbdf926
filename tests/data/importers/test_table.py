"""CSV and Parquet: long and wide, renamed, with blanks and NaN; a copy is refused unless the last is to count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayescpt.data.importers import import_rows
from bayescpt.data.table import Table

Import = Callable[..., Any]
WIDE = ("step,general_loss,domain_loss,note", "0,2.1,2.9,x", "100,2.2,2.5,x", "200,2.15,,x")


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet"])
def test_rows_of_the_contract_come_back_as_they_are(
    tmp_path: Path, name: str, sound: Callable[[], pd.DataFrame]
) -> None:
    path = tmp_path / name
    frame = sound()
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
    found = import_rows([{"path": path}])
    assert Table.from_frame(found.frame).digest == Table.from_frame(frame).digest
    assert found.frame["run"].isin(["000", "018"]).any()
    assert found.notes == ()


def test_wide_becomes_long(table: Import, imported: Import, losses: Import) -> None:
    found = imported(table(*WIDE))
    assert list(found.frame.columns) == ["run", "domain", "size", "ratio", "tokens", "target", "loss"]
    assert losses(found) == {
        (0, "general"): 2.1,
        (0, "domain"): 2.9,
        (100_000, "general"): 2.2,
        (100_000, "domain"): 2.5,
        (200_000, "general"): 2.15,
    }
    assert (found.frame["size"] == 1_500_000_000).all()
    assert found.places[3].endswith("log.csv: row 2")
    assert found.notes == (f"{found.places[3].removesuffix(': row 2')}: columns not used: note",)


def test_columns_are_renamed_and_their_values_looked_up(table: Import, imported: Import) -> None:
    path = table(
        "model,mix,seen,split,nll,nll_se,opt_lr",
        "m1,0.5,1e6,val_law,2.5,0.01,1e-4",
        "m1,0.5,1e6,val_web,2.2,0.02,1e-4",
        "m1,0.5,1e6,val_other,9.9,0.02,1e-4",
    )
    columns = {"run": "model", "ratio": "mix", "tokens": "seen", "target": "split", "loss": "nll"}
    columns |= {"loss_se": "nll_se", "lr": "opt_lr"}
    found = imported(
        path,
        columns=columns,
        targets={"domain": "val_law", "general": "val_web"},
        **dict.fromkeys(("run", "ratio", "tokens_per_step")),
    )
    assert found.frame.to_dict("list") == {
        "run": ["m1", "m1"],
        "domain": ["law", "law"],
        "size": [1_500_000_000] * 2,
        "ratio": [0.5, 0.5],
        "tokens": [1_000_000] * 2,
        "target": ["general", "domain"],
        "loss": [2.2, 2.5],
        "loss_se": [0.02, 0.01],
        "lr": [1e-4, 1e-4],
    }


def test_a_metric_of_one_target_is_a_long_table(table: Import, losses: Import) -> None:
    general = table("Wall time,Step,Value", "1,0,2.1", "2,100,2.2", name="general.csv")
    domain = table("Wall time,Step,Value", "1,0,2.9", "2,100,2.5", name="domain.csv")
    run = {"run": "a", "domain": "law", "size": 1e6, "ratio": 0.5, "tokens_per_step": 10, "columns": {"loss": "Value"}}
    found = import_rows([run | {"path": general, "target": "general"}, run | {"path": domain, "target": "domain"}])
    assert losses(found) == {(0, "general"): 2.1, (1000, "general"): 2.2, (0, "domain"): 2.9, (1000, "domain"): 2.5}


def test_null_is_no_loss_and_nan_is_one_that_diverged(tmp_path: Path, imported: Import, refused: Import) -> None:
    path = tmp_path / "log.parquet"
    columns = {"step": [0, 100, 200], "general_loss": [2.1, None, 2.2], "domain_loss": [2.9, 2.5, float("nan")]}
    pq.write_table(pa.table(columns), path)
    (fault,) = refused(path)
    assert (fault.code, fault.column, fault.rows) == ("not_finite", "loss", (3,))
    assert "domain_loss is nan: row 3" in fault.message
    found = imported(path, skip_not_finite=True)
    assert len(found.frame) == 4
    assert "1 loss not finite and left out: row 3" in found.notes[0]


def test_a_copy_is_refused_unless_the_last_is_to_count(table: Import, imported: Import, refused: Import) -> None:
    path = table(*WIDE, "100,2.3,2.4,x")
    (fault,) = refused(path)
    assert fault.code == "duplicate_key"
    assert "domain at 100000 tokens in row 2 and row 4" in fault.message
    assert "--keep-last" in fault.message
    found = imported(path, keep_last=True)
    assert found.frame.query("tokens == 100000")["loss"].tolist() == [2.3, 2.4]
    assert "2 losses logged again, the last counts, they differ by at most 0.1 nats" in " ".join(found.notes)


def test_what_a_cell_cannot_be_is_named_with_every_row(table: Import, refused: Import) -> None:
    path = table("step,general_loss,domain_loss,lr", "0,2.1,2.9,", "100,two,2.5,1e-4", "x,2.2,2.4,1e-4", "300,two,2,?")
    faults = {(fault.code, fault.column): fault for fault in refused(path)}
    assert faults["wrong_type", "loss"].rows == (2, 4)
    assert "expected a number as general_loss, got 'two': row 2; row 4;" in faults["wrong_type", "loss"].message
    assert "expected a number as step, got 'x'" in faults["wrong_type", "tokens"].message
    assert faults["wrong_type", "lr"].rows == (4,)


def test_a_loss_without_its_step_or_target_is_named(table: Import, refused: Import) -> None:
    (fault,) = refused(table("step,general_loss,domain_loss", "0,2.1,2.9", ",2.2,2.4"))
    assert (fault.code, fault.column) == ("blank_cell", "tokens")
    assert "no step with the loss: row 2;" in fault.message
    path = table("step,target,loss", "0,general,2.1", "100,,2.2", "100,domain,")
    faults = {fault.column: fault for fault in refused(path)}
    assert faults["target"].rows == (2,)
    assert faults["loss"].rows == (3,)


def test_columns_that_share_a_name_are_refused(table: Import, refused: Import) -> None:
    (fault,) = refused(table("step,loss,loss", "0,1,2"))
    assert fault.code == "repeated_column"


def test_files_that_are_no_tables(tmp_path: Path, table: Import, refused: Import) -> None:
    assert refused(tmp_path / "none.csv")[0].code == "file_missing"
    (fault,) = refused(table("a,b", "1"))
    assert (fault.code, fault.rows) == ("ragged_row", (1,))
    broken = tmp_path / "log.parquet"
    broken.write_bytes(b"no table at all")
    assert refused(broken)[0].code == "file_unreadable"
    assert refused(table("step,general_loss"))[0].code == "no_rows"

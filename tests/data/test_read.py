from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bayescpt.data.checks import validate
from bayescpt.data.faults import Fault, TableError
from bayescpt.data.read import read_frame

HEADER = "run,domain,size,ratio,tokens,target,loss,seed,note\n"
Sound = Callable[[], pd.DataFrame]


def fault_of(path: Path) -> Fault:
    with pytest.raises(TableError) as caught:
        read_frame(path)
    assert str(path) in str(caught.value)
    (fault,) = caught.value.faults
    return fault


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert fault_of(tmp_path / "none.csv").code == "file_missing"
    assert "is a folder" in fault_of(tmp_path).message


def test_unknown_suffix(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    path.write_text("x")
    fault = fault_of(path)
    assert fault.code == "file_unknown"
    assert ".parquet" in fault.message


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_empty_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert fault_of(path).code == "file_empty"


def test_blank_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n\n")
    assert fault_of(path).code == "file_empty"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.parquet", b"not parquet at all"),
        ("rows.csv", b"run,loss\n\xff\xfe,1\n"),
        ("rows.csv", b'run,loss\n"open,1\n'),
        ("rows.csv.gz", b"not gzip"),
        ("rows.csv.gz", gzip.compress(HEADER.encode() * 50, mtime=0)[:-20]),
    ],
)
def test_unreadable_content(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert fault_of(path).code == "file_unreadable"


def test_every_ragged_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("run,loss\na,1\nb\n\nc,2,3\nd,4\n\n")
    fault = fault_of(path)
    assert (fault.code, fault.rows) == ("ragged_row", (2, 3, 4))


def test_text_ids_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\ufeff" + HEADER + "007,NA,1e6,0.10,1000,domain,2.5,9007199254740993,01\n", encoding="utf-8")
    frame = read_frame(path)
    assert frame.columns[0] == "run"
    assert frame.loc[0, ["run", "domain", "note"]].tolist() == ["007", "NA", "01"]
    assert frame.loc[0, ["size", "ratio", "tokens"]].tolist() == [1e6, 0.1, 1000.0]
    assert frame.loc[0, "seed"] == 9007199254740993


def test_missing_and_unreadable_numbers_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + 'a,d,1e6,NaN,10,domain,"2,5",3.0,\na,d,1e6,,10,general,2.5,None,\n')
    frame = read_frame(path)
    assert frame["ratio"].isna().tolist() == [True, True]
    assert frame["loss"].tolist() == ["2,5", 2.5]
    codes = {(fault.code, fault.column): fault.rows for fault in validate(frame)}
    assert codes["wrong_type", "loss"] == (1,)
    assert codes["not_finite", "ratio"] == (1, 2)
    assert codes["partly_missing", "seed"] == (2,)


def test_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER)
    assert [fault.code for fault in validate(read_frame(path))] == ["no_rows"]


def test_repeated_header_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER.replace("note", "loss") + "a,d,1,1,1,domain,1,1,1\n")
    assert "repeated_column" in {fault.code for fault in validate(read_frame(path))}


@pytest.mark.parametrize("name", ["rows.csv", "rows.CSV", "rows.csv.gz", "rows.parquet", "rows.pq"])
def test_a_sound_table_survives_each_format(tmp_path: Path, name: str, sound: Sound) -> None:
    path = tmp_path / name
    if "csv" in name.lower():
        sound().to_csv(path, index=False)
    else:
        sound().to_parquet(path)
    assert validate(read_frame(path)) == ()


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_columns_that_something_else_separates(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"run{mark}loss\na{mark}1\n")
    with pytest.raises(TableError) as caught:
        read_frame(path)
    (fault,) = caught.value.faults
    assert f"got {mark!r} between them; save it as CSV with commas" in fault.message


def test_a_name_that_the_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be looked at"):
        read_frame(tmp_path / ("x" * 300 + ".csv"))

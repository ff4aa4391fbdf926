from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.corpora import KINDS, Corpus
from trainer.sources import READERS, Fault, Origin

UNICODE = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=8)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def compressed(path: Path, content: bytes) -> Path:
    with pa.output_stream(str(path), compression="zstd") as file:
        file.write(content)
    return path


def lines(texts: list[str], key: str) -> bytes:
    return "".join(json.dumps({key: text, "n": i}) + "\n\n" for i, text in enumerate(texts)).encode()


def parquet(path: Path, texts: list[str], key: str) -> Path:
    # Row groups of three rows, so that a file has more than one.
    pq.write_table(pa.table({key: texts, "n": list(range(len(texts)))}), path, row_group_size=3)
    return path


def plain(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


WRITERS: dict[str, Callable[[Path, list[str], str], tuple[str, Path]]] = {
    "plain": lambda folder, texts, key: ("jsonl", plain(folder / "a.jsonl", lines(texts, key))),
    "gzip": lambda folder, texts, key: ("jsonl", plain(folder / "a.jsonl.gz", gzip.compress(lines(texts, key)))),
    "zstd": lambda folder, texts, key: ("jsonl", compressed(folder / "a.jsonl.zst", lines(texts, key))),
    "parquet": lambda folder, texts, key: ("parquet", parquet(folder / "a.parquet", texts, key)),
    "hub": lambda folder, texts, key: ("huggingface", parquet(folder / "train-0.parquet", texts, key)),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("key", ["text", "body of it"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=UNICODE)
def test_every_reader_gives_the_texts_back(tmp_path: Path, writer: str, key: str, texts: list[str]) -> None:
    if writer == "hub":
        pytest.importorskip("datasets")
        texts = texts[:3]  # each example is a data set of its own to the library, and slow
    kind, path = WRITERS[writer](tmp_path, texts, key)
    source = str(tmp_path) if kind == "huggingface" else str(path)
    assert list(Corpus("c", kind, source, text_key=key).documents()) == texts


@pytest.mark.parametrize("writer", WRITERS)
def test_the_state_follows_the_text_and_the_key(tmp_path: Path, writer: str) -> None:
    if writer == "hub":
        pytest.importorskip("datasets")
    kind, _ = WRITERS[writer](tmp_path, ["one", "two"], "text")
    corpus = Corpus("c", kind, str(tmp_path))
    assert not corpus.faults()
    before = corpus.state()
    assert corpus.state() == before
    assert Corpus("other", kind, str(tmp_path)).state() == before
    assert Corpus("c", kind, str(tmp_path), text_key="n").state() != before
    WRITERS[writer](tmp_path, ["one", "three"], "text")
    assert corpus.state() != before


def test_texts_of_more_than_one_zstd_frame_are_read(tmp_path: Path) -> None:
    first = compressed(tmp_path / "1", lines(["one"] * 5, "text")).read_bytes()
    second = compressed(tmp_path / "2", lines(["two"] * 5, "text")).read_bytes()
    path = plain(tmp_path / "both.jsonl.zst", first + second)
    assert list(Corpus("c", "jsonl", str(path)).documents()) == ["one"] * 5 + ["two"] * 5


@pytest.mark.parametrize("suffix", ["gz", "zst"])
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged_files_are_refused_and_not_shortened(tmp_path: Path, suffix: str, damage: str) -> None:
    content = lines([f"{i * i} text" for i in range(5000)], "text")
    whole = gzip.compress(content) if suffix == "gz" else compressed(tmp_path / "whole", content).read_bytes()
    path = plain(tmp_path / f"a.jsonl.{suffix}", whole[: len(whole) // 2] if damage == "cut" else b"neither of them")
    with pytest.raises(ValueError, match=rf"a\.jsonl\.{suffix}, after line \d+: cannot read on"):
        list(Corpus("c", "jsonl", str(path)).documents())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "expected an object with 'text', got JSONDecodeError"),
        (b'"text"', "expected an object with 'text', got str"),
        (b'{"body": "x"}', "expected an object with 'text', got keys 'body'"),
        (b"{}", "expected an object with 'text', got keys none"),
        (b'{"text": null}', "'text' must be a string, got NoneType"),
        (b'{"text": "\\ud800"}', "'text' must be valid Unicode"),
        ('{"text": "für"}'.encode("latin-1"), "got UnicodeDecodeError"),
    ],
)
def test_bad_lines_name_file_and_line(tmp_path: Path, line: bytes, told: str) -> None:
    path = plain(tmp_path / "bad.jsonl", b'{"text": "fine"}\n' + line + b'\n{"text": "fine too"}\n')
    records = list(READERS["jsonl"].records(Origin(str(path), None, "text", "train", None)))
    assert (records[0], records[2]) == ("fine", "fine too")
    assert isinstance(records[1], Fault)
    assert records[1].message.startswith(f"{path}, line 2: ")
    assert told in records[1].message


def test_bad_parquet_names_file_and_row(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["fine", None], "n": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    plain(tmp_path / "b.parquet", b"not a table")
    pd.DataFrame({"body": ["fine"], "n": [1]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(ValueError) as refused:
        list(Corpus("c", "parquet", str(tmp_path)).documents())
    for told in (
        "a.parquet, row 2: 'text' must be a string, got NoneType",
        "b.parquet, after row 0: cannot read on: ",
        "c.parquet: expected one column 'text', there are body, n",
    ):
        assert told in str(refused.value)


def test_a_local_data_set_has_splits_columns_and_a_cap(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    parquet(tmp_path / "train-0.parquet", ["first", "second", "third"], "text")
    parquet(tmp_path / "test-0.parquet", ["held out"], "text")
    source = str(tmp_path)
    corpus = Corpus("c", "huggingface", source, split="test")
    assert list(corpus.documents()) == ["held out"]
    assert corpus.state() != Corpus("c", "huggingface", source).state()
    assert list(Corpus("c", "huggingface", source, max_bytes=6).documents()) == ["first", "second"]
    with pytest.raises(ValueError, match="no column 'body'; there are text, n"):
        list(Corpus("c", "huggingface", source, text_key="body").documents())
    with pytest.raises(ValueError, match=r"split dev, .* got ValueError: .*dev.*; check these names"):
        list(Corpus("c", "huggingface", source, split="dev").documents())
    with pytest.raises(ValueError, match=r"odd.*expected rows, got ValueError"):
        list(Corpus("c", "huggingface", f"{source}:odd").documents())
    assert "revision 'main' means nothing for the local folder" in "".join(
        Corpus("c", "huggingface", source, revision="main").faults()
    )


def test_names_of_data_sets_are_checked() -> None:
    pytest.importorskip("datasets")
    assert not Corpus("c", "huggingface", "group/name:config", revision="main").faults()
    for name in ("", ":config", "name:"):
        assert "expected name or name:config" in Corpus("c", "huggingface", name).faults()[0]


def test_without_the_library_the_hub_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "datasets" else found(name))
    corpus = Corpus("c", "huggingface", "group/name")
    assert "needs the library datasets; install" in corpus.faults()[0]
    with pytest.raises(ValueError, match="needs the library datasets"):
        corpus.state()
    with pytest.raises(ValueError, match="needs the library datasets"):
        list(corpus.documents())


def test_without_a_network_the_hub_is_refused_unless_a_commit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    import huggingface_hub

    def unreachable(*args: Any, **named: Any) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "dataset_info", unreachable)
    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    newest = Corpus("c", "huggingface", "group/name")
    told = "group/name, split train, revision newest: expected rows, got ConnectionError: no route to host; check"
    for read in (newest.state, lambda: list(newest.documents())):
        with pytest.raises(ValueError, match=told):
            read()
    pinned = Corpus("c", "huggingface", "group/name", revision=COMMIT)
    assert pinned.state() == pinned.state() != Corpus("c", "huggingface", "group/name:x", revision=COMMIT).state()
    with pytest.raises(ValueError, match=f"revision {COMMIT}: expected rows, got ConnectionError"):
        list(pinned.documents())


def test_the_commit_that_is_the_state_is_the_one_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    import huggingface_hub

    asked: list[tuple[Any, ...]] = []

    class Info:
        sha = COMMIT

    def load(name: str, config: str | None, **named: Any) -> Any:
        asked.append((name, config, named["split"], named["revision"], named["streaming"]))
        return datasets.Dataset.from_dict({"text": ["a", "b"]}).to_iterable_dataset()

    monkeypatch.setattr(huggingface_hub, "dataset_info", lambda name, revision, timeout: Info())
    monkeypatch.setattr(datasets, "load_dataset", load)
    corpus = Corpus("c", "huggingface", "group/name:config", revision="main")
    assert list(corpus.documents()) == ["a", "b"]
    assert asked == [("group/name", "config", "train", COMMIT, True)]
    assert corpus.state() == Corpus("c", "huggingface", "group/name:config", revision=COMMIT).state()


def test_kinds_are_the_readers() -> None:
    assert tuple(READERS) == KINDS
    assert {kind for kind in KINDS if READERS[kind].is_path} == {"text", "jsonl", "parquet"}

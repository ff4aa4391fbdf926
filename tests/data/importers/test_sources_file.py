"""A file of sources: paths beside it, defaults filled in, mistakes named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bayescpt.data.faults import TableError
from bayescpt.data.importers import import_rows, read_sources

FILE = """
defaults:
  domain: law
  tokens_per_step: 2.0e6
  targets: {general: general_loss, domain: law_loss}
sources:
  - {path: logs/a.csv, run: a, size: 1.5e9, ratio: 0.25}
  - {path: [logs/b.csv, /logs/b.csv], run: b, size: 400M, ratio: 0.5, domain: code, targets: {domain: code_loss}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def to(text: str) -> Path:
        path = tmp_path / "sources.yaml"
        path.write_text(text)
        return path

    return to


def test_defaults_fill_up_and_paths_are_beside_the_file(write: Callable[[str], Path], tmp_path: Path) -> None:
    first, second = read_sources(write(FILE))
    assert first["path"] == str(tmp_path / "logs/a.csv")
    assert (first["domain"], first["size"]) == ("law", "1.5e9")  # YAML takes it for text, the importer for a number
    assert second["path"] == [str(tmp_path / "logs/b.csv"), "/logs/b.csv"]
    assert second["domain"] == "code"
    assert second["targets"] == {"general": "general_loss", "domain": "code_loss"}


def test_what_it_names_is_imported(write: Callable[[str], Path], table: Callable[..., Path]) -> None:
    rows = ("0,2.1,2.9", "1000,2.2,2.5")
    table("step,general_loss,law_loss", *rows, name="a.csv")
    table("step,general_loss,law_loss", *rows, name="b.csv")
    runs = [
        f"- {{path: {name}.csv, run: {name}, size: 1.5e9, ratio: {ratio}}}" for name, ratio in (("a", 0.2), ("b", 1))
    ]
    path = write("defaults: {domain: law, tokens_per_step: 1.0e3}\nsources:\n" + "\n".join(runs))
    frame = import_rows(read_sources(path)).frame
    assert frame.groupby("run")["ratio"].max().to_dict() == {"a": 0.2, "b": 1.0}
    assert frame["tokens"].max() == 1_000_000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a list `sources`"),
        ("sources: {}", "expected a list `sources`"),
        ("sources: []", "expected a list `sources`"),
        ("sources: [3]", "sources[0]: expected keys and values, got 3"),
        ("sources: [{1: 2}]", "sources[0]: expected keys and values"),
        ("default: {}\nsources: [{path: x}]", "unknown key 'default'; known are defaults, sources"),
        ("sources: [", "expected YAML"),
    ],
)
def test_a_file_that_is_none_is_refused(write: Callable[[str], Path], text: str, told: str) -> None:
    with pytest.raises(TableError) as caught:
        read_sources(write(text))
    assert told in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        read_sources(tmp_path / "none.yaml")


def test_unknown_keys_of_a_source_are_named(write: Callable[[str], Path]) -> None:
    entries: list[dict[str, Any]] = read_sources(write("sources: [{path: x.csv, sise: 3}]"))
    with pytest.raises(TableError, match="unknown key 'sise'"):
        import_rows(entries)

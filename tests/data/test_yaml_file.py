"""Files that say something twice are refused, by line; aliases and merges stay what YAML says they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayescpt.data.yaml_file import read_yaml


def written(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "b:\n  a: 1\n  c: 2\n  a: 1\n", "- {a: 1, a: 2}\n"])
def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"'a' stands twice: in line \d+ and in line \d+"):
        read_yaml(written(tmp_path, text))


def test_the_same_key_in_two_mappings_is_no_fault(tmp_path: Path) -> None:
    path = written(tmp_path, "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  a: 3\n")
    assert read_yaml(path) == {"x": {"a": 1, "b": 2}, "y": {"a": 3, "b": 2}}


def test_what_is_no_yaml_and_what_is_no_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no YAML"):
        read_yaml(written(tmp_path, "a: [1,"))
    with pytest.raises(ValueError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: \xe4\xff")
    with pytest.raises(ValueError, match="is no YAML"):
        read_yaml(path)

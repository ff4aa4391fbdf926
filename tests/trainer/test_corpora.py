from __future__ import annotations

import ast
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from trainer import installed
from trainer.corpora import Corpus, split_documents
from trainer.prose import docstrings, paragraphs, without_docstrings
from trainer.shards import open_shard, write_shard
from trainer.tokenizer import load_tokenizer, train_tokenizer

TEXTS = [f"Document number {i} is about topic {i * i % 17}. " * (1 + i % 3) for i in range(200)]


def write_jsonl(path: Path, texts: list[str]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text, "source": "test"}) + "\n")
    return path


def test_split_has_no_overlap_no_duplicates_and_does_not_depend_on_order(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "one.jsonl.gz", TEXTS)
    two = write_jsonl(tmp_path / "two.jsonl.gz", [*reversed(TEXTS), *TEXTS[:50]])
    split = split_documents(Corpus("c", "jsonl", str(one)), 0.2)
    assert split == split_documents(Corpus("c", "jsonl", str(two)), 0.2)
    assert not set(split.train) & set(split.validation)
    assert sorted(split.train + split.validation) == sorted(set(TEXTS))
    assert 20 <= len(split.validation) <= 60


def test_a_cap_keeps_the_same_documents_however_they_are_stored(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, text in enumerate(TEXTS):
        (folder / f"{(i * 37) % 211}.txt").write_text(text, "utf-8")
    stored = write_jsonl(tmp_path / "one.jsonl.gz", TEXTS)
    from_files = split_documents(Corpus("c", "text", str(folder), 3000), 0.2)
    assert from_files == split_documents(Corpus("c", "jsonl", str(stored), 3000), 0.2)
    size = sum(len(text) for text in from_files.train + from_files.validation)
    assert 3000 <= size < 3000 + max(map(len, TEXTS))


def test_the_state_of_a_corpus_changes_with_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one", "utf-8")
    corpus = Corpus("c", "text", str(tmp_path))
    before = corpus.state()
    assert before == corpus.state()
    (tmp_path / "a.txt").write_text("two", "utf-8")
    assert corpus.state() != before


def test_unusable_corpora_say_why(tmp_path: Path) -> None:
    assert "unknown kind 'parquet'" in Corpus("c", "parquet", "x").faults()[0]
    assert "no built-in corpus 'poems'; there are prose" in Corpus("c", "builtin", "poems").faults()[0]
    assert "does not exist" in Corpus("c", "text", str(tmp_path / "none")).faults()[0]
    both = Corpus("c", "jsonl", str(tmp_path), 0).faults()
    assert "no file ending in .jsonl" in both[0]
    assert "max_bytes must be a whole number of at least 1, got 0" in both[1]
    with pytest.raises(ValueError, match="1 training and 0 validation"):
        split_documents(Corpus("c", "text", str(write_text(tmp_path / "a.txt", "alone"))), 0.0001)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "fine"}\n{"body": "not"}\n', "utf-8")
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 2: expected an object with 'text'"):
        list(Corpus("c", "jsonl", str(bad)).documents())
    (tmp_path / "latin.txt").write_bytes("für".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.txt: expected UTF-8"):
        list(Corpus("c", "text", str(tmp_path / "latin.txt")).documents())


def write_text(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_paragraphs_keep_sentences_and_drop_code_and_tables() -> None:
    docstring = """Return the :func:`norm` of a matrix, which is the largest
    value that the sum of a row can take.

    Parameters
    ----------
    x : array_like

    >>> norm([1, 2]) # this is the kind of line that has to be left out of it

    ======  =====
    name    value
    ======  =====

    x_0, x_1, y_0, y_1, z_0, z_1, w_0, w_1, a_0, a_1, b_0, b_1.
    """
    assert list(paragraphs(docstring)) == [
        "Return the norm of a matrix, which is the largest value that the sum of a row can take."
    ]


def test_source_without_docstrings_shares_none_with_prose() -> None:
    source = (
        '"""Module."""\nimport os\n\n\nclass A:\n    """Class\n    text."""\n\n'
        '    def f(self):\n        "Method."\n        return "kept"\n'
    )
    tree = ast.parse(source)
    assert list(docstrings(tree)) == ["Module.", "Class\ntext.", "Method."]
    left = without_docstrings(source, tree)
    assert left == 'import os\n\n\nclass A:\n\n    def f(self):\n        return "kept"\n'


@pytest.mark.parametrize("name", installed.BUILTIN)
def test_builtin_text_is_there_capped_and_the_same_each_time(name: str) -> None:
    documents = list(installed.BUILTIN[name](60_000))
    size = sum(len(document.encode()) for document in documents)
    assert 60_000 <= size < 60_000 + installed.LARGEST_FILE
    assert documents == list(installed.BUILTIN[name](60_000))
    assert all(document.strip() for document in documents)


def test_font_metrics_hold_a_megabyte() -> None:
    assert sum(len(document) for document in installed.metrics(None)) > 1_000_000


def test_tokenizer_gives_every_text_back_and_is_deterministic(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    assert tokenizer.vocab == 300
    assert train_tokenizer(TEXTS, 300).digest == tokenizer.digest
    for text in ("Grüße, 世界 \x00\n\t  end", TEXTS[7], ""):
        stream = tokenizer.stream([text])
        assert stream[-1] == tokenizer.end_of_text
        assert tokenizer.decode(stream) == text
    tokenizer.save(tmp_path / "t.json")
    assert load_tokenizer(tmp_path / "t.json").digest == tokenizer.digest
    with pytest.raises(ValueError, match="at least 257, got 256"):
        train_tokenizer(TEXTS, 256)
    with pytest.raises(ValueError, match=r"enough for .* tokens, not 5000"):
        train_tokenizer(TEXTS, 5000)


def test_shards_hold_every_token_as_a_target_once(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    header = write_shard(tmp_path / "train", TEXTS, tokenizer, 16)
    shard = open_shard(tmp_path / "train", tokenizer)
    stream = tokenizer.stream(TEXTS)
    assert isinstance(shard.stream, np.memmap)
    assert header == shard.header
    assert (header.tokens, header.documents) == (len(stream), 200)
    assert (stream == tokenizer.end_of_text).sum() == 200
    rows = shard.rows(list(range(header.rows)))
    assert rows.shape == (header.rows, 17)
    assert (rows[:, 1:].ravel() == stream[1 : header.rows * 16 + 1]).all()
    assert (rows[:, :-1].ravel() == stream[: header.rows * 16]).all()


def test_shards_of_another_tokenizer_or_size_are_refused(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    write_shard(tmp_path / "train", TEXTS, tokenizer, 16)
    with pytest.raises(ValueError, match="packed with tokenizer"):
        open_shard(tmp_path / "train", train_tokenizer(TEXTS, 290))
    np.save(tmp_path / "train.npy", np.zeros(5, np.uint16))
    with pytest.raises(ValueError, match="got \\(5,\\)"):
        open_shard(tmp_path / "train", tokenizer)
    with pytest.raises(ValueError, match="too few for one row of 4096"):
        write_shard(tmp_path / "short", TEXTS[:2], tokenizer, 4096)

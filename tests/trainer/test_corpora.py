from __future__ import annotations

import ast
import gzip
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import installed
from trainer.corpora import Corpus, _unique, split_documents
from trainer.prepare import DataSpec, prepare
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
    again = split_documents(Corpus("c", "jsonl", str(two)), 0.2)
    assert (split.train, split.validation) == (again.train, again.validation)
    assert (split.duplicates, again.duplicates) == (0, 50)
    assert split.dropped == again.dropped == 0
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
    assert "unknown kind 'excel'" in Corpus("c", "excel", "x").faults()[0]
    assert "no built-in corpus 'poems'; there are prose" in Corpus("c", "builtin", "poems").faults()[0]
    assert "does not exist" in Corpus("c", "text", str(tmp_path / "none")).faults()[0]
    faults = Corpus("c", "jsonl", str(tmp_path), 0, "", "test", "main").faults()
    assert [fault.removeprefix("corpus c: ") for fault in faults] == [
        f"no file ending in .jsonl, .jsonl.gz, .jsonl.zst in {tmp_path}",
        "split means nothing for kind jsonl",
        "revision means nothing for kind jsonl",
        "max_bytes must be a whole number of at least 1, got 0",
        "text_key must be a string that is not empty, got ''",
    ]
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


def test_every_unreadable_record_is_named_at_once(tmp_path: Path) -> None:
    write_text(tmp_path / "a.jsonl", '{"text": "fine"}\nnot json\n{"text": 3}\n')
    write_text(tmp_path / "b.jsonl", "[1]\n" * 30)
    read = Corpus("c", "jsonl", str(tmp_path)).documents()
    assert next(read) == "fine"
    with pytest.raises(ValueError, match="corpus c: 32 unreadable:") as refused:
        next(read)
    lines = str(refused.value).splitlines()
    assert "a.jsonl, line 2: expected an object with 'text', got JSONDecodeError" in lines[1]
    assert lines[2].endswith("a.jsonl, line 3: 'text' must be a string, got int")
    assert lines[3].endswith("b.jsonl, line 1: expected an object with 'text', got list")
    assert (len(lines), lines[-1]) == (22, "and 12 more")


WORDS = [f"word{i}" for i in range(500)]


def edited(text: str, every: int) -> str:
    """The text with one in so many words replaced, spread evenly."""
    words = text.split()
    return " ".join("other" if i % every == every // 2 else word for i, word in enumerate(words))


@pytest.mark.parametrize("shuffle", range(3))
def test_copies_with_one_word_in_twenty_replaced_leave_training_only(tmp_path: Path, shuffle: int) -> None:
    draw = random.Random(7)
    originals = [" ".join(draw.choices(WORDS, k=draw.randint(20, 300))) for _ in range(150)]
    copies = [edited(text, 20) for text in originals[:60]]
    documents = originals + copies
    random.Random(shuffle).shuffle(documents)
    split = split_documents(Corpus("c", "jsonl", str(write_jsonl(tmp_path / "c.jsonl.gz", documents))), 0.3)
    held_out = set(split.validation)
    # A pair on one side stays as it is; of a pair on both sides, the one in training goes.
    expected = {
        text
        for pair in zip(originals, copies, strict=False)
        for text, partner in (pair, pair[::-1])
        if text not in held_out and partner in held_out
    }
    assert len(expected) > 10
    assert set(documents) - held_out - set(split.train) == expected
    assert (split.dropped, split.duplicates) == (len(expected), 0)
    ordered = split_documents(Corpus("c", "jsonl", str(write_jsonl(tmp_path / "o.jsonl.gz", originals + copies))), 0.3)
    assert split == ordered


@given(st.lists(st.sampled_from(TEXTS[:30]), min_size=1), st.integers(1, 1500), st.randoms(use_true_random=False))
def test_the_cap_and_the_count_of_copies_do_not_depend_on_the_order(
    texts: list[str], cap: int, draw: random.Random
) -> None:
    kept, copies = _unique(iter(texts), cap)
    whole, all_copies = _unique(iter(texts), None)
    assert all_copies == len(texts) - len(set(texts))
    ordered = sorted(whole)
    sizes = np.cumsum([len(whole[digest].encode()) for digest in ordered])
    expected = ordered[: int((sizes < cap).sum()) + 1]
    assert sorted(kept) == expected
    assert copies == sum(texts.count(text) - 1 for text in kept.values())
    draw.shuffle(texts)
    assert _unique(iter(texts), cap) == (kept, copies)


def test_a_split_whose_training_text_only_repeats_validation_is_refused(tmp_path: Path) -> None:
    words = " ".join(WORDS[:100])
    texts = [f"{words} {i}" for i in range(40)]
    corpus = Corpus("c", "jsonl", str(write_jsonl(tmp_path / "c.jsonl.gz", texts)))
    with pytest.raises(ValueError, match=r"c: 0 training and \d+ validation documents \(0 exact .* near-duplicates"):
        split_documents(corpus, 0.5)


def test_preparing_tells_what_was_dropped_and_keys_depend_on_how_documents_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(3)
    originals = [" ".join(draw.choices(WORDS, k=60)) for _ in range(60)]
    path = write_jsonl(tmp_path / "c.jsonl.gz", [*originals, *originals[:5], *(edited(text, 20) for text in originals)])
    corpus = Corpus("c", "jsonl", str(path))
    split = split_documents(corpus, 0.2)
    said: list[str] = []
    data = DataSpec({"c": corpus}, "c", 300, ("c",), 16, 0.2)
    prepare(data, tmp_path / "out", ["c"], said.append)
    assert split.dropped > 5
    assert (
        f"c: {len(split.train)} documents to train on, {len(split.validation)} held out; "
        f"dropped 5 exact duplicates and {split.dropped} near-duplicates of held-out text"
    ) in said
    monkeypatch.setattr("trainer.prepare.VIEWS", ())
    assert replace(data).key("c") != data.key("c")


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


def test_a_corpus_that_comes_split_keeps_its_split(tmp_path: Path) -> None:
    words = [f"word{i} and then some more of it, number {i}, in a sentence of its own" for i in range(12)]
    for name, texts in (("train", words[:9]), ("val", words[8:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts), "utf-8")
    corpus = Corpus("c", "jsonl", str(tmp_path / "train.jsonl"), validation=str(tmp_path / "val.jsonl"))
    assert corpus.faults() == []
    split = split_documents(corpus, 0.5)
    assert set(split.validation) == set(words[8:])
    assert words[8] not in split.train  # stood on both sides
    assert split.duplicates == 1
    before = corpus.state()
    (tmp_path / "val.jsonl").write_text(json.dumps({"text": "another"}), "utf-8")
    assert corpus.state() != before
    assert "does not exist" in "".join(replace(corpus, validation=str(tmp_path / "none.jsonl")).faults())
    assert Corpus("c", "builtin", "prose", validation="x").faults() == [
        "corpus c: validation means nothing for kind builtin"
    ]

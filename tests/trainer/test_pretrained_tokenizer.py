from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.processors import TemplateProcessing

from trainer.pretrained import Pretrained, load_pretrained_tokenizer
from trainer.shards import open_shard, write_shard
from trainer.tokenizer import END_OF_TEXT, train_tokenizer

TEXTS = [
    "the river ran along a quiet road",
    "",
    "people walked there \n with 3 dogs — and ünïcode",
    "a road and a river",
]
BEGIN = "<|begin|>"


def definition() -> Tokenizer:
    """A byte-level tokenizer of 281 tokens, the last of them a beginning of text."""
    tokenizer = train_tokenizer([text * 20 for text in TEXTS], 280).tokenizer
    tokenizer.add_special_tokens([AddedToken(BEGIN, special=True)])
    return tokenizer


def surround(tokenizer: Tokenizer, template: str) -> Tokenizer:
    """The tokenizer with tokens around every text, ``$A`` in the template."""
    special = [(name, tokenizer.token_to_id(name)) for name in (BEGIN, END_OF_TEXT)]
    tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=special)
    return tokenizer


def write(folder: Path, tokenizer: Tokenizer, vocab: int = 288, **settings: Any) -> Pretrained:
    """A checkpoint of which only the tokenizer is there; settings are those of tokenizer_config.json."""
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END_OF_TEXT, **settings}), "utf-8")
    return Pretrained(folder, "", "LlamaForCausalLM", "bfloat16", vocab, 32, 64, 1, 1, 1, 1, 0)


def expected_stream(tokenizer: Tokenizer, opening: list[int]) -> list[int]:
    """The rule said anew: opening, the text alone, end of text; one text after another."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    return [t for text in TEXTS for t in [*opening, *tokenizer.encode(text, add_special_tokens=False).ids, end]]


def test_documents_become_one_row_with_ends_between_and_come_back(tmp_path: Path) -> None:
    tokenizer = definition()
    loaded = load_pretrained_tokenizer(write(tmp_path, tokenizer))
    assert (loaded.vocab, loaded.end_of_text, loaded.opening) == (281, 0, ())
    stream = loaded.stream(TEXTS)
    assert stream.dtype == np.int64
    assert stream.tolist() == expected_stream(tokenizer, [])
    assert loaded.decode(stream) == "".join(TEXTS)
    assert loaded.stream([]).shape == (0,)


@pytest.mark.parametrize("template", [f"{BEGIN} $A", f"{BEGIN} $A {END_OF_TEXT}"])
def test_what_the_definition_puts_before_a_document_is_kept_and_the_end_comes_once(
    tmp_path: Path, template: str
) -> None:
    tokenizer = surround(definition(), template)
    loaded = load_pretrained_tokenizer(write(tmp_path, tokenizer, add_bos_token=True))
    assert loaded.opening == (280,)
    assert loaded.stream(TEXTS).tolist() == expected_stream(tokenizer, [280])


def test_documents_are_neither_cut_nor_filled_up(tmp_path: Path) -> None:
    tokenizer = definition()
    expected = expected_stream(tokenizer, [])
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    assert load_pretrained_tokenizer(write(tmp_path, tokenizer)).stream(TEXTS).tolist() == expected


def test_a_document_that_mentions_a_special_token_means_its_letters(tmp_path: Path) -> None:
    loaded = load_pretrained_tokenizer(write(tmp_path, definition()))
    text = f"the token {END_OF_TEXT} ends a text, {BEGIN} begins it"
    stream = loaded.stream([text])
    assert np.flatnonzero(stream == loaded.end_of_text).tolist() == [len(stream) - 1]
    assert 280 not in stream
    assert loaded.decode(stream) == text


def test_packing_works_with_it_and_knows_it_again(tmp_path: Path) -> None:
    loaded = load_pretrained_tokenizer(write(tmp_path, definition()))
    write_shard(tmp_path / "rows", TEXTS * 4, loaded, 8)
    rows = open_shard(tmp_path / "rows", loaded)
    stream = loaded.stream(TEXTS * 4)
    assert rows.header.tokenizer == loaded.digest
    assert np.array_equal(rows.rows([0, 2]), np.stack([stream[:9], stream[16:25]]))
    other = load_pretrained_tokenizer(write(tmp_path, surround(definition(), f"{BEGIN} $A")))
    with pytest.raises(ValueError, match="packed with tokenizer"):
        open_shard(tmp_path / "rows", other)


def test_the_digest_stands_for_definition_end_and_opening(tmp_path: Path) -> None:
    def digest(tokenizer: Tokenizer, **settings: Any) -> str:
        return load_pretrained_tokenizer(write(tmp_path, tokenizer, **settings)).digest

    plain = digest(definition())
    assert plain == digest(definition(), chat_template="{{ messages }}")
    digests = {plain, digest(definition(), eos_token=BEGIN), digest(surround(definition(), f"{BEGIN} $A"))}
    assert len(digests) == 3


def test_the_end_of_text_may_be_named_and_written_as_an_object(tmp_path: Path) -> None:
    checkpoint = write(tmp_path, definition(), eos_token={"content": BEGIN, "special": True})
    assert load_pretrained_tokenizer(checkpoint).end_of_text == 280
    assert load_pretrained_tokenizer(checkpoint, END_OF_TEXT).end_of_text == 0


def test_files_are_kept_as_they_are(tmp_path: Path) -> None:
    checkpoint = write(tmp_path, definition())
    (tmp_path / "merges.txt").write_bytes(b"#version: 0.2\n")
    (tmp_path / "README.md").write_bytes(b"about")
    loaded = load_pretrained_tokenizer(checkpoint)
    assert loaded.files == {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != "README.md"}


@pytest.mark.parametrize(
    ("template", "vocab", "settings", "fault"),
    [
        (None, 280, {}, "expected at most 280 tokens, the rows of the embedding, got 281"),
        (None, 288, {"eos_token": None}, "expected a token for the end of text, got None.*name one as end_of_text"),
        (None, 288, {"eos_token": "</s>"}, "expected a token for the end of text, got '</s>'"),
        (f"$A {BEGIN}", 288, {}, r"to end a document with '<\|endoftext\|>' \(0\) or nothing, got \[280\]"),
        (None, 288, {"add_bos_token": True}, r"add_bos_token is True, but tokenizer.json opens a document with \(\)"),
        (f"{BEGIN} $A", 288, {"add_bos_token": False}, r"add_bos_token is False, .* opens a document with \(280,\)"),
    ],
)
def test_tokenizers_that_do_not_fit_are_refused(
    tmp_path: Path, template: str | None, vocab: int, settings: dict[str, Any], fault: str
) -> None:
    tokenizer = definition() if template is None else surround(definition(), template)
    with pytest.raises(ValueError, match=fault):
        load_pretrained_tokenizer(write(tmp_path, tokenizer, vocab, **settings))

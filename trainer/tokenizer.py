"""Byte-level BPE: any text has a tokenization, and decoding gives it back unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from trainer.files import atomic_path

END_OF_TEXT = "<|endoftext|>"
SMALLEST_VOCAB = 257
"""256 bytes and the end of text."""
BATCH = 512
"""Documents encoded in one call."""


@dataclass(frozen=True)
class TextTokenizer:
    """A trained tokenizer.

    Args:
        tokenizer: the library's tokenizer.
        digest: SHA-256 of its definition; shards of another digest are refused.
    """

    tokenizer: Tokenizer
    digest: str

    @property
    def vocab(self) -> int:
        """Number of tokens, the end of text included."""
        return int(self.tokenizer.get_vocab_size())

    @property
    def end_of_text(self) -> int:
        """Token that stands after every document."""
        token = self.tokenizer.token_to_id(END_OF_TEXT)
        assert token is not None, "the tokenizer has no end of text"
        return token

    def stream(self, documents: list[str]) -> NDArray[np.int64]:
        """All documents as one row of tokens, each followed by the end of text."""
        parts = [
            np.asarray([*encoding.ids, self.end_of_text], np.int64)
            for start in range(0, len(documents), BATCH)
            for encoding in self.tokenizer.encode_batch(documents[start : start + BATCH])
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of a row of tokens, ends of text left out."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def save(self, path: Path) -> None:
        """Write the definition as JSON, atomically."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.tokenizer.to_str(), "utf-8")


def _wrap(tokenizer: Tokenizer) -> TextTokenizer:
    return TextTokenizer(tokenizer, hashlib.sha256(tokenizer.to_str().encode()).hexdigest())


def train_tokenizer(documents: Iterable[str], vocab: int) -> TextTokenizer:
    """Learn byte-pair merges from documents.

    Args:
        documents: training text.
        vocab: size of the vocabulary in tokens.

    Raises:
        ValueError: if the vocabulary is too small, or the text too little to fill it.
    """
    if vocab < SMALLEST_VOCAB:
        raise ValueError(f"tokenizer: vocab must be at least {SMALLEST_VOCAB}, got {vocab}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    reached = tokenizer.get_vocab_size()
    if reached != vocab:
        raise ValueError(f"tokenizer: the text is enough for {reached} tokens, not {vocab}; lower vocab")
    return _wrap(tokenizer)


def load_tokenizer(path: Path) -> TextTokenizer:
    """Read a tokenizer written by :meth:`TextTokenizer.save`."""
    return _wrap(Tokenizer.from_str(path.read_text("utf-8")))

"""Packed shards: documents as one memory-mapped stream of tokens, read in rows of fixed length."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.files import atomic_path, read_json, write_json
from trainer.tokenizer import TextTokenizer


@dataclass(frozen=True)
class Header:
    """What a shard holds.

    Args:
        length: positions in a row, in tokens.
        rows: rows in the shard.
        tokens: tokens in the stream, ends of text included.
        documents: documents in the stream.
        bytes: their size as UTF-8.
        dtype: number type of the stream.
        tokenizer: digest of the tokenizer.
        fingerprint: SHA-256 of the stream.
    """

    length: int
    rows: int
    tokens: int
    documents: int
    bytes: int
    dtype: str
    tokenizer: str
    fingerprint: str


@dataclass(frozen=True)
class Shard:
    """Rows of ``length + 1`` tokens: inputs, and the same shifted by one as targets.

    Neighbouring rows share one token, so every token but the first is a target exactly once.
    """

    header: Header
    stream: NDArray[np.unsignedinteger]

    def rows(self, indices: list[int]) -> NDArray[np.int64]:
        """The rows at ``indices``, of shape (len(indices), length + 1)."""
        starts = np.asarray(indices, np.int64)[:, None] * self.header.length
        return self.stream[starts + np.arange(self.header.length + 1)].astype(np.int64)


def write_shard(path: Path, documents: list[str], tokenizer: TextTokenizer, length: int) -> Header:
    """Tokenize and pack documents into ``path``.npy with its header in ``path``.json.

    Args:
        path: where to, without suffix.
        documents: the text, in order.
        tokenizer: the tokenizer.
        length: positions in a row, in tokens.

    Raises:
        ValueError: if the text does not fill one row.
    """
    stream = tokenizer.stream(documents).astype(np.uint16 if tokenizer.vocab <= 1 << 16 else np.uint32)
    rows = (len(stream) - 1) // length
    if rows < 1:
        raise ValueError(
            f"{path.name}: {len(documents)} documents give {len(stream)} tokens, "
            f"too few for one row of {length}; add text or shorten the rows"
        )
    size = sum(len(document.encode()) for document in documents)
    fingerprint = hashlib.sha256(stream.tobytes()).hexdigest()
    header = Header(length, rows, len(stream), len(documents), size, str(stream.dtype), tokenizer.digest, fingerprint)
    with atomic_path(path.with_name(path.name + ".npy")) as temporary, temporary.open("wb") as file:
        np.save(file, stream)
    write_json(path.with_name(path.name + ".json"), asdict(header))
    return header


def open_shard(path: Path, tokenizer: TextTokenizer) -> Shard:
    """Open a shard written by :func:`write_shard` without reading its tokens into memory.

    Raises:
        ValueError: if the stream is not what the header says, or another tokenizer made it.
    """
    header = Header(**read_json(path.with_name(path.name + ".json")))
    stream = np.load(path.with_name(path.name + ".npy"), mmap_mode="r")
    if header.tokenizer != tokenizer.digest:
        raise ValueError(
            f"{path}: packed with tokenizer {header.tokenizer[:12]}, not with {tokenizer.digest[:12]}; "
            "delete the folder to pack it again"
        )
    if stream.shape != (header.tokens,) or str(stream.dtype) != header.dtype:
        raise ValueError(
            f"{path}: expected {header.tokens} tokens of {header.dtype}, got {stream.shape} of {stream.dtype}"
            "; delete the folder to pack it again"
        )
    return Shard(header, stream)

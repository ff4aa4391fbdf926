"""Corpora: where text comes from, in an order and a split that depend on nothing but the text itself."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer import installed

KINDS: tuple[str, ...] = ("builtin", "text", "jsonl")
TEXT_SUFFIXES = (".txt", ".md", ".rst")
JSONL_SUFFIXES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class Corpus:
    """A named source of documents.

    Args:
        name: name in rows and reports.
        kind: ``builtin`` (text installed on this machine), ``text`` (a file or folder) or ``jsonl`` (a file
            or folder of objects with the key ``text``, also gzipped).
        source: name of the built-in corpus, or path.
        max_bytes: keep about this many bytes of text, chosen by hash; None keeps all.
    """

    name: str
    kind: str
    source: str
    max_bytes: int | None = None

    def faults(self) -> list[str]:
        """Everything that makes this corpus unusable."""
        found = []
        if self.kind not in KINDS:
            found.append(f"corpus {self.name}: unknown kind {self.kind!r}; there are {', '.join(KINDS)}")
        elif self.kind == "builtin":
            if self.source not in installed.BUILTIN:
                known = ", ".join(installed.BUILTIN)
                found.append(f"corpus {self.name}: no built-in corpus {self.source!r}; there are {known}")
        elif not Path(self.source).exists():
            found.append(f"corpus {self.name}: {self.source} does not exist")
        elif not self._files():
            suffixes = ", ".join(TEXT_SUFFIXES if self.kind == "text" else JSONL_SUFFIXES)
            found.append(f"corpus {self.name}: no file ending in {suffixes} in {self.source}")
        cap = self.max_bytes
        if cap is not None and (not isinstance(cap, int) or isinstance(cap, bool) or cap < 1):
            found.append(f"corpus {self.name}: max_bytes must be a whole number of at least 1, got {cap!r}")
        return found

    def state(self) -> str:
        """Identity of the text behind this corpus: it changes when the text may have changed."""
        if self.kind == "builtin":
            return installed.state()
        digest = hashlib.sha256()
        for file in self._files():
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        return digest.hexdigest()

    def documents(self) -> Iterator[str]:
        """The documents, as stored: neither sorted nor without duplicates.

        Raises:
            ValueError: for a file that is not UTF-8, or a line that is not JSON with a ``text``.
        """
        if self.kind == "builtin":
            yield from installed.BUILTIN[self.source](self.max_bytes)
            return
        for file in self._files():
            yield from _read_text(file) if self.kind == "text" else _read_jsonl(file)

    def _files(self) -> list[Path]:
        path = Path(self.source)
        if path.is_file():
            return [path]
        suffixes = TEXT_SUFFIXES if self.kind == "text" else JSONL_SUFFIXES
        return sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(suffixes))


def _read_text(file: Path) -> Iterator[str]:
    try:
        yield file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8 text, got {error}") from error


def _read_jsonl(file: Path) -> Iterator[str]:
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                text = json.loads(line)["text"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(f"{file}, line {number}: expected an object with 'text', got {error!r}") from error
            if not isinstance(text, str):
                raise ValueError(f"{file}, line {number}: 'text' must be a string, got {type(text).__name__}")
            yield text


@dataclass(frozen=True)
class Split:
    """Documents for training and for validation; no document is in both."""

    train: list[str]
    validation: list[str]


def split_documents(corpus: Corpus, validation_share: float) -> Split:
    """Read a corpus, drop exact duplicates, order by hash, cap its bytes, and split it by hash.

    Args:
        corpus: the corpus.
        validation_share: expected share of documents held out, in (0, 1).

    Raises:
        ValueError: if one side of the split is empty.
    """
    unique = {hashlib.sha256(text.encode()).digest(): text for text in corpus.documents() if text.strip()}
    train: list[str] = []
    validation: list[str] = []
    size = 0
    for digest in sorted(unique):
        if corpus.max_bytes is not None and size >= corpus.max_bytes:
            break
        text = unique[digest]
        size += len(text.encode())
        # The order uses the head of the digest and the split its tail, so one does not depend on the other.
        held_out = int.from_bytes(digest[-8:]) < validation_share * 2**64
        (validation if held_out else train).append(text)
    if not train or not validation:
        raise ValueError(
            f"corpus {corpus.name}: {len(train)} training and {len(validation)} validation documents; "
            f"at least one of each is needed: add documents or change validation_share ({validation_share})"
        )
    return Split(train, validation)

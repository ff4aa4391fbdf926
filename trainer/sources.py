"""Readers: one for each kind of source, and the only place that knows the kinds.

A reader names what makes a source unusable before anything is read, gives the text an identity, and reads it record
by record. A record that cannot be read is a :class:`Fault` in the stream, so that all of them can be named at once.
To add a kind, write a reader and enter it in ``READERS``.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from trainer import installed
from trainer.files import content_hash

NO_LIBRARY = "kind huggingface needs the library datasets; install bayescpt[trainer], or datasets itself"
COMMIT = re.compile("[0-9a-f]{40}")
BATCH = 1024
"""Rows of a Parquet file that are in memory at once."""


@dataclass(frozen=True)
class Origin:
    """Where text is read; see :class:`trainer.corpora.Corpus` for the fields."""

    source: str
    max_bytes: int | None
    text_key: str
    split: str
    revision: str | None


@dataclass(frozen=True)
class Fault:
    """A record that cannot be read: where it is, what was expected and what came."""

    message: str


class Reader(Protocol):
    """What a kind of source has to be able to do."""

    @property
    def options(self) -> tuple[str, ...]:
        """Fields of :class:`Origin` that this kind understands, beside ``source`` and ``max_bytes``."""

    @property
    def is_path(self) -> bool:
        """Whether ``source`` is always a path."""

    def faults(self, origin: Origin) -> list[str]:
        """What makes the source unusable, as far as that shows without reading or a network."""

    def state(self, origin: Origin) -> str:
        """Identity of the text: it changes when the text may have changed."""

    def records(self, origin: Origin) -> Iterator[str | Fault]:
        """The texts, as stored."""


@dataclass(frozen=True)
class Builtin:
    """Text installed on this machine; ``source`` is a name in :data:`trainer.installed.BUILTIN`."""

    options: tuple[str, ...] = ()
    is_path: bool = False

    def faults(self, origin: Origin) -> list[str]:
        """Whether the name is known."""
        if origin.source in installed.BUILTIN:
            return []
        return [f"no built-in corpus {origin.source!r}; there are {', '.join(installed.BUILTIN)}"]

    def state(self, origin: Origin) -> str:
        """Versions of all that is read."""
        return installed.state()

    def records(self, origin: Origin) -> Iterator[str | Fault]:
        """Documents in an order of their own, up to ``max_bytes``."""
        yield from installed.BUILTIN[origin.source](origin.max_bytes)


@dataclass(frozen=True)
class Files:
    """A file, or all files below a folder whose names end in one of the suffixes.

    Args:
        suffixes: ends of names that are read in a folder; a file named itself may end in anything.
        read: yields the texts of one file.
        options: fields of :class:`Origin` that ``read`` uses.
        is_path: always true.
    """

    suffixes: tuple[str, ...]
    read: Callable[[Path, Origin], Iterator[str | Fault]]
    options: tuple[str, ...] = ()
    is_path: bool = True

    def faults(self, origin: Origin) -> list[str]:
        """Whether there are files."""
        if not Path(origin.source).exists():
            return [f"{origin.source} does not exist"]
        if not self._files(origin):
            return [f"no file ending in {', '.join(self.suffixes)} in {origin.source}"]
        return []

    def state(self, origin: Origin) -> str:
        """Hash of the contents of all files."""
        return content_hash([_digest(self._files(origin)), [getattr(origin, name) for name in self.options]])

    def records(self, origin: Origin) -> Iterator[str | Fault]:
        """The texts of one file after the other."""
        for file in self._files(origin):
            yield from self.read(file, origin)

    def _files(self, origin: Origin) -> list[Path]:
        path = Path(origin.source)
        if path.is_file():
            return [path]
        return sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(self.suffixes))


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _checked(where: str, text: object, key: str) -> str | Fault:
    if not isinstance(text, str):
        return Fault(f"{where}: {key!r} must be a string, got {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # JSON can spell half of a surrogate pair, which no tokenizer takes.
        return Fault(f"{where}: {key!r} must be valid Unicode, got {error}")
    return text


def _in_object(where: str, row: object, key: str) -> str | Fault:
    if not isinstance(row, dict) or key not in row:
        came = f"keys {', '.join(map(repr, row)) or 'none'}" if isinstance(row, dict) else type(row).__name__
        return Fault(f"{where}: expected an object with {key!r}, got {came}")
    return _checked(where, row[key], key)


def _text(file: Path, origin: Origin) -> Iterator[str | Fault]:
    try:
        yield file.read_text("utf-8")
    except (UnicodeDecodeError, OSError) as error:
        yield Fault(f"{file}: expected UTF-8 text, got {error}")


def _open(file: Path) -> io.BufferedIOBase:
    if file.suffix == ".gz":
        return gzip.open(file)
    if file.suffix == ".zst":
        # Arrow, not the library zstandard: that ends without a word where a file was cut off.
        return io.BufferedReader(pa.input_stream(str(file), compression="zstd"))
    return file.open("rb")


def _jsonl(file: Path, origin: Origin) -> Iterator[str | Fault]:
    number = 0
    try:
        with _open(file) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                where = f"{file}, line {number}"
                try:
                    row = json.loads(line.decode("utf-8"))
                except ValueError as error:
                    yield Fault(f"{where}: expected an object with {origin.text_key!r}, got {error!r}")
                else:
                    yield _in_object(where, row, origin.text_key)
    except (EOFError, OSError, zlib.error) as error:
        yield Fault(f"{file}, after line {number}: cannot read on: {error}; the file may be cut off or damaged")


def _parquet(file: Path, origin: Origin) -> Iterator[str | Fault]:
    key, number = origin.text_key, 0
    try:
        with pq.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            if schema.names.count(key) != 1:
                yield Fault(f"{file}: expected one column {key!r}, there are {', '.join(schema.names) or 'none'}")
                return
            for batch in opened.iter_batches(BATCH, columns=[key]):
                for text in batch.column(0).to_pylist():
                    number += 1
                    yield _checked(f"{file}, row {number}", text, key)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield Fault(f"{file}, after row {number}: cannot read on: {error}")


@contextmanager
def _hub(origin: Origin) -> Iterator[None]:
    if importlib.util.find_spec("datasets") is None:
        raise ValueError(f"Hugging Face data set {origin.source}: {NO_LIBRARY}")
    try:
        yield
    except Exception as error:
        # Of all that can go wrong in here (names, network, formats), the libraries have no common error.
        raise ValueError(
            f"Hugging Face data set {origin.source}, split {origin.split}, revision {origin.revision or 'newest'}: "
            f"expected rows, got {type(error).__name__}: {error}; check these names and the network, "
            "or read a local copy as jsonl or parquet"
        ) from error


@dataclass(frozen=True)
class HuggingFace:
    """A data set of the Hugging Face Hub, streamed; ``source`` is ``name`` or ``name:config``, or a local folder.

    ``max_bytes`` takes the first rows as stored, not a choice by hash: a data set may be larger than any disk here.
    Without ``revision``, the newest commit is looked up, which needs a network; a full commit hash needs none.
    """

    options: tuple[str, ...] = ("text_key", "split", "revision")
    is_path: bool = False

    def faults(self, origin: Origin) -> list[str]:
        """Whether the library is there and the name is one."""
        found = []
        if importlib.util.find_spec("datasets") is None:
            found.append(NO_LIBRARY)
        name, colon, config = origin.source.partition(":")
        if not name or (colon and not config):
            found.append(f"expected name or name:config of a Hugging Face data set, got {origin.source!r}")
        if origin.revision is not None and Path(name).is_dir():
            found.append(f"revision {origin.revision!r} means nothing for the local folder {name}")
        return found

    def state(self, origin: Origin) -> str:
        """Name, configuration and commit; for a local folder the contents of its files instead of a commit."""
        name = origin.source.partition(":")[0]
        if Path(name).is_dir():
            version: str | None = _digest(sorted(file for file in Path(name).rglob("*") if file.is_file()))
        else:
            version = self._commit(origin)
        return content_hash([origin.source.removeprefix(name), origin.split, origin.text_key, name, version])

    def records(self, origin: Origin) -> Iterator[str | Fault]:
        """The texts in stored order, up to ``max_bytes``."""
        key, size = origin.text_key, 0
        commit = self._commit(origin)
        with _hub(origin):
            import datasets

            name, _, config = origin.source.partition(":")
            stream = datasets.load_dataset(name, config or None, split=origin.split, revision=commit, streaming=True)
            if stream.column_names is not None:
                if key not in stream.column_names:
                    yield Fault(f"{origin.source}: no column {key!r}; there are {', '.join(stream.column_names)}")
                    return
                stream = stream.select_columns([key])
            for number, row in enumerate(stream, 1):
                if origin.max_bytes is not None and size >= origin.max_bytes:
                    return
                record = _in_object(f"{origin.source}, split {origin.split}, row {number}", row, key)
                size += len(record.encode()) if isinstance(record, str) else 0
                yield record

    def _commit(self, origin: Origin) -> str | None:
        """The commit that is read; None for a local folder, which has none."""
        name = origin.source.partition(":")[0]
        if Path(name).is_dir():
            return None
        if origin.revision and COMMIT.fullmatch(origin.revision):
            return origin.revision
        with _hub(origin):
            import huggingface_hub

            commit: Any = huggingface_hub.dataset_info(name, revision=origin.revision, timeout=30).sha
            return str(commit)


READERS: dict[str, Reader] = {
    "builtin": Builtin(),
    "text": Files((".txt", ".md", ".rst"), _text),
    "jsonl": Files((".jsonl", ".jsonl.gz", ".jsonl.zst"), _jsonl, ("text_key",)),
    "parquet": Files((".parquet",), _parquet, ("text_key",)),
    "huggingface": HuggingFace(),
}
"""Every kind of source by name."""

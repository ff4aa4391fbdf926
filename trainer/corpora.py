"""Corpora: where text comes from, in an order and a split that depend on nothing but the text itself."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

from trainer.duplicates import near_duplicates
from trainer.sources import READERS, Origin

KINDS: tuple[str, ...] = tuple(READERS)
OPTIONS: dict[str, str | None] = {"text_key": "text", "split": "train", "revision": None}
"""Fields of a corpus that only some kinds understand, with their defaults."""

FAULTS_SHOWN = 20
"""Records that an error names; of the others it gives the number."""


@dataclass(frozen=True)
class Corpus:
    """A named source of documents.

    Args:
        name: name in rows and reports.
        kind: ``builtin`` (text installed on this machine), ``text`` (a file or folder), ``jsonl`` (a file or folder
            of objects, also with gzip or zstd), ``parquet`` (a file or folder) or ``huggingface``.
        source: name of the built-in corpus, path, or ``name`` or ``name:config`` of a Hugging Face data set.
        max_bytes: keep about this many bytes of text, chosen by hash; None keeps all. Of ``builtin`` and
            ``huggingface`` no more than that is read, in their own order.
        text_key: key or column of the text, in ``jsonl``, ``parquet`` and ``huggingface``.
        split: split of a Hugging Face data set that is read.
        revision: branch, tag or commit of a Hugging Face data set; None takes the newest commit.
        validation: path of the documents to hold out, where the corpus comes split; None splits it by hash. A split by
            novel, statute or site keeps its parts on one side, which a hash cannot.
    """

    name: str
    kind: str
    source: str
    max_bytes: int | None = None
    text_key: str = "text"
    split: str = "train"
    revision: str | None = None
    validation: str | None = None

    @property
    def _held_out(self) -> Corpus | None:
        """The documents to hold out as a corpus of their own."""
        return (
            None if self.validation is None else replace(self, source=self.validation, max_bytes=None, validation=None)
        )

    @property
    def _origin(self) -> Origin:
        return Origin(self.source, self.max_bytes, self.text_key, self.split, self.revision)

    def faults(self) -> list[str]:
        """Everything that makes this corpus unusable, as far as that shows without reading it."""
        found = []
        if self.kind not in READERS:
            found.append(f"unknown kind {self.kind!r}; there are {', '.join(KINDS)}")
        else:
            found += READERS[self.kind].faults(self._origin)
            found += [
                f"{name} means nothing for kind {self.kind}"
                for name, default in OPTIONS.items()
                if getattr(self, name) != default and name not in READERS[self.kind].options
            ]
        if self.validation is not None:
            if self.kind in READERS and not READERS[self.kind].is_path:
                found.append(f"validation means nothing for kind {self.kind}")
            elif self._held_out is not None:
                found += [fault.removeprefix(f"corpus {self.name}: ") for fault in self._held_out.faults()]
        cap = self.max_bytes
        if cap is not None and (not isinstance(cap, int) or isinstance(cap, bool) or cap < 1):
            found.append(f"max_bytes must be a whole number of at least 1, got {cap!r}")
        for name, default in OPTIONS.items():
            value = getattr(self, name)
            if value != default and not (isinstance(value, str) and value):
                found.append(f"{name} must be a string that is not empty, got {value!r}")
        return [f"corpus {self.name}: {fault}" for fault in found]

    def state(self) -> str:
        """Identity of the text behind this corpus: it changes when the text may have changed.

        Raises:
            ValueError: if a Hugging Face data set has to be looked up and cannot be.
        """
        own = READERS[self.kind].state(self._origin)
        return own if self._held_out is None else f"{own}+{self._held_out.state()}"

    def documents(self) -> Iterator[str]:
        """The documents, as stored: neither sorted nor without duplicates.

        Raises:
            ValueError: at the end, naming all records that are not text; or where the source cannot be read at all.
        """
        shown: list[str] = []
        count = 0
        for record in READERS[self.kind].records(self._origin):
            if isinstance(record, str):
                yield record
                continue
            count += 1
            if count <= FAULTS_SHOWN:
                shown.append(record.message)
        if count:
            more = [f"and {count - FAULTS_SHOWN} more"] if count > FAULTS_SHOWN else []
            raise ValueError("\n".join([f"corpus {self.name}: {count} unreadable:", *shown, *more]))


@dataclass(frozen=True)
class Split:
    """Documents for training and for validation; none is in both, or nearly.

    Args:
        train: documents for training.
        validation: documents held out.
        duplicates: exact copies dropped, of the documents under the cap.
        dropped: training documents dropped as near-duplicates of a held-out one.
    """

    train: list[str]
    validation: list[str]
    duplicates: int = 0
    dropped: int = 0


def split_documents(corpus: Corpus, validation_share: float) -> Split:
    """Read a corpus, drop exact duplicates, order by hash, cap its bytes, split it by hash, and keep the sides apart.

    A training document that is a near-duplicate of a held-out one is dropped, after the cap: so a held-out document
    never depends on how alike documents are. Near-duplicates on one side stay, since they leak nothing; a repeated
    text is then as frequent in training, or in validation, as it is in the corpus.

    Args:
        corpus: the corpus.
        validation_share: expected share of documents held out, in (0, 1); of no account where the corpus comes split.

    Raises:
        ValueError: if a record cannot be read, or one side of the split is empty.
    """
    texts, duplicates = _unique(corpus.documents(), corpus.max_bytes)
    sides: tuple[list[str], list[str]] = ([], [])
    if corpus.validation is None:
        for digest in sorted(texts):
            # The order uses the head of the digest and the split its tail, so one does not depend on the other.
            sides[int.from_bytes(digest[-8:]) < validation_share * 2**64].append(texts[digest])
    else:
        assert corpus._held_out is not None
        held_out, twice = _unique(corpus._held_out.documents(), None)
        duplicates += twice + len(texts.keys() & held_out.keys())
        sides = ([texts[d] for d in sorted(texts.keys() - held_out.keys())], [held_out[d] for d in sorted(held_out)])
    leaks = near_duplicates(*sides)
    train = [text for i, text in enumerate(sides[0]) if i not in leaks]
    if not train or not sides[1]:
        raise ValueError(
            f"corpus {corpus.name}: {len(train)} training and {len(sides[1])} validation documents "
            f"({duplicates} exact duplicates and {len(leaks)} near-duplicates of validation text dropped); "
            f"at least one of each is needed: add documents or change validation_share ({validation_share})"
        )
    return Split(train, sides[1], duplicates, len(leaks))


def _unique(documents: Iterator[str], max_bytes: int | None) -> tuple[dict[bytes, str], int]:
    """Different texts by digest, up to a cap those of the smallest digests, and how many copies of these came.

    No more than the cap is held in memory. What is left out never comes back: more documents only lower the digest
    at which the cap is reached. So the result does not depend on the order, and neither does the number of copies.
    """
    texts: dict[bytes, str] = {}
    copies: dict[bytes, int] = {}
    largest: list[tuple[int, int, bytes]] = []
    size = 0
    for text in documents:
        if not text.strip():
            continue
        encoded = text.encode()
        digest = hashlib.sha256(encoded).digest()
        if digest in texts:
            copies[digest] += 1
            continue
        texts[digest], copies[digest] = text, 0
        if max_bytes is None:
            continue
        size += len(encoded)
        # A heap gives its smallest entry, hence the sign.
        heapq.heappush(largest, (-int.from_bytes(digest), len(encoded), digest))
        while size - largest[0][1] >= max_bytes:
            _, length, last = heapq.heappop(largest)
            size -= length
            del texts[last], copies[last]
    return texts, sum(copies.values())

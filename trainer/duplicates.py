"""Near-duplicates across a split: training documents that nearly repeat a held-out one.

They make a validation loss look better than it is, and more so for larger models, which remember more: a law fitted
to such losses then bends where nothing but the leak does.

    J(A, B) = |A ∩ B| / |A ∪ B|,  A and B the sets of shingles of two documents    (similarity, in [0, 1])
    P(candidate) = 1 - (1 - J^rows)^bands                                          (chance over hash functions)

MinHash with banding (Broder 1997; Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, section 3.4)
proposes candidates and the exact J decides, so nothing is dropped by chance; what is overlooked by chance is bounded
by ``MISSED``. The hash functions are fixed: the answer depends on the documents only.

``datasketch`` does the hashing. On one core it took 4.3 MB/s of English, and a NumPy MinHash written for this 8.7:
not worth owning one.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from datasketch import MinHash, MinHashLSH

MISSED = 1e-4
"""Largest chance that a pair exactly at the threshold is overlooked; it falls fast above the threshold."""

HASHES = 192
"""Most hash functions for a document. More of them in a band mean fewer candidates to compare."""

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Kana and Han, written without spaces: each sign counts as a word."""

WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")

CHUNK = 2048
"""Shingles hashed at once: a long document would otherwise need a gigabyte, and this many fit in the cache."""


@dataclass(frozen=True)
class View:
    """A way to see documents of some length as sets of shingles, and when two of them are nearly the same.

    Args:
        unit: what shingles are made of, ``words`` or ``characters``.
        size: units in a shingle.
        least: fewest words of a document that is seen this way.
        below: a document of this many words or more is not; None for no limit.
        threshold: similarity J from which two documents are near-duplicates, in [0.1, 0.95].

    Raises:
        ValueError: for another unit or threshold, or a size below 1.
    """

    unit: str
    size: int
    least: int
    below: int | None
    threshold: float

    def __post_init__(self) -> None:
        faults = []
        if self.unit not in ("words", "characters"):
            faults.append(f"unit must be words or characters, got {self.unit!r}")
        if self.size < 1:
            faults.append(f"size must be at least 1, got {self.size}")
        if not 0.1 <= self.threshold <= 0.95:
            # Lower needs more hash functions than HASHES; higher is equality, which hashes of whole texts find.
            faults.append(f"threshold must be between 0.1 and 0.95, got {self.threshold}")
        if faults:
            raise ValueError("view of documents: " + "; ".join(faults))

    @cached_property
    def bands(self) -> tuple[int, int]:
        """Bands and rows: as many rows as possible with no more than ``MISSED`` overlooked at the threshold."""
        best = (0, 0)
        for rows in range(1, HASHES + 1):
            bands = math.ceil(math.log(MISSED) / math.log1p(-(self.threshold**rows)))
            if bands * rows > HASHES:
                break
            best = (bands, rows)
        return best

    def shingles(self, text: str) -> set[str]:
        """The shingles of a document, empty if it is not seen this way; case, marks and spacing do not count."""
        plain = unicodedata.normalize("NFKC", text).casefold()
        words = WORD.findall(plain)
        if len(words) < self.least or (self.below is not None and len(words) >= self.below):
            return set()
        if self.unit == "words":
            return {" ".join(words[i : i + self.size]) for i in range(max(1, len(words) - self.size + 1))}
        plain = " ".join(plain.split())
        return {plain[i : i + self.size] for i in range(max(1, len(plain) - self.size + 1))}


VIEWS: tuple[View, ...] = (
    View("words", size=3, least=15, below=None, threshold=0.7),
    View("characters", size=5, least=0, below=30, threshold=0.8),
)
"""Long documents by words, short ones by characters, which leave more shingles of a short text whole.

A word replaced breaks at most three shingles, so k of n words leave J >= (n - 2 - 3k) / (n - 2 + 3k): a copy with up
to one word in twenty replaced, wherever these stand, is found. Five words and J >= 0.8, which are common, let each
copy with more than one word in 45 pass (5 % leave J near 0.6). Five words and J >= 0.5 would catch it, but drop two
to three times as many documents that merely follow the same template. Pairs of words tell templates apart best, but
long texts of few different words (tables, scores) share nearly all of them by chance.

Documents of 15 to 29 words are seen both ways, so that a pair on either side of a single limit is compared.
"""


def similarity(one: set[str], other: set[str]) -> float:
    """J of two sets of shingles; 0 if one is empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def near_duplicates(documents: Sequence[str], held_out: Sequence[str], views: Sequence[View] = VIEWS) -> set[int]:
    """Positions of documents that are near-duplicates of a held-out one in at least one view.

    What is not found: a held-out document quoted inside a much longer one (J compares whole documents), and pairs
    that no band proposed (see ``MISSED``).

    Args:
        documents: the documents that may be dropped.
        held_out: the documents that stay.
        views: how documents are compared.
    """
    found: set[int] = set()
    for view in views:
        found |= set(_found(documents, held_out, view))
    return found


def _found(documents: Sequence[str], held_out: Sequence[str], view: View) -> Iterator[int]:
    bands, rows = view.bands
    empty = MinHash(bands * rows, hashfunc=_hash)
    index = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
    kept: dict[int, set[str]] = {}
    for i, text in enumerate(held_out):
        if shingles := view.shingles(text):
            kept[i] = shingles
            index.insert(i, _sketch(empty, shingles))
    for i, text in enumerate(documents if kept else ()):
        if shingles := view.shingles(text):
            candidates = index.query(_sketch(empty, shingles))
            if any(similarity(shingles, kept[j]) >= view.threshold for j in candidates):
                yield i


def _hash(shingle: str) -> int:
    # datasketch mixes the bits of what it gets, so a checksum is random enough; SHA-1, its default, is slower.
    return zlib.crc32(shingle.encode("utf-8"))


def _sketch(empty: MinHash, shingles: set[str]) -> MinHash:
    sketch = empty.copy()
    rest = iter(shingles)
    while chunk := list(islice(rest, CHUNK)):
        sketch.update_batch(chunk)
    return sketch

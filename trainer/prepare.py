"""From corpora to packed rows: one tokenizer, and a folder of shards per corpus, made once and reused."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from trainer.bases import describe
from trainer.corpora import Corpus, Split, split_documents
from trainer.duplicates import VIEWS
from trainer.files import content_hash
from trainer.process import die_with
from trainer.shards import Shard, open_shard, write_shard
from trainer.tokenizer import TextTokenizer, load_tokenizer, train_tokenizer

TRAIN = "train"
VALIDATION = "validation"


def validation_fault(name: str, held: int, wanted: int) -> str | None:
    """What is wrong where a corpus holds fewer validation rows than a run is measured on."""
    if held >= wanted:
        return None
    return (
        f"corpus {name}: {held} validation rows, {wanted} wanted; "
        "add text, raise validation_share or lower validation_rows"
    )


@dataclass(frozen=True)
class DataSpec:
    """Everything that decides what the packed rows hold.

    Args:
        corpora: all corpora, by name.
        general: name of the general corpus.
        vocab: vocabulary of the tokenizer in tokens.
        tokenizer_corpora: names of the corpora the tokenizer is trained on.
        length: positions in a row, in tokens.
        validation_share: expected share of documents held out.
        checkpoint: folder of a checkpoint whose tokenizer is taken; None trains one.
        end_of_text: token after every document, where the checkpoint's own choice is not wanted.
    """

    corpora: dict[str, Corpus]
    general: str
    vocab: int
    tokenizer_corpora: tuple[str, ...]
    length: int
    validation_share: float
    checkpoint: str | None = None
    end_of_text: str | None = None

    @cached_property
    def pretrained(self) -> TextTokenizer | None:
        """The tokenizer of the checkpoint, where there is one."""
        if self.checkpoint is None:
            return None
        from trainer.pretrained import load_pretrained_tokenizer

        return load_pretrained_tokenizer(describe(self.checkpoint), self.end_of_text)

    def digest_of(self, checkpoint: str) -> str:
        """Digest of another checkpoint's tokenizer, with this study's end of text."""
        from trainer.pretrained import load_pretrained_tokenizer

        return load_pretrained_tokenizer(describe(checkpoint), self.end_of_text).digest

    @cached_property
    def _states(self) -> dict[str, str]:
        return {}

    def _state(self, name: str) -> str:
        # a corpus that no run needs may lie where the network does not reach
        if name not in self._states:
            self._states[name] = self.corpora[name].state()
        return self._states[name]

    def _identity(self, name: str) -> list[object]:
        corpus = self.corpora[name]
        source = corpus.source if corpus.kind == "builtin" else ""
        # How documents are compared decides which of them are dropped from training.
        return [corpus.kind, source, corpus.max_bytes, self._state(name), self.validation_share, repr(VIEWS)]

    @cached_property
    def tokenizer_key(self) -> str:
        """Hash of all that decides the tokenizer."""
        if self.pretrained is not None:
            return self.pretrained.digest[:10]
        return content_hash([self.vocab, [self._identity(name) for name in self.tokenizer_corpora]])[:10]

    def key(self, name: str) -> str:
        """Hash of all that decides the packed rows of a corpus: its text, split, tokenizer and row length."""
        return content_hash([self.tokenizer_key, self._identity(name), self.length])[:10]

    def tokenizer_path(self, out: Path) -> Path:
        """Where the tokenizer is kept."""
        return out / "data" / f"tokenizer-{self.vocab}-{self.tokenizer_key}.json"

    def shard_path(self, out: Path, name: str, part: str) -> Path:
        """Where the packed rows of a corpus are kept, without suffix."""
        return out / "data" / f"{name}-{self.key(name)}" / part


def prepare(data: DataSpec, out: Path, names: list[str], say: Callable[[str], None]) -> None:
    """Train the tokenizer and pack the named corpora, where that has not been done before.

    Args:
        data: the settings.
        out: the folder of the study.
        names: corpora to pack.
        say: takes one line on what is being done.
    """
    missing = [name for name in names if not data.shard_path(out, name, VALIDATION).with_suffix(".json").exists()]
    tokenizer_path = data.tokenizer_path(out)
    given = data.pretrained is not None or tokenizer_path.exists()
    needed = set(missing) | (set() if given else set(data.tokenizer_corpora))
    if not needed:
        return
    say(f"reading {', '.join(sorted(needed))}")
    corpora = [corpus for name, corpus in data.corpora.items() if name in needed]
    splits: dict[str, Split] = {}
    with ProcessPoolExecutor(
        min(2, len(corpora)), multiprocessing.get_context("spawn"), die_with, (os.getpid(),)
    ) as pool:
        futures = {c.name: pool.submit(split_documents, c, data.validation_share) for c in corpora}
        for name, future in futures.items():
            splits[name] = split = future.result()
            say(
                f"{name}: {len(split.train):,} documents to train on, {len(split.validation):,} held out; dropped "
                f"{split.duplicates:,} exact duplicates and {split.dropped:,} near-duplicates of held-out text"
            )
    if not given:
        say(f"training a tokenizer of {data.vocab} tokens")
        texts = [text for name in data.tokenizer_corpora for text in splits[name].train]
        train_tokenizer(texts, data.vocab).save(tokenizer_path)
    tokenizer = open_tokenizer(data, out)
    for name in missing:
        say(f"packing {name}")
        # Validation last: its header says that the folder is complete.
        write_shard(data.shard_path(out, name, TRAIN), splits[name].train, tokenizer, data.length)
        write_shard(data.shard_path(out, name, VALIDATION), splits[name].validation, tokenizer, data.length)


def open_tokenizer(data: DataSpec, out: Path) -> TextTokenizer:
    """The tokenizer that :func:`prepare` made, or that of the checkpoint."""
    return load_tokenizer(data.tokenizer_path(out)) if data.pretrained is None else data.pretrained


def open_rows(data: DataSpec, out: Path, name: str, part: str, tokenizer: TextTokenizer) -> Shard:
    """The packed rows of a corpus that :func:`prepare` made; ``part`` is ``TRAIN`` or ``VALIDATION``."""
    return open_shard(data.shard_path(out, name, part), tokenizer)

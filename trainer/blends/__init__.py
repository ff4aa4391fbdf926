"""A chosen mixture as a ready blend for the trainer that will use it: one format a file, one entry each here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.blends.base import Format
from trainer.blends.blend import Blend, BlendPhase, Source
from trainer.blends.epochs import check_epochs, epochs_table
from trainer.blends.huggingface import HUGGINGFACE
from trainer.blends.llm_foundry import LLM_FOUNDRY
from trainer.blends.megatron import MEGATRON
from trainer.blends.read import read_blend
from trainer.blends.torchtitan import TORCHTITAN
from trainer.files import atomic_path

FORMATS: tuple[Format, ...] = (MEGATRON, LLM_FOUNDRY, TORCHTITAN, HUGGINGFACE)
"""Every format; a new one is one file and one entry."""

__all__ = ["FORMATS", "Blend", "BlendPhase", "Export", "Source", "export", "read_blend", "write"]


@dataclass(frozen=True)
class Export:
    """A blend in one format.

    Args:
        files: text by file name.
        table: share, tokens needed and available, and epochs of every source.
        notes: what the format does not hold, or holds only on average.
    """

    files: dict[str, str]
    table: str
    notes: tuple[str, ...]


def export(blend: Blend, name: str, seed: int = 0, max_epochs: float | None = None) -> Export:
    """Write a blend down for a trainer.

    Args:
        blend: the blend.
        name: name of a format in ``FORMATS``.
        seed: seed of the draws or the shuffle, where the format takes one.
        max_epochs: passes allowed over any source; None allows any number, and the table tells.

    Raises:
        ValueError: for an unknown format, phases that it cannot express, or a source repeated too often.
    """
    by_name = {form.name: form for form in FORMATS}
    if name not in by_name:
        raise ValueError(f"format: expected one of {', '.join(by_name)}, got {name!r}")
    form = by_name[name]
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed: expected a whole number of at least 0, got {seed!r}")
    if blend.phases and not form.phases:
        able = ", ".join(other.name for other in FORMATS if other.phases)
        raise ValueError(
            f"{name}: expected one set of shares, got {len(blend.stages)} phases; {form.title} cannot change shares "
            f"along a run, {able} can; or export every phase as a blend of its own and restart between them"
        )
    check_epochs(blend, max_epochs)
    return Export(form.files(blend, seed), epochs_table(blend), tuple(form.notes(blend)))


def write(files: dict[str, str], folder: Path) -> list[Path]:
    """Write the files of an export into a folder, each atomically; returns their paths."""
    paths = [folder / name for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
    return paths

"""What every export format shares: its contract, and the comment at the head of its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainer.blends.blend import Blend, Stage
from trainer.blends.epochs import epochs_table


@dataclass(frozen=True)
class Format:
    """A trainer's way to be told a mixture.

    Args:
        name: how it is asked for.
        title: the trainers that read it.
        phases: whether it can change shares along the run.
        notes: what the user has to know: what is exact, what is not, what is left to them.
        files: (blend, seed) to text by file name.
    """

    name: str
    title: str
    phases: bool
    notes: Callable[[Blend], list[str]]
    files: Callable[[Blend, int], dict[str, str]]


def heading(blend: Blend, form: str, notes: list[str], stage: Stage | None = None) -> str:
    """Comment lines, each starting with ``# ``: what the file is, the epochs, and the notes.

    Args:
        blend: the blend.
        form: the trainers that read the file.
        notes: what the user has to know.
        stage: the stretch of the run that the file holds for, where that is not all of it.
    """
    lines = [f"Blend for {form}, {blend.tokens:,} tokens. Weights are whole: a share is weight / sum of weights."]
    if stage is not None and stage.tokens != blend.tokens:
        lines.append(f"This file: from token {stage.start:,} up to token {stage.start + stage.tokens:,}.")
    lines += ["", *epochs_table(blend).splitlines(), "", *notes]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def stage_suffix(blend: Blend, number: int) -> str:
    """Part of a file name that tells the stages of a run apart; nothing where there is one."""
    return f"-phase-{number + 1}" if len(blend.stages) > 1 else ""

"""Hugging Face ``interleave_datasets``: a script that builds the mixture as a stream of examples.

Read for this: datasets 5.2.0 ``combine.py`` and ``iterable_dataset.py``.
"""

from __future__ import annotations

from trainer.blends.base import Format, heading
from trainer.blends.blend import Blend
from trainer.blends.scatter import scatter_notes

TITLE = "Hugging Face datasets"


def _notes(blend: Blend) -> list[str]:
    return [
        *scatter_notes(blend, "example"),
        "Examples are drawn, not tokens: pack the sources into equally long rows first, or a source of long documents",
        "gets more than its share.",
        "all_exhausted goes on until every source has been gone through, and starts those anew that end earlier:",
        "the length of the stream follows from the slowest source, not from the tokens of the run: stop there.",
        "With several workers or processes each stops on its own. Shares cannot change along the stream.",
    ]


def _files(blend: Blend, seed: int) -> dict[str, str]:
    weights = blend.stages[0].weights
    entries = "".join(f"    {n!r}: ({w}, {blend.locations[n]!r}),\n" for n, w in weights.items())
    body = f"""
from datasets import interleave_datasets, load_dataset

SOURCES = {{
{entries}}}
total = sum(weight for weight, _ in SOURCES.values())
mixture = interleave_datasets(
    [load_dataset(location, split="train", streaming=True) for _, location in SOURCES.values()],
    probabilities=[weight / total for weight, _ in SOURCES.values()],
    seed={seed},
    stopping_strategy="all_exhausted",
)
"""
    return {"huggingface_blend.py": heading(blend, TITLE, _notes(blend)) + body}


HUGGINGFACE = Format("huggingface", TITLE, False, _notes, _files)
"""Registry entry."""

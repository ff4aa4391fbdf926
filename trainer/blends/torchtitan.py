"""torchtitan: registered Hugging Face datasets, interleaved by weight.

Read for this: torchtitan 0.3.0 ``hf_datasets/text_datasets.py`` and ``interleaved.py``. Its main branch (b5bcd76) has
replaced them by a Grain pipeline with a ``DatasetMixConfig``, which is in no release yet and is not written here.
"""

from __future__ import annotations

from trainer.blends.base import Format, heading
from trainer.blends.blend import Blend
from trainer.blends.scatter import scatter_notes

TITLE = "torchtitan 0.3"


def _notes(blend: Blend) -> list[str]:
    return [
        "Each source is packed before it is drawn from, so weights are shares of tokens.",
        *scatter_notes(blend, "packed row"),
        "Not expressible: shares that change along the run, shares that are exact on a prefix, a limit on epochs.",
        "Rows differ with the data-parallel degree, also between two runs with one seed.",
        "torchtitan's main branch mixes with Grain (DatasetMixConfig) instead, with weights scaled so that the least",
        "is 100 and cut to whole numbers: there 0.3 becomes 0.3003. This file is for the release.",
    ]


def _files(blend: Blend, seed: int) -> dict[str, str]:
    weights = blend.stages[0].weights
    # torchtitan looks datasets up by their name in lower case.
    names = {name: name.lower() for name in weights}
    twice = sorted({low for low in names.values() if list(names.values()).count(low) > 1})
    if twice:
        raise ValueError(
            f"torchtitan: names are read in lower case, where {', '.join(map(repr, twice))} is several sources; "
            "rename them"
        )
    register = "".join(f"    {names[n]!r}: {blend.locations[n]!r},\n" for n in weights)
    sources = "".join(
        f"        HFDataSource(dataset={names[name]!r}, weight={weight}, infinite=True),\n"
        for name, weight in weights.items()
    )
    body = f"""
from datasets import load_dataset
from torchtitan.hf_datasets import DatasetConfig
from torchtitan.hf_datasets.text_datasets import DATASETS, HFDataSource, InterleavedHuggingFaceTextDataLoader


def load(path):
    return load_dataset(path, split="train", streaming=True)


def text(sample):
    return sample["text"]


LOCATIONS = {{
{register}}}
DATASETS.update({{name: DatasetConfig(path, load, text) for name, path in LOCATIONS.items()}})

# In a config function: dataloader=dataloader
dataloader = InterleavedHuggingFaceTextDataLoader.Config(
    sources=[
{sources}    ],
    seed={seed},
)
"""
    return {"torchtitan_blend.py": heading(blend, TITLE, _notes(blend)) + body}


TORCHTITAN = Format("torchtitan", TITLE, False, _notes, _files)
"""Registry entry."""

"""LLM Foundry with MosaicML Streaming: streams with a ``proportion``, and a schedule of datasets for phases.

Read for this: mosaicml-streaming 0.13.0 ``Stream.apply_weights`` (proportions are normalised) and
``batching/stratified.py``; llm-foundry 0.22.0 ``build_streams`` and ``CurriculumLearning``.
"""

from __future__ import annotations

from typing import Any

import yaml

from trainer.blends.base import Format, heading
from trainer.blends.blend import Blend, Stage

TITLE = "LLM Foundry and MosaicML Streaming"


def _notes(blend: Blend) -> list[str]:
    notes = [
        "Merge this into a training configuration. Streams hold packed rows of tokens, all equally long (MDS).",
        "The share is exact over an epoch of the dataset, to a row. With batching_method random, the default, shorter",
        "prefixes scatter around it; stratified gives every global batch the same whole rows of each stream, which",
        "is the share only where share x batch is whole (5 % of 1104 rows is not).",
    ]
    if blend.phases:
        notes += [
            "Every phase is a dataset of the curriculum_learning callback; past phases are frozen when resuming. Each",
            "opens its streams anew: rows of an earlier phase may come again, also where epochs are below 1.",
        ]
    return notes


def _streams(blend: Blend, stage: Stage) -> dict[str, Any]:
    def stream(name: str, weight: int) -> dict[str, Any]:
        location = blend.locations[name]
        return {"remote" if "://" in location else "local": location, "proportion": weight}

    return {"streams": {name: stream(name, weight) for name, weight in stage.weights.items()}}


def _files(blend: Blend, seed: int) -> dict[str, str]:
    first, *later = blend.stages
    dataset = {**_streams(blend, first), "shuffle": True, "shuffle_seed": seed}
    content: dict[str, Any] = {
        "max_duration": f"{blend.tokens}tok",
        "train_loader": {"name": "text", "dataset": dataset},
    }
    if later:
        # The callback updates the first dataset with each of these, so what does not change is left out.
        schedule = [{"duration": f"{stage.tokens}tok", "dataset": _streams(blend, stage)} for stage in later]
        content["callbacks"] = {"curriculum_learning": {"duration": f"{first.tokens}tok", "schedule": schedule}}
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1 << 20)
    return {"llm_foundry.yaml": f"{heading(blend, TITLE, _notes(blend))}\n{body}"}


LLM_FOUNDRY = Format("llm-foundry", TITLE, True, _notes, _files)
"""Registry entry."""

"""Megatron-LM, NeMo and Megatron-Bridge: a list of weights and prefixes, one set of files for each phase.

Read for this: megatron-core 0.16.1 ``datasets/utils.get_blend_from_list`` (weights are normalised, prefixes stripped),
NeMo 2.3.2 ``base_dataset_utils`` and ``PreTrainingDataModule``, Megatron-Bridge 0.3.1 ``data/loaders.py``.
"""

from __future__ import annotations

import shlex

import yaml

from trainer.blends.base import Format, heading, stage_suffix
from trainer.blends.blend import Blend

TITLE = "Megatron-LM, NeMo and Megatron-Bridge"


def _notes(blend: Blend) -> list[str]:
    notes = [
        "A location is the prefix of a .bin and .idx pair. Sequences are assigned greedily and deterministically:",
        "on any prefix of the run a source is within about one sequence of its share.",
        "--data-args-path is not written: it splits at spaces, also inside a path.",
    ]
    if blend.phases:
        starts = ", ".join(f"{stage.start:,}" for stage in blend.stages[1:])
        notes += [
            f"One file a phase, because Megatron-LM changes a blend at a restart. Later ones start at token {starts}:",
            "--phase-transition-iterations takes these divided by (global batch size x sequence length).",
            "Check at a restart that no samples are skipped or repeated (Megatron-LM issue 457).",
        ]
    return notes


def _files(blend: Blend, seed: int) -> dict[str, str]:
    del seed  # the order within a source is the trainer's own --seed
    files = {}
    for number, stage in enumerate(blend.stages):
        head = heading(blend, TITLE, _notes(blend), stage)
        pairs = [(weight, blend.locations[name]) for name, weight in stage.weights.items()]
        flat: list[int | str] = [part for pair in pairs for part in pair]
        suffix = stage_suffix(blend, number)
        # A bash array: "${DATA_PATH[@]}" hands every element over as one argument, whatever it holds.
        elements = "".join(f"  {weight} {shlex.quote(location)}\n" for weight, location in pairs)
        use = '# torchrun ... pretrain_gpt.py --data-path "${DATA_PATH[@]}" ...\n'
        files[f"megatron{suffix}.sh"] = f"{head}\n{use}DATA_PATH=(\n{elements})\n"
        body = yaml.safe_dump(
            {"model": {"data": {"data_prefix": flat}}}, sort_keys=False, allow_unicode=True, width=1 << 20
        )
        files[f"nemo{suffix}.yaml"] = f"{head}\n{body}"
        prefixes = "".join(f"    {location!r},\n" for _, location in pairs)
        weights = ", ".join(f"{weight}.0" for weight, _ in pairs)
        files[f"megatron_bridge{suffix}.py"] = (
            f"{head}\n# Megatron-Bridge: cfg.dataset.blend = blend\nprefixes = [\n{prefixes}]\nweights = [{weights}]\n"
            "blend = (prefixes, weights)\n"
            "# NeMo 2: PreTrainingDataModule(paths=paths, ...)\n"
            "paths = [part for pair in zip(map(str, weights), prefixes) for part in pair]\n"
        )
    return files


MEGATRON = Format("megatron", TITLE, True, _notes, _files)
"""Registry entry."""

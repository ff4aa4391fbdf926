"""A name stands for one thing: settings that differ from those a folder was made with are refused, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainer.bases import BaseSpec
from trainer.files import read_json, write_json
from trainer.settings import settings_of
from trainer.spec import Spec
from trainer.study import Study


def described(spec: Spec) -> dict[str, Any]:
    """What ``spec.json`` holds: the id and all settings, as JSON gives them back."""
    content: dict[str, Any] = json.loads(json.dumps({"run_id": spec.run_id, **settings_of(spec)}))
    return content


def differences(there: Any, here: Any, where: str = "") -> list[str]:
    """Settings that differ between two JSON values, with dotted names."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [*there, *(key for key in here if key not in there)]
        return [
            line
            for key in keys
            for line in differences(there.get(key), here.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if there == here else [f"{where}: {there!r} there, {here!r} here"]


def check_name(folder: Path, spec: Spec) -> bool:
    """Whether the folder of a run holds its settings already.

    Raises:
        ValueError: if it holds others, naming every one that differs.
    """
    path = folder / "spec.json"
    if not path.exists():
        return False
    faults = differences(read_json(path), described(spec))
    if faults:
        raise ValueError(
            f"{path}: made with other settings: {'; '.join(faults)}; "
            "undo the change there, or delete that folder to train the run anew"
        )
    return True


def keep_name(folder: Path, spec: Spec) -> None:
    """Write the settings of a run into its folder, or refuse if others are there (ValueError).

    Done before anything can fail, so that a failed run too is recorded with its spec.
    """
    if not check_name(folder, spec):
        write_json(folder / "spec.json", described(spec))


def _names(study: Study) -> dict[str, dict[str, Any]]:
    """What a folder stands for, in stages: a difference in one makes differences in all later ones."""
    data = study.data
    bases: dict[str, list[str]] = {}
    for base in study.bases:
        bases.setdefault(base.run_id.rpartition("-")[0], []).append(base.run_id)
    return {
        "settings": {
            "general": data.general,
            "tokenizer.vocab": data.vocab,
            "tokenizer.corpora": list(data.tokenizer_corpora),
            "length": data.length,
            "validation_share": data.validation_share,
        },
        "corpora": {name: data.key(name) for name in study.corpora},
        "bases": {name: sorted(ids) for name, ids in bases.items()},
    }


def _base_differences(out: Path, old: list[str], study: Study, new: list[str]) -> list[str]:
    """Settings that differ between the one base of a name there and the one here, where both can be told."""
    path = out / "runs" / old[0] / "spec.json"
    here: list[BaseSpec] = [base for base in study.bases if base.run_id in new]
    if len(old) != 1 or len(here) != 1 or not path.exists():
        return [f"{', '.join(old)} there, {', '.join(new)} here"]
    return [line for line in differences(read_json(path), described(here[0])) if not line.startswith("run_id:")]


def check_study(out: Path, study: Study) -> dict[str, dict[str, Any]]:
    """The names that the folder of a study stands for, those of this study included.

    Losses are only comparable, and a size only has one base, while data settings, the text of a corpus and the
    training of a base stay as they are. Runs, corpora and bases may be added, and runs left out.

    Raises:
        ValueError: if the folder was made with others, naming every one that differs.
    """
    path = out / "study.json"
    there: dict[str, dict[str, Any]] = read_json(path) if path.exists() else {}
    names = _names(study)
    for stage, here in names.items():
        old = there.get(stage, {})
        changed = [name for name in here if name in old and old[name] != here[name]]
        if not changed:
            continue
        if stage == "bases":
            faults = [f"{name}: {', '.join(_base_differences(out, old[name], study, here[name]))}" for name in changed]
        elif stage == "corpora":
            faults = [f"corpora.{name}: its text or max_bytes, or the tokenizer's text" for name in changed]
        else:
            faults = [f"{name}: {old[name]!r} there, {here[name]!r} here" for name in changed]
        raise ValueError(
            f"{out}: made by a study with other settings: {'; '.join(faults)}; choose another folder, "
            f"or delete {path} if rows of both may stand side by side"
        )
    return {stage: {**there.get(stage, {}), **here} for stage, here in names.items()}


def keep_study(out: Path, study: Study) -> None:
    """Write what the folder stands for, or refuse if it stands for something else (ValueError)."""
    names = check_study(out, study)
    path = out / "study.json"
    if not path.exists() or read_json(path) != names:
        write_json(path, names)

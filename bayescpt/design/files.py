"""SPACE.yaml, what may be run and for which decision; and RUNS.yaml, which the trainer takes as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bayescpt.data.files import atomic_path
from bayescpt.data.names import fault_of_name
from bayescpt.data.yaml_file import read_yaml
from bayescpt.decide.objective import ForgettingBudget, Objective, WeightedLoss
from bayescpt.design.candidates import MOST, Space, is_number

KEYS = ("decision", "domains", "sizes", "ratios", "tokens", "seeds", "continue_runs", "study")
DECISION = ("domain", "size", "tokens", "max_forgetting", "weights", "confidence")
REPLACED = ("runs", "grid", "branches")
"""Parts of a study that the runs proposed take the place of."""


@dataclass(frozen=True)
class Question:
    """The decision that the next runs are to serve.

    Args:
        domain, size, tokens: of the final run.
        objective: what is wanted of it.
        confidence: with which its constraint is to hold.
    """

    domain: str
    size: float
    tokens: float
    objective: Objective
    confidence: float = 0.9


@dataclass(frozen=True)
class SpaceFile:
    """What a SPACE.yaml says.

    Args:
        space: what may be run.
        question: what for.
        names: the trainer's name of the base of each size, where it has one.
        study: content of the study that runs are added to, without its own; None where none is named. Paths in it are
            relative to the folder that its file is in, and so should be the file that it is written to.
        study_path: its file.
    """

    space: Space
    question: Question
    names: Mapping[float, Any]
    study: dict[str, Any] | None = field(default=None, repr=False)
    study_path: Path | None = None


def read_space(path: Path) -> SpaceFile:
    """Read a SPACE.yaml. Raises ValueError naming everything that is wrong with it."""
    content = read_yaml(path)
    faults: list[str] = []
    top = _mapping("the file", content, KEYS, faults)
    missing = [name for name in ("decision", "domains", "sizes", "ratios", "tokens") if name not in top]
    if missing:
        faults.append(f"missing {', '.join(missing)}")
    question = _question(top["decision"], faults) if "decision" in top else None
    names = _names(top.get("sizes", []), faults)
    axes = {name: _list(name, top.get(name, []), faults) for name in ("domains", "ratios", "tokens")}
    seeds = _list("seeds", top.get("seeds", [0]), faults)
    go_on = top.get("continue_runs", False)
    if not isinstance(go_on, bool):
        faults.append(f"continue_runs: expected true or false, got {go_on!r}")
    if go_on is True and "study" in top:
        faults.append(
            "continue_runs: the trainer starts every run of its file at the base; leave out the study, or this"
        )
    space = None
    if not missing:
        numbers = {name: [_number(value) for value in axes[name]] for name in ("ratios", "tokens")}
        try:
            space = Space(axes["domains"], list(names), **numbers, seeds=seeds, continue_runs=go_on is True)
        except ValueError as error:
            faults.append(str(error))
    study = None
    if "study" in top:
        try:
            study = _study(path.parent / str(top["study"]))
            faults += _unknown(study, names, axes["domains"])
        except ValueError as error:
            faults.append(f"study: {error}")
    if faults:
        raise ValueError(f"{path}: " + "; ".join(faults))
    assert space is not None
    assert question is not None
    return SpaceFile(space, question, names, study, path.parent / str(top["study"]) if study is not None else None)


def _mapping(where: str, value: Any, known: tuple[str, ...], faults: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        faults.append(f"{where}: expected keys and values, got {value!r}")
        return {}
    faults += [f"{where}: unknown key {key!r}; known are {', '.join(known)}" for key in value if key not in known]
    return {str(key): item for key, item in value.items() if key in known}


def _list(where: str, value: Any, faults: list[str]) -> list[Any]:
    if isinstance(value, list):
        return value
    faults.append(f"{where}: expected a list, got {value!r}")
    return []


def _number(value: Any) -> Any:
    """``1e6``, which YAML takes for text, as the number that was meant."""
    try:
        return float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else value
    except ValueError:
        return value


def _names(value: Any, faults: list[str]) -> dict[float, Any]:
    """Sizes, each with the trainer's name of its base where the file is a mapping from names to sizes."""
    pairs = [(size, name) for name, size in value.items()] if isinstance(value, dict) else None
    if pairs is None:
        pairs = [(size, None) for size in _list("sizes", value, faults)]
    found: dict[float, Any] = {}
    for size, name in pairs:
        number = _number(size)
        if not isinstance(number, float) or isinstance(name, float | list | dict):
            faults.append(f"sizes: expected numbers of parameters, got {size!r}")
        elif number in found:
            faults.append(f"sizes: {number:g} stands twice")
        else:
            found[number] = name
    return found


def _question(value: Any, faults: list[str]) -> Question | None:
    before = len(faults)
    entry = _mapping("decision", value, DECISION, faults)
    missing = [name for name in ("domain", "size", "tokens") if name not in entry]
    if missing:
        faults.append(f"decision: missing {', '.join(missing)}")
    if ("max_forgetting" in entry) == ("weights" in entry):
        faults.append("decision: expected either max_forgetting or weights")
    size, tokens = (_number(entry.get(name, 1.0)) for name in ("size", "tokens"))
    confidence = _number(entry.get("confidence", 0.9))
    for name, number in (("size", size), ("tokens", tokens)):
        if not (is_number(number) and 1 <= number <= MOST):
            faults.append(f"decision.{name}: expected a number from 1 to {MOST:g}, got {number!r}")
    if "domain" in entry and (fault := fault_of_name(entry["domain"])):
        faults.append(f"decision.domain: {fault}")
    if not (is_number(confidence) and 0 < confidence < 1):
        faults.append(f"decision.confidence: expected a number between 0 and 1, got {confidence!r}")
    objective: Objective | None = None
    try:
        if "weights" in entry:
            objective = WeightedLoss(*_weights(entry["weights"]))
        elif "max_forgetting" in entry:
            objective = ForgettingBudget(*_budget(entry["max_forgetting"]))
    except (TypeError, ValueError) as error:
        faults.append(f"decision: {error}")
    if len(faults) > before or objective is None:
        return None
    return Question(str(entry["domain"]), size, tokens, objective, confidence)


def _unknown(study: dict[str, Any], names: Mapping[float, Any], domains: list[Any]) -> list[str]:
    """What the space would run and the study has not: bases and corpora."""
    bases, corpora = study.get("bases"), study.get("corpora")
    faults = []
    if isinstance(bases, list):
        known = [base.get("name", base.get("size")) for base in bases if isinstance(base, dict)]
        wanted = [size if name is None else name for size, name in names.items()]
        faults += [f"sizes: the study has no base {one!r}; it has {known}" for one in wanted if one not in known]
    if isinstance(corpora, dict):
        known = list(corpora)
        faults += [f"domains: the study has no corpus {one!r}; it has {known}" for one in domains if one not in known]
    return faults


def _budget(value: Any) -> tuple[float, bool]:
    """Nats per token, 0.05, or a share of the base's loss, 3%; and whether it is that."""
    relative = isinstance(value, str) and value.strip().endswith("%")
    number = _number(value.strip().removesuffix("%") if relative else value)
    if not (is_number(number) and number >= 0):
        raise ValueError(f"max_forgetting: expected nats (0.05) or a share of the base's loss (3%), got {value!r}")
    return (number / 100 if relative else number), relative


def _weights(value: Any) -> tuple[float, float]:
    """What a nat of general and of domain loss is worth."""
    found = [_number(one) for one in value] if isinstance(value, list) else []
    if len(found) != 2 or not all(is_number(one) and one >= 0 for one in found) or not max(found) > 0:
        raise ValueError(
            "weights: expected what a nat of general and of domain loss is worth, two numbers of at least 0 such as "
            f"[1, 2] and not both 0, got {value!r}"
        )
    return found[0], found[1]


def _study(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a study of the trainer, keys and values, got {type(content).__name__}")
    return {str(key): value for key, value in content.items() if key not in REPLACED}


def read_pending(path: Path, names: Mapping[float, Any]) -> pd.DataFrame:
    """Runs that are under way, from a RUNS.yaml that was proposed before.

    Args:
        names: the trainer's name of the base of each size.

    Raises ValueError where the file has no such runs, or one of another base.
    """
    content = read_yaml(path)
    runs = content.get("runs") if isinstance(content, dict) else None
    if not isinstance(runs, list):
        raise ValueError(f"{path}: expected runs, as `bayescpt next` writes them")
    sizes = {name: size for size, name in names.items() if name is not None} | {size: size for size in names}
    rows, faults = [], []
    for i, run in enumerate(runs):
        wanted = ("size", "domain", "ratio", "tokens")
        if not isinstance(run, dict) or any(name not in run for name in wanted):
            faults.append(f"runs[{i}]: expected {', '.join(wanted)}")
        elif run["size"] not in list(sizes):
            faults.append(f"runs[{i}]: no size {run['size']!r} in the space; there are {list(sizes)}")
        else:
            row = {name: _number(run[name]) for name in ("ratio", "tokens")} | {"seed": run.get("seed", 0)}
            row |= {"domain": run["domain"], "size": sizes[run["size"]]}
            try:
                Space([row["domain"]], [row["size"]], [row["ratio"]], [row["tokens"]], [row["seed"]])
            except ValueError as error:
                faults.append(f"runs[{i}]: {error}")
            rows.append(row)
    if faults:
        raise ValueError(f"{path}: " + "; ".join(faults))
    return pd.DataFrame(rows, columns=["domain", "size", "ratio", "tokens", "seed"])


def runs_file(chosen: pd.DataFrame, file: SpaceFile) -> dict[str, Any]:
    """The content of a RUNS.yaml: the study of the space with the chosen runs in place of its own.

    A run that is continued has the tokens that it starts from as ``start``.
    """
    runs = []
    for row in chosen.to_dict("records"):
        name = file.names[row["size"]]
        run = {"size": int(row["size"]) if name is None else name, "domain": row["domain"], "ratio": row["ratio"]}
        further = {"start": int(row["start"])} if row["start"] else {}
        runs.append(run | {"tokens": int(row["tokens"]), "seed": int(row["seed"])} | further)
    return (file.study or {}) | {"runs": runs}


def write_runs(path: Path, content: Mapping[str, Any]) -> None:
    """Write a RUNS.yaml, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), "utf-8")

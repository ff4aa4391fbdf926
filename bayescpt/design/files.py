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
from bayescpt.design.branches import CONSTANT, GRID, Branches, branch_entry, entry_of, read_branch, trunk_entries
from bayescpt.design.candidates import MOST, Space, is_number
from bayescpt.design.decision import Question

KEYS = ("decision", "domains", "sizes", "ratios", "tokens", "seeds", "continue_runs", "branches", "study")
DECISION = ("domain", "size", "tokens", "max_forgetting", "weights", "confidence", "base_loss")
PHASES = ("phase_ratios", "phase_parts")
"""Keys of a decision whose run may end with a phase of its own."""
BRANCHES = ("at", "tokens", "ratios", "kept", "settings")
REPLACED = ("runs", "grid", "branches")
"""Parts of a study that the runs proposed take the place of."""


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
        trunks: runs that the study has of its own, to branch from.
    """

    space: Space
    question: Question
    names: Mapping[float, Any]
    study: dict[str, Any] | None = field(default=None, repr=False)
    study_path: Path | None = None
    trunks: tuple[dict[str, Any], ...] = field(default=(), repr=False)


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
    if go_on is True and "study" in top and "branches" not in top:
        faults.append(
            "continue_runs: the trainer starts every run of its file at the base; leave out the study, or this"
        )
    branches = _branches(top["branches"], faults) if "branches" in top else None
    if "branches" in top and go_on is True:
        faults.append("continue_runs and branches exclude each other: leave out one of them")
    elif "branches" in top and "study" not in top:
        faults.append("branches: name the study whose runs they leave, so that the trainer finds them")
    space = None
    if not missing:
        numbers = {name: [_number(value) for value in axes[name]] for name in ("ratios", "tokens")}
        try:
            own = axes["domains"], list(names), numbers["ratios"], numbers["tokens"]
            further = branches if go_on is not True else None
            space = Space(*own, seeds=seeds, continue_runs=go_on is True, branches=further)
        except ValueError as error:
            faults.append(str(error))
    study: dict[str, Any] | None = None
    trunks: tuple[dict[str, Any], ...] = ()
    if "study" in top:
        try:
            study, trunks = _study(path.parent / str(top["study"]))
            faults += _unknown(study, names, axes["domains"])
        except ValueError as error:
            faults.append(f"study: {error}")
    if faults:
        raise ValueError(f"{path}: " + "; ".join(faults))
    assert space is not None
    assert question is not None
    study_path = path.parent / str(top["study"]) if study is not None else None
    return SpaceFile(space, question, names, study, study_path, trunks)


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
    entry = _mapping("decision", value, DECISION + PHASES, faults)
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
    base = _number(entry.get("base_loss"))
    if "base_loss" in entry and not (base is not None and is_number(base) and base > 0):
        faults.append(f"decision.base_loss: expected a general loss in nats per token, got {base!r}")
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
    phases = {n: [_number(v) for v in _list(f"decision.{n}", entry.get(n, []), faults)] for n in PHASES}
    if len(set(PHASES) & set(entry)) == 1:
        faults.append("decision: phase_ratios and phase_parts go together")
    for name, values in phases.items():
        inside = (0 <= one <= 1 if name == "phase_ratios" else 0 < one < 1 for one in values if is_number(one))
        if not (all(is_number(one) for one in values) and all(inside)):
            ends = "within [0, 1]" if name == "phase_ratios" else "between 0 and 1"
            faults.append(f"decision.{name}: expected numbers {ends}, got {values!r}")
    if len(faults) > before or objective is None:
        return None
    return Question(str(entry["domain"]), size, tokens, objective, confidence, **phases, base_loss=base)


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


def _study(path: Path) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """A study without its runs, and those."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a study of the trainer, keys and values, got {type(content).__name__}")
    rest = {str(key): value for key, value in content.items() if key not in REPLACED}
    return rest, tuple(trunk_entries(content))


def _branches(value: Any, faults: list[str]) -> Branches | None:
    entry = _mapping("branches", value, BRANCHES, faults)
    settings = entry.get("settings", CONSTANT)
    if not isinstance(settings, dict):
        faults.append(f"branches.settings: expected keys and values of the trainer, got {settings!r}")
        settings = CONSTANT
    given = {n: [_number(v) for v in _list(f"branches.{n}", entry.get(n, []), faults)] for n in BRANCHES[:3]}
    kept = entry.get("kept", False)
    if not isinstance(kept, bool):
        faults.append(f"branches.kept: expected true or false, got {kept!r}")
    try:
        return Branches(**given, kept=kept is True, settings={**CONSTANT, **settings})
    except ValueError as error:
        faults.append(str(error))
        return None


def read_pending(path: Path, names: Mapping[float, Any]) -> pd.DataFrame:
    """Runs that are under way, from a RUNS.yaml that was proposed before.

    Args:
        names: the trainer's name of the base of each size.

    Raises ValueError where the file has no such runs, or one of another base.
    """
    content = read_yaml(path)
    top = _known(content)
    runs, branches = top.get("runs", [] if "branches" in top else None), top.get("branches", [])
    if not (isinstance(runs, list) and isinstance(branches, list)):
        raise ValueError(f"{path}: expected runs and branches, as `bayescpt next` writes them")
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
            rows.append(row | {"trunk_ratio": row["ratio"], "phase_part": 0.0, "phase_ratio": 0.0})
    for i, branch in enumerate(branches):
        try:
            row = read_branch(branch, sizes)
            Space([row["domain"]], [row["size"]], [row["ratio"]], [row["tokens"]], [row["seed"]])
            rows.append(row)
        except ValueError as error:
            faults.append(f"branches[{i}]: {error}")
    if faults:
        raise ValueError(f"{path}: " + "; ".join(faults))
    return pd.DataFrame(rows, columns=[name for name in GRID if name != "start"])


def _known(value: Any) -> dict[str, Any]:
    """A mapping of a file, where it is one."""
    return value if isinstance(value, dict) else {}


def runs_file(chosen: pd.DataFrame, file: SpaceFile) -> dict[str, Any]:
    """The content of a RUNS.yaml: the study of the space with the chosen runs in place of its own.

    A run that is continued has the tokens that it starts from as ``start``. A branch stands beside the run that it
    leaves, as the study has it, which the trainer knows as finished.

    Raises ValueError where the study has no such run.
    """
    runs, branches, faults = [], [], []
    for row in chosen.to_dict("records"):
        name = file.names[row["size"]]
        if row.get("phase_part"):
            assert file.space.branches is not None
            trunk = entry_of(row, row["size"] if name is None else name, file.trunks)
            if trunk is None:
                faults.append(
                    f"branches: the study has no run of size {name or row['size']}, domain {row['domain']!r}, ratio "
                    f"{row['trunk_ratio']:.3g} and seed {row['seed']} to branch from; name the study that trained it"
                )
                continue
            runs += [trunk] if trunk not in runs else []
            branches.append(branch_entry(row, trunk, file.space.branches.settings))
            continue
        run = {"size": int(row["size"]) if name is None else name, "domain": row["domain"], "ratio": row["ratio"]}
        further = {"start": int(row["start"])} if row["start"] else {}
        runs.append(run | {"tokens": int(row["tokens"]), "seed": int(row["seed"])} | further)
    for branch in branches:
        chosen_by = branch["from"]
        same = [
            one for one in runs if all([one[n[:-1]]] == chosen_by[n] for n in ("sizes", "domains", "ratios", "seeds"))
        ]
        if len(same) > 1:
            faults.append(
                f"branches: a run of the same setting as one that a branch leaves is proposed beside it ({same[0]}), "
                "and the trainer would branch from both; ask for one run at a time, or leave out that ratio"
            )
    if faults:
        raise ValueError("; ".join(dict.fromkeys(faults)))
    return (file.study or {}) | {"runs": runs} | ({"branches": branches} if branches else {})


def write_runs(path: Path, content: Mapping[str, Any]) -> None:
    """Write a RUNS.yaml, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), "utf-8")

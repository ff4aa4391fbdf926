"""The runs of a study: those listed, those of its grid, and branches from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from trainer.bases import Base
from trainer.chairman import exact_shares
from trainer.prepare import DataSpec
from trainer.reading import Faults, number
from trainer.schedule import read_schedule
from trainer.shares import without
from trainer.spec import KEEP, Mix, RunSpec, Topics
from trainer.training import Training, is_whole

TRAINING = tuple(f.name for f in fields(Training) if f.name != "length")
SOURCES = ("optimizer", "orders", "limits", "max_epochs", "topics", "save")
GRID = ("sizes", "domains", "ratios", "seeds")
CHOICE = {"sizes": "size", "domains": "domain", "ratios": "ratio", "seeds": "seed"}
BRANCH = ("from", "at", "ratio", "mixes", "leave_one_out", "save", *TRAINING)


@dataclass(frozen=True)
class Known:
    """What runs of a study refer to; data is None where the study's own is faulty.

    Args:
        data: corpora and tokenizer.
        length: positions in a row, in tokens.
        widths: widths or names of the bases that are asked for, faulty ones among them.
        bases: bases without fault, by width or name.
    """

    data: DataSpec | None
    length: int
    widths: list[Any]
    bases: dict[Any, Base]


def read_training(where: str, values: Mapping[str, Any], length: int, faults: Faults) -> Training | None:
    """The training of an entry, or None and the reason among the faults."""
    given = {key: number(value) for key, value in values.items()}
    missing = [name for name in ("tokens", "batch", "lr", "schedule") if name not in given]
    if missing:
        faults.append(f"{where}: missing {', '.join(missing)}")
        return None
    try:
        return Training(length=length, **{**given, "schedule": read_schedule(given["schedule"])})
    except ValueError as error:
        faults.append(f"{where}: {error}")
        return None


def read_runs(top: dict[str, Any], known: Known, faults: Faults) -> dict[str, RunSpec]:
    """The runs without fault by id: those listed, those of the grid, then the branches."""
    defaults = faults.mapping("run", top.get("run", {}), (*TRAINING, *SOURCES))
    runs: dict[str, RunSpec] = {}
    entries = [(f"runs[{i}]", v) for i, v in enumerate(faults.sequence("runs", top.get("runs", [])))]
    entries += [(f"grid[{'/'.join(str(v) for v in point.values())}]", point) for point in _grid(top, faults)]
    for where, value in entries:
        run = _run(where, value, defaults, known, faults)
        if run is not None:
            if run.run_id in runs:
                faults.append(f"{where}: {run.run_id} stands twice")
            runs[run.run_id] = run
    trunks = list(runs.values())
    for i, value in enumerate(faults.sequence("branches", top.get("branches", []))):
        for branch in _branches(f"branches[{i}]", value, trunks, known, faults):
            if branch.run_id in runs:
                faults.append(f"branches[{i}]: {branch.run_id} stands twice")
            runs[branch.run_id] = branch
    return runs


def _grid(top: dict[str, Any], faults: Faults) -> list[dict[str, Any]]:
    if "grid" not in top:
        return []
    grids = top["grid"] if isinstance(top["grid"], list) else [top["grid"]]
    points = []
    for value in grids:
        grid = faults.mapping("grid", value, (*GRID, *TRAINING, *SOURCES))
        missing = [name for name in GRID[:3] if name not in grid]
        if missing:
            faults.append(f"grid: missing {', '.join(missing)}")
        axes = {n: faults.sequence(f"grid.{n}", grid.pop(n, [0] if n == "seeds" else [])) for n in GRID}
        points += [
            {"size": size, "domain": domain, "ratio": ratio, "seed": seed, **grid}
            for size in axes["sizes"]
            for domain in axes["domains"]
            for ratio in axes["ratios"]
            for seed in axes["seeds"]
        ]
    return points


def _mixes(where: str, entry: dict[str, Any], general: str, domain: Any, faults: Faults) -> tuple[Mix, ...] | None:
    """The mixes of an entry, from its ``ratio`` or its ``mixes``."""
    if ("ratio" in entry) == ("mixes" in entry):
        faults.append(f"{where}: expected either ratio or mixes")
        return None
    if "ratio" in entry:
        ratio = number(entry.pop("ratio"))
        if not isinstance(ratio, int | float) or isinstance(ratio, bool):
            faults.append(f"{where}: ratio: expected a share in [0, 1], got {ratio!r}")
            return None
        return (Mix(0, {general: 1.0 - ratio, domain: float(ratio)}),)
    before = len(faults)
    mixes = []
    for i, value in enumerate(faults.sequence(f"{where}.mixes", entry.pop("mixes"))):
        mix = faults.mapping(f"{where}.mixes[{i}]", value, ("start", "shares"))
        shares = faults.mapping(f"{where}.mixes[{i}].shares", mix.get("shares"))
        if len(faults) == before:
            mixes.append(Mix(number(mix.get("start", 0)), {name: number(share) for name, share in shares.items()}))
    faults.extend(
        f"{where}.mixes: start: expected a whole number of tokens, got {mix.start!r}"
        for mix in mixes
        if not is_whole(mix.start, 0)
    )
    return tuple(mixes) if len(faults) == before else None


def _topics(where: str, value: Any, faults: Faults) -> Topics | None:
    entry = faults.mapping(where, value, tuple(f.name for f in fields(Topics)))
    missing = [f.name for f in fields(Topics) if f.default is MISSING and f.name not in entry]
    if missing:
        faults.append(f"{where}: missing {', '.join(missing)}; none of them has a published value")
        return None
    weights = {name: number(w) for name, w in faults.mapping(f"{where}.weights", entry.pop("weights")).items()}
    return Topics(
        weights=weights,
        **{name: number(item) for name, item in entry.items() if name != "normalise"},
        normalise=entry["normalise"],
    )


def _keys(where: str, names: list[str], data: DataSpec, faults: Faults) -> dict[str, str] | None:
    unknown = [name for name in names if not isinstance(name, str) or name not in data.corpora]
    faults.extend(f"{where}: no corpus {name!r}; there are {', '.join(data.corpora)}" for name in unknown)
    return None if unknown else {name: data.key(name) for name in names}


def _run(where: str, value: Any, defaults: dict[str, Any], known: Known, faults: Faults) -> RunSpec | None:
    entry = faults.mapping(where, value, ("size", "domain", "ratio", "mixes", "seed", *TRAINING, *SOURCES))
    if not isinstance(value, dict):
        return None
    missing = [name for name in ("size", "domain") if name not in entry]
    if missing or not {"ratio", "mixes"} & set(entry):
        missing += [] if {"ratio", "mixes"} & set(entry) else ["ratio"]
        faults.append(f"{where}: missing {', '.join(missing)}")
        return None
    entry = {**defaults, **entry}
    width, domain, seed = entry.pop("size"), entry.pop("domain"), entry.pop("seed", 0)
    if width not in known.widths:
        faults.append(f"{where}: no base of size {width!r}; there are {known.widths}")
    sources = {name: entry.pop(name) for name in SOURCES if name in entry}
    for name in ("orders", "limits", "max_epochs"):
        if name in sources:
            sources[name] = {k: number(v) for k, v in faults.mapping(f"{where}.{name}", sources[name]).items()}
    if "topics" in sources:
        sources["topics"] = _topics(f"{where}.topics", sources["topics"], faults)
    if not isinstance(sources.get("save", False), bool):
        faults.append(f"{where}: save: expected true or false, got {sources['save']!r}")
    mixing: dict[str, Any] = {name: entry.pop(name) for name in ("ratio", "mixes") if name in entry}
    training = read_training(where, entry, known.length, faults)
    if known.data is None or _keys(where, [domain], known.data, faults) is None:
        return None
    mixes = _mixes(where, mixing, known.data.general, domain, faults)
    if mixes is None or training is None or width not in known.widths or width not in known.bases:
        return None
    names = list(dict.fromkeys([known.data.general, domain, *(name for mix in mixes for name in mix.shares)]))
    data = _keys(where, names, known.data, faults)
    if data is None:
        return None
    try:
        return RunSpec(known.bases[width], domain, data, mixes, seed, training, **sources)
    except ValueError as error:
        faults.append(f"{where}: {error}")
        return None


def _branches(where: str, value: Any, trunks: list[RunSpec], known: Known, faults: Faults) -> Iterator[RunSpec]:
    """Branches of every chosen trunk at every point, each with one source left out in turn where that is asked for."""
    entry = faults.mapping(where, value, BRANCH)
    choice = faults.mapping(f"{where}.from", entry.pop("from", {}), GRID)
    at = faults.sequence(f"{where}.at", entry.pop("at", []))
    leave, save = entry.pop("leave_one_out", False), entry.pop("save", False)
    for name, flag in (("leave_one_out", leave), ("save", save)):
        if not isinstance(flag, bool):
            faults.append(f"{where}.{name}: expected true or false, got {flag!r}")
    wanted = {axis: faults.sequence(f"{where}.from.{axis}", values) for axis, values in choice.items()}
    chosen = [t for t in trunks if all(_axis(t, CHOICE[axis]) in values for axis, values in wanted.items())]
    if not chosen and known.data is not None and not faults:
        faults.append(f"{where}.from: no run of this study is chosen")
    if not at:
        faults.append(f"{where}.at: expected tokens of the trunk at which to branch")
    for trunk in chosen:
        for tokens in at:
            yield from _branch(where, dict(entry), trunk, number(tokens), (leave is True, save is True), known, faults)


def _axis(run: RunSpec, name: str) -> Any:
    return run.base.key if name == "size" else getattr(run, name)


def _branch(
    where: str, entry: dict[str, Any], trunk: RunSpec, at: Any, flags: tuple[bool, bool], known: Known, faults: Faults
) -> Iterator[RunSpec]:
    leave, save = flags
    assert known.data is not None, "a trunk without data"
    inherited = {name: getattr(trunk.training, name) for name in TRAINING if name not in ("schedule", "tokens", "lr")}
    reached = trunk.training.lr * trunk.training.multiplier(at) if isinstance(at, int) else trunk.training.lr
    own = {name: entry.pop(name) for name in TRAINING if name in entry}
    training = read_training(where, {**inherited, "lr": reached, **own}, known.length, faults)
    mixes: tuple[Mix, ...] | None = (Mix(0, trunk.mixes[-1].shares),)
    if {"ratio", "mixes"} & set(entry):
        mixes = _mixes(where, entry, known.data.general, trunk.domain, faults)
    if training is None or mixes is None:
        return
    try:
        wanted = list(_left_out(mixes)) if leave else [mixes]
    except ValueError as error:
        faults.append(f"{where}: {error}")
        return
    for shares in wanted:
        names = list(dict.fromkeys([*trunk.data, *(name for mix in shares for name in mix.shares)]))
        data = _keys(where, names, known.data, faults)
        if data is None:
            return
        caps = {name: cap for name, cap in trunk.max_epochs.items() if any(name in mix.shares for mix in shares)}
        try:
            changed = {"data": data, "mixes": shares, "training": training, "max_epochs": caps, "at": at, "save": save}
            yield replace(trunk, **changed, optimizer=KEEP, trunk=trunk)
        except ValueError as error:
            faults.append(f"{where}: {error}")


def _left_out(mixes: tuple[Mix, ...]) -> Iterator[tuple[Mix, ...]]:
    """The mixes as they are, and then without each of their sources in turn, the others in proportion."""
    for mix in mixes:
        exact_shares(mix.shares)
    yield mixes
    for name in dict.fromkeys(name for mix in mixes for name, share in mix.shares.items() if share > 0):
        if all(any(share for other, share in mix.shares.items() if other != name) for mix in mixes):
            left = [(mix.start, without(exact_shares(mix.shares), name)) for mix in mixes]
            yield tuple(Mix(start, {n: float(share) for n, share in shares.items()}) for start, shares in left)

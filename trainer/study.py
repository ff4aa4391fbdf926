"""Reading RUNS.yaml: corpora, bases and continual runs, every fault named at once, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from trainer.corpora import KINDS, Corpus
from trainer.prepare import DataSpec
from trainer.spec import BaseSpec, RunSpec, Spec, Training, raise_faults
from trainer.tokenizer import SMALLEST_VOCAB

TOP = (
    "corpora",
    "general",
    "tokenizer",
    "length",
    "validation_share",
    "base",
    "bases",
    "run",
    "runs",
    "grid",
)
TRAINING = tuple(f.name for f in fields(Training) if f.name != "length")
GRID = ("sizes", "domains", "ratios", "seeds")


@dataclass(frozen=True)
class Study:
    """What a RUNS.yaml asks for.

    Args:
        data: corpora, tokenizer and rows.
        bases: base runs, one per width.
        runs: continual runs, no two alike.
    """

    data: DataSpec
    bases: tuple[BaseSpec, ...]
    runs: tuple[RunSpec, ...]

    @property
    def specs(self) -> tuple[Spec, ...]:
        """All runs, bases first."""
        return (*self.bases, *self.runs)

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora that some run needs, the general one first."""
        return list(dict.fromkeys([self.data.general, *(run.domain for run in self.runs)]))


class _Loader(yaml.SafeLoader):
    """YAML as people write it: ``1e-3`` is a number, and a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"line {node.start_mark.line + 1}: {', '.join(twice)} given twice")
        return super().construct_mapping(node, deep)


class _Faults(list[str]):
    """Faults found so far, and readers of untrusted values that add to them."""

    def mapping(self, where: str, value: Any, known: tuple[str, ...] | None = None) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.append(f"{where}: expected keys and values, got {value!r}")
            return {}
        if known is not None:
            self.extend(
                f"{where}: unknown key {key!r}; known are {', '.join(known)}" for key in value if key not in known
            )
        return {str(key): item for key, item in value.items() if known is None or key in known}

    def sequence(self, where: str, value: Any) -> list[Any]:
        if isinstance(value, list):
            return value
        self.append(f"{where}: expected a list, got {value!r}")
        return []


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _training(where: str, values: Mapping[str, Any], length: int, faults: _Faults) -> Training | None:
    given = {key: _number(v) if isinstance(v, str) and key != "schedule" else v for key, v in values.items()}
    missing = [name for name in ("tokens", "batch", "lr", "schedule", "warmup_tokens") if name not in given]
    if missing:
        faults.append(f"{where}: missing {', '.join(missing)}")
        return None
    try:
        return Training(length=length, **given)
    except ValueError as error:
        faults.append(f"{where}: {error}")
        return None


def _data(top: dict[str, Any], folder: Path, faults: _Faults) -> DataSpec | None:
    before = len(faults)
    corpora: dict[str, Corpus] = {}
    for name, value in faults.mapping("corpora", top.get("corpora", {})).items():
        entry = faults.mapping(f"corpora.{name}", value, (*KINDS, "max_bytes"))
        kinds = [kind for kind in KINDS if kind in entry]
        if len(kinds) != 1:
            faults.append(f"corpora.{name}: expected exactly one of {', '.join(KINDS)}")
            continue
        source = str(entry[kinds[0]])
        # Paths in a study are relative to the study, so that it can be run from anywhere.
        source = source if kinds[0] == "builtin" else str(folder / source)
        corpora[name] = Corpus(name, kinds[0], source, entry.get("max_bytes"))
        faults.extend(corpora[name].faults())
    general = top.get("general")
    tokenizer = faults.mapping("tokenizer", top.get("tokenizer"), ("vocab", "corpora"))
    trained_on = faults.sequence("tokenizer.corpora", tokenizer.get("corpora", [general]))
    faults.extend(
        f"{where}: no corpus {name!r}; there are {', '.join(corpora) or 'none'}"
        for where, name in (("general", general), *(("tokenizer.corpora", name) for name in trained_on))
        if not isinstance(name, str) or name not in corpora
    )
    vocab, length, share = tokenizer.get("vocab"), top.get("length"), top.get("validation_share", 0.1)
    if not isinstance(vocab, int) or vocab < SMALLEST_VOCAB:
        faults.append(f"tokenizer.vocab: expected a whole number of at least {SMALLEST_VOCAB}, got {vocab!r}")
    if not isinstance(length, int) or length < 1:
        faults.append(f"length: expected a whole number of at least 1, got {length!r}")
    if not isinstance(share, float) or not 0 < share < 1:
        faults.append(f"validation_share: expected a number between 0 and 1, got {share!r}")
    if len(faults) > before:
        return None
    assert isinstance(vocab, int)
    assert isinstance(length, int)
    assert isinstance(general, str)
    return DataSpec(corpora, general, vocab, tuple(trained_on), length, share)


def _grid(top: dict[str, Any], faults: _Faults) -> list[dict[str, Any]]:
    if "grid" not in top:
        return []
    grid = faults.mapping("grid", top["grid"], GRID)
    missing = [name for name in GRID[:3] if name not in grid]
    if missing:
        faults.append(f"grid: missing {', '.join(missing)}")
    axes = {name: faults.sequence(f"grid.{name}", grid.get(name, [0] if name == "seeds" else [])) for name in GRID}
    return [
        {"size": size, "domain": domain, "ratio": ratio, "seed": seed}
        for size in axes["sizes"]
        for domain in axes["domains"]
        for ratio in axes["ratios"]
        for seed in axes["seeds"]
    ]


def _bases(
    top: dict[str, Any], data: DataSpec | None, length: int, faults: _Faults
) -> tuple[list[Any], dict[int, BaseSpec]]:
    """All widths that are asked for, and the bases among them that are without fault."""
    defaults = faults.mapping("base", top.get("base", {}), ("seed", *TRAINING))
    widths: list[Any] = []
    bases: dict[int, BaseSpec] = {}
    for i, value in enumerate(faults.sequence("bases", top.get("bases", []))):
        where = f"bases[{i}]"
        entry = {**defaults, **faults.mapping(where, value, ("size", "seed", *TRAINING))}
        width, seed = entry.pop("size", None), entry.pop("seed", 0)
        if width in widths:
            faults.append(f"{where}: size {width} stands twice; one base a size")
        widths.append(width)
        training = _training(where, entry, length, faults)
        # Without usable data the base is still checked, under a key that nobody will see.
        vocab, general = (data.vocab, data.general) if data else (SMALLEST_VOCAB, "")
        try:
            if training:
                key = data.key(general) if data else ""
                bases[width] = BaseSpec(width, vocab, general, key, seed, training)
        except ValueError as error:
            faults.append(f"{where}: {error}")
    if not widths:
        faults.append("bases: at least one is needed")
    return widths, bases


def _runs(
    top: dict[str, Any],
    data: DataSpec | None,
    length: int,
    widths: list[Any],
    bases: dict[int, BaseSpec],
    faults: _Faults,
) -> dict[str, RunSpec]:
    """The runs without fault by id: those listed, then those of the grid."""
    defaults = faults.mapping("run", top.get("run", {}), TRAINING)
    runs: dict[str, RunSpec] = {}
    listed = [(f"runs[{i}]", v) for i, v in enumerate(faults.sequence("runs", top.get("runs", [])))]
    listed += [(f"grid[{'/'.join(str(v) for v in point.values())}]", point) for point in _grid(top, faults)]
    for where, value in listed:
        entry = faults.mapping(where, value, ("size", "domain", "ratio", "seed", *TRAINING))
        missing = [name for name in ("size", "domain", "ratio") if name not in entry]
        if missing:
            faults.append(f"{where}: missing {', '.join(missing)}")
            continue
        width, domain, ratio = entry.pop("size"), entry.pop("domain"), entry.pop("ratio")
        seed = entry.pop("seed", 0)
        if width not in widths:
            faults.append(f"{where}: no base of size {width!r}; there are {widths}")
        if data and (not isinstance(domain, str) or domain not in data.corpora):
            faults.append(f"{where}: no corpus {domain!r}; there are {', '.join(data.corpora)}")
            continue
        training = _training(where, {**defaults, **entry}, length, faults)
        if not (data and training and width in widths and width in bases):
            continue
        try:
            run = RunSpec(bases[width], domain, data.key(domain), ratio, seed, training)
        except ValueError as error:
            faults.append(f"{where}: {error}")
            continue
        if run.run_id in runs:
            faults.append(f"{where}: {run.run_id} stands twice")
        runs[run.run_id] = run
    return runs


def parse_study(content: Any, folder: Path) -> Study:
    """A study from the content of its YAML.

    Args:
        content: what the YAML holds.
        folder: paths in it are relative to this one.

    Raises:
        ValueError: naming every fault.
    """
    faults = _Faults()
    top = faults.mapping("study", content, TOP)
    data = _data(top, folder, faults)
    length = top["length"] if isinstance(top.get("length"), int) else 1
    widths, bases = _bases(top, data, length, faults)
    runs = _runs(top, data, length, widths, bases, faults)
    raise_faults("study", list(dict.fromkeys(faults)))
    assert data is not None, "a study without usable data has faults"
    return Study(data, tuple(bases.values()), tuple(runs.values()))


def read_study(path: Path) -> Study:
    """Read a RUNS.yaml.

    Raises:
        ValueError: if it is not YAML or not a study, naming the file and every fault.
    """
    try:
        content = yaml.load(path.read_text("utf-8"), _Loader)
        return parse_study(content, path.parent)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected YAML, got {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error

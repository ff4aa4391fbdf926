"""Reading RUNS.yaml: corpora, bases and continual runs, every fault named at once, unknown keys refused."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from trainer.bases import Base, BaseSpec, CheckpointSpec, describe
from trainer.corpora import KINDS, OPTIONS, Corpus
from trainer.prepare import DataSpec
from trainer.reading import Faults, read_yaml
from trainer.sources import READERS
from trainer.spec import RunSpec, Spec
from trainer.study_runs import TRAINING, Known, read_runs, read_training
from trainer.tokenizer import SMALLEST_VOCAB
from trainer.training import raise_faults

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
    "branches",
)


@dataclass(frozen=True)
class Study:
    """What a RUNS.yaml asks for.

    Args:
        data: corpora, tokenizer and rows.
        bases: base runs, one per width.
        runs: continual runs and branches, no two alike.
        checkpoints: checkpoints that runs may start from.
    """

    data: DataSpec
    bases: tuple[BaseSpec, ...]
    runs: tuple[RunSpec, ...]
    checkpoints: tuple[CheckpointSpec, ...] = ()

    @property
    def specs(self) -> tuple[Spec, ...]:
        """All runs, bases first."""
        return (*self.bases, *self.runs)

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora that some run needs, the general one first."""
        return list(dict.fromkeys([self.data.general, *(name for run in self.runs for name in run.corpora)]))


def _data(top: dict[str, Any], folder: Path, faults: Faults) -> DataSpec | None:
    before = len(faults)
    corpora: dict[str, Corpus] = {}
    for name, value in faults.mapping("corpora", top.get("corpora", {})).items():
        entry = faults.mapping(f"corpora.{name}", value, (*KINDS, "max_bytes", "validation", *OPTIONS))
        kinds = [kind for kind in KINDS if kind in entry]
        if len(kinds) != 1:
            faults.append(f"corpora.{name}: expected exactly one of {', '.join(KINDS)}")
            continue
        kind = kinds[0]
        if not isinstance(entry.get("validation", ""), str):
            faults.append(f"corpora.{name}.validation: expected a path, got {entry['validation']!r}")
            continue
        if "validation" in entry:
            entry["validation"] = _path(f"corpora.{name}", entry["validation"], folder, faults)
        source = (
            _path(f"corpora.{name}", str(entry.pop(kind)), folder, faults) if READERS[kind].is_path else entry.pop(kind)
        )
        corpora[name] = Corpus(name, kind, str(source), **entry)
        if "$" not in f"{source}{entry.get('validation')}":  # else the path is at fault already
            faults.extend(corpora[name].faults())
    general = top.get("general")
    length, share = top.get("length"), top.get("validation_share", 0.1)
    if not isinstance(general, str) or general not in corpora:
        faults.append(f"general: no corpus {general!r}; there are {', '.join(corpora) or 'none'}")
    if not isinstance(length, int) or length < 1:
        faults.append(f"length: expected a whole number of at least 1, got {length!r}")
    if not isinstance(share, float) or not 0 < share < 1:
        faults.append(f"validation_share: expected a number between 0 and 1, got {share!r}")
    chosen = _tokenizer(top, general, corpora, folder, faults)
    if len(faults) > before:
        return None
    assert isinstance(length, int)
    assert isinstance(general, str)
    data = DataSpec(corpora, general, chosen.vocab, chosen.corpora, length, share, chosen.checkpoint, chosen.end)
    try:
        assert data.tokenizer_key
    except ValueError as error:
        faults.append(f"tokenizer: {error}")
        return None
    return data


class _Tokenizer(NamedTuple):
    vocab: int
    corpora: tuple[str, ...]
    checkpoint: str | None
    end: str | None


def _tokenizer(
    top: dict[str, Any], general: Any, corpora: dict[str, Corpus], folder: Path, faults: Faults
) -> _Tokenizer:
    """The tokenizer that is asked for: of a checkpoint, or one to train."""
    entry = faults.mapping("tokenizer", top.get("tokenizer"), ("vocab", "corpora", "checkpoint", "end_of_text"))
    if "checkpoint" in entry:
        faults.extend(
            f"tokenizer.{name}: a checkpoint's tokenizer has its own" for name in ("vocab", "corpora") if name in entry
        )
        path = _path("tokenizer.checkpoint", str(entry["checkpoint"]), folder, faults)
        try:
            return _Tokenizer(describe(path).vocab, (), path, entry.get("end_of_text"))
        except ValueError as error:
            faults.append(f"tokenizer.checkpoint: {error}")
            return _Tokenizer(SMALLEST_VOCAB, (), None, None)
    if "end_of_text" in entry:
        faults.append("tokenizer.end_of_text: is of a checkpoint's tokenizer; one that is trained here has its own")
    vocab = entry.get("vocab")
    trained_on = faults.sequence("tokenizer.corpora", entry.get("corpora", [general]))
    faults.extend(
        f"tokenizer.corpora: no corpus {name!r}; there are {', '.join(corpora) or 'none'}"
        for name in trained_on
        if not isinstance(name, str) or name not in corpora
    )
    if not isinstance(vocab, int) or vocab < SMALLEST_VOCAB:
        faults.append(f"tokenizer.vocab: expected a whole number of at least {SMALLEST_VOCAB}, got {vocab!r}")
        vocab = SMALLEST_VOCAB
    return _Tokenizer(vocab, tuple(str(name) for name in trained_on), None, None)


def _path(where: str, source: str, folder: Path, faults: Faults) -> str:
    """A path of a study, ``${NAME}`` taken from the environment; relative to the study, so that it runs anywhere."""
    expanded = os.path.expandvars(source)
    if "$" in expanded:
        faults.append(f"{where}: {source} names an environment variable that is not set")
    return str(folder / expanded)


def _bases(
    top: dict[str, Any], data: DataSpec | None, length: int, folder: Path, faults: Faults
) -> tuple[list[Any], dict[Any, Base]]:
    """Names of all bases that are asked for, and those among them that are without fault."""
    defaults = faults.mapping("base", top.get("base", {}), ("seed", *TRAINING))
    names: list[Any] = []
    bases: dict[Any, Base] = {}
    for i, value in enumerate(faults.sequence("bases", top.get("bases", []))):
        where = f"bases[{i}]"
        entry = faults.mapping(where, value, ("size", "seed", "name", "checkpoint", *TRAINING))
        name = entry.get("name", entry.get("size"))
        if name in names:
            faults.append(f"{where}: size {name} stands twice; one base a size")
        names.append(name)
        # Without usable data the base is still checked, under a key that nobody will see.
        vocab, general = (data.vocab, data.general) if data else (SMALLEST_VOCAB, "")
        key = data.key(general) if data else ""
        base: Base | None = None
        try:
            if "checkpoint" in entry:
                base = _checkpoint(where, entry, data, length, folder, faults)
            else:
                if "name" in entry:
                    faults.append(f"{where}: name: a base that is trained here is known by its size; leave it out")
                entry = {**defaults, **{key: item for key, item in entry.items() if key != "name"}}
                width, seed = entry.pop("size", None), entry.pop("seed", 0)
                training = read_training(where, entry, length, faults)
                base = BaseSpec(width, vocab, general, key, seed, training) if training else None
            if base is not None:
                bases[name] = base
        except ValueError as error:
            faults.append(f"{where}: {error}")
    if not names:
        faults.append("bases: at least one is needed")
    return names, bases


def _checkpoint(
    where: str, entry: dict[str, Any], data: DataSpec | None, length: int, folder: Path, faults: Faults
) -> CheckpointSpec | None:
    unknown = sorted(set(entry) - {"name", "checkpoint"})
    if unknown or not isinstance(entry.get("name"), str):
        faults.append(f"{where}: a checkpoint has a name and no training of its own, got {', '.join(entry)}")
        return None
    path = _path(where, str(entry["checkpoint"]), folder, faults)
    described = describe(path)
    if data is None:  # checked as far as that goes
        return CheckpointSpec(entry["name"], path, described.identity, described.vocab, "", "", length)
    if data.checkpoint is None:
        faults.append(f"{where}: a checkpoint knows its own tokens only; expected tokenizer: {{checkpoint: PATH}}")
        return None
    if data.pretrained is not None and data.digest_of(path) != data.pretrained.digest:
        faults.append(f"{where}: has another tokenizer than the study, and what its tokens mean would be lost")
        return None
    if described.vocab < data.vocab:
        faults.append(f"{where}: an embedding of {described.vocab} tokens, but the tokenizer has {data.vocab}")
        return None
    general = data.general
    return CheckpointSpec(entry["name"], path, described.identity, described.vocab, general, data.key(general), length)


def parse_study(content: Any, folder: Path) -> Study:
    """A study from the content of its YAML.

    Args:
        content: what the YAML holds.
        folder: paths in it are relative to this one.

    Raises:
        ValueError: naming every fault.
    """
    faults = Faults()
    top = faults.mapping("study", content, TOP)
    data = _data(top, folder, faults)
    length = top["length"] if isinstance(top.get("length"), int) else 1
    names, bases = _bases(top, data, length, folder, faults)
    runs = read_runs(top, Known(data, length, names, bases), faults)
    raise_faults("study", list(dict.fromkeys(faults)))
    assert data is not None, "a study without usable data has faults"
    own = tuple(base for base in bases.values() if isinstance(base, BaseSpec))
    others = tuple(base for base in bases.values() if isinstance(base, CheckpointSpec))
    return Study(data, own, tuple(runs.values()), others)


def read_study(path: Path) -> Study:
    """Read a RUNS.yaml.

    Raises:
        ValueError: if it is not YAML or not a study, naming the file and every fault.
    """
    content = read_yaml(path)
    try:
        return parse_study(content, path.parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error

"""Reading BLEND.yaml: the sources of a chosen mixture, the length of the run, and later changes of the shares."""

from __future__ import annotations

from pathlib import Path

from trainer.blends.blend import Blend, BlendPhase, Source
from trainer.reading import Faults, number, read_yaml
from trainer.training import raise_faults

SOURCE = ("share", "location", "tokens")


def read_blend(path: Path) -> Blend:
    """Read a blend.

    ``tokens``, the length of the run; ``sources``, by name, each with ``share``, ``location`` and ``tokens``
    (available); and, where shares change, ``phases`` with ``start`` and ``shares``.

    Raises:
        ValueError: naming the file and every fault.
    """
    faults = Faults()
    top = faults.mapping("blend", read_yaml(path), ("tokens", "sources", "phases"))
    sources = []
    for name, value in faults.mapping("sources", top.get("sources", {})).items():
        entry = faults.mapping(f"sources.{name}", value, SOURCE)
        missing = [key for key in SOURCE if key not in entry]
        if missing:
            faults.append(f"sources.{name}: missing {', '.join(missing)}")
            continue
        sources.append(Source(name, number(entry["share"]), entry["location"], _count(entry["tokens"])))
    phases = []
    for i, value in enumerate(faults.sequence("phases", top.get("phases", []))):
        phase = faults.mapping(f"phases[{i}]", value, ("start", "shares"))
        shares = faults.mapping(f"phases[{i}].shares", phase.get("shares"))
        phases.append(BlendPhase(_count(phase.get("start")), {n: number(s) for n, s in shares.items()}))
    raise_faults(str(path), faults)
    try:
        return Blend(tuple(sources), _count(top.get("tokens")), tuple(phases))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _count(value: object) -> int:
    """``2e10`` as the whole number that was meant; anything else as it is, for the blend to refuse."""
    found = number(value)
    return int(found) if isinstance(found, float) and found.is_integer() else found

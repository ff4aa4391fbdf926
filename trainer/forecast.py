"""What a sweep will take before it is started: tokens, FLOPs, repetition of the text, and time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from trainer.bases import BaseSpec
from trainer.feasible import packed_rows, refuse_unfit
from trainer.files import read_json
from trainer.prepare import TRAIN
from trainer.progress import duration
from trainer.records import FINISHED, Record
from trainer.spec import Spec
from trainer.study import Study


@dataclass(frozen=True)
class Forecast:
    """One run before it is trained.

    Args:
        spec: the run.
        finished: whether it is trained already.
        epochs: how often it goes through the rows of every source; None for one not prepared yet.
        seconds: how long it will take; None while no run of its size is finished.
    """

    spec: Spec
    finished: bool
    epochs: dict[str, float | None]
    seconds: float | None

    def __str__(self) -> str:
        repeated = ", ".join(
            f"{name} not prepared yet" if epochs is None else f"{name} {epochs:.2f} x"
            for name, epochs in self.epochs.items()
        )
        time = "trained" if self.finished else "time unknown" if self.seconds is None else duration(self.seconds)
        tokens, flops = self.spec.training.tokens, self.spec.flops
        return f"{self.spec.run_id:44} {tokens:>14,} tokens {flops:10.3g} FLOP  {repeated}  {time}"


def _drawn(spec: Spec) -> dict[str, float]:
    """Tokens that a run draws from every source; for a branch, without those of its trunk."""
    total = spec.training.tokens
    if isinstance(spec, BaseSpec):
        return {spec.general: float(total)}
    drawn: dict[str, float] = {}
    ends = [*(mix.start for mix in spec.mixes[1:]), total]
    for mix, end in zip(spec.mixes, ends, strict=True):
        for name, share in mix.shares.items():
            drawn[name] = drawn.get(name, 0.0) + share * (end - mix.start)
    return drawn


def _epochs(spec: Spec, study: Study, out: Path) -> dict[str, float | None]:
    limits = {} if isinstance(spec, BaseSpec) else spec.limits
    length = spec.training.length
    found: dict[str, float | None] = {}
    for name, drawn in _drawn(spec).items():
        rows = packed_rows(study, out, name, TRAIN)
        if rows is not None:
            found[name] = drawn / (length * min(rows, limits.get(name, rows * length) // length))
        else:
            found[name] = None
    return found


def seconds_per_token(out: Path) -> dict[int, float]:
    """Median seconds a token of the finished runs in a folder, by their non-embedding parameters.

    What a killed process did after its last measurement is in nobody's record; the median bears a few of those.
    """
    measured: dict[int, list[float]] = {}
    for path in sorted((out / "runs").glob("*/provenance.json")):
        provenance = read_json(path)
        if provenance["status"] != FINISHED:
            continue
        groups = provenance["parameters"]
        size = groups["attention"] + groups["mlp"] + groups["norm"]
        tokens = read_json(path.with_name("spec.json"))["training"]["tokens"]
        measured.setdefault(size, []).append(provenance["seconds"] / tokens)
    return {size: median(rates) for size, rates in measured.items()}


def forecast(study: Study, out: Path) -> list[Forecast]:
    """What every run of a study will take; nothing is written.

    Args:
        study: the runs.
        out: their folder, which may not exist yet.

    Raises:
        ValueError: for runs that the text there is does not allow, as far as it is packed.
    """
    refuse_unfit(study, out)
    rates = seconds_per_token(out)
    found = []
    for spec in study.specs:
        base = spec if isinstance(spec, BaseSpec) else spec.base
        rate = rates.get(base.size.non_embedding)
        seconds = None if rate is None else rate * spec.training.tokens
        finished = Record(out, spec).status() == FINISHED
        found.append(Forecast(spec, finished, _epochs(spec, study, out), seconds))
    return found


def _label(spec: Spec) -> str:
    """The size, as run ids have it."""
    return spec.label if isinstance(spec, BaseSpec) else spec.base.label


def summary(runs: list[Forecast]) -> list[str]:
    """The totals, in lines."""
    tokens = sum(run.spec.training.tokens for run in runs)
    flops = sum(run.spec.flops for run in runs)
    lines = [f"{len(runs)} runs, {tokens:,} tokens, {flops:.3g} FLOP"]
    left = [run for run in runs if not run.finished]
    if len(left) < len(runs):
        rest = sum(run.spec.flops for run in left)
        lines.append(f"{len(runs) - len(left)} already trained; {len(left)} runs, {rest:.3g} FLOP left")
    unknown = sorted({_label(run.spec) for run in left if run.seconds is None})
    known = sum(run.seconds for run in left if run.seconds is not None)
    if unknown:
        lines.append(f"time unknown until a run of that size is finished: {', '.join(unknown)}")
    if known:
        lines.append(f"about {duration(known)} one after another{', those not counted' if unknown else ''}")
    highest: dict[str, float] = {}
    for run in left:
        for name, epochs in run.epochs.items():
            if epochs is not None:
                highest[name] = max(highest.get(name, 0.0), epochs)
    if highest:
        most = ", ".join(f"{name} {epochs:.2f} x" for name, epochs in highest.items())
        lines.append(f"most repetition in one run: {most}")
    return lines

"""One run from its settings to its rows: the place where data, model, loop and records meet."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bayescpt.schema import DOMAIN, GENERAL, Observation
from trainer.backend import Backend, device_name
from trainer.bases import Base, BaseSpec, CheckpointSpec
from trainer.checkpoint import find_state, load_weights, save_weights
from trainer.curriculum import SCORED, load_scores
from trainer.files import derived_seed
from trainer.loop import Measurement, Resume, Snapshots, Start, train
from trainer.mixture import Mixture
from trainer.model import Transformer
from trainer.prepare import TRAIN, VALIDATION, DataSpec, open_rows, open_tokenizer, validation_fault
from trainer.pretrained import CausalModel, PretrainedTokenizer, load_pretrained, save_pretrained
from trainer.records import Record
from trainer.scores import ROWS_AT_ONCE, write_scores
from trainer.shards import Shard
from trainer.snapshots import needed_by, snapshot_path, wanted
from trainer.spec import RunSpec, Spec
from trainer.steering import Steering
from trainer.stream import stream_of
from trainer.tokenizer import TextTokenizer


@dataclass(frozen=True)
class _Opened:
    """Everything a run needs, ready to train."""

    model: nn.Module
    stream: Mixture
    sources: dict[str, Shard]
    validation: dict[str, Tensor]
    start: Start
    steering: Steering | None
    tokenizer: TextTokenizer


def _validation(rows: Shard, count: int, name: str) -> Tensor:
    if fault := validation_fault(name, rows.header.rows, count):
        raise ValueError(fault)
    # Evenly spread over the held-out documents, so that a few long ones do not make up the whole set.
    return torch.from_numpy(rows.rows([i * rows.header.rows // count for i in range(count)]))


def _rows(spec: Spec, measured: Measurement) -> list[Observation]:
    base = spec if isinstance(spec, BaseSpec) else spec.base
    domain = spec.general if isinstance(spec, BaseSpec) else spec.domain
    if isinstance(spec, BaseSpec):
        ratio = 0.0
    else:
        # a corpus whose share is zero throughout is in no count
        ratio = spec.ratio if measured.shares is None else measured.shares.get(domain, 0.0)
    phase: dict[str, float] = {}
    # the stream of a steered run, or of a base, has no phases that anybody chose
    if isinstance(spec, RunSpec) and spec.topics is None:
        late = ratio if measured.phase_shares is None else measured.phase_shares.get(domain, 0.0)
        phase = {"phase_start": float(measured.phase_start), "phase_ratio": late}
    flops = float(base.size.flops_per_token(base.vocab)) * measured.tokens
    return [
        Observation(
            run=spec.run_id,
            domain=domain,
            size=base.size.non_embedding,
            ratio=ratio,
            tokens=measured.tokens,
            target=GENERAL if name == base.general else DOMAIN,
            loss=loss.mean,
            loss_se=loss.se,
            base=spec.base.run_id if isinstance(spec, RunSpec) else None,
            seed=spec.seed,
            flops=flops,
            lr=measured.lr,
            lr_sum=measured.lr_sum,
            lr_anneal=measured.lr_anneal,
            domain_epochs=measured.epochs.get(domain, 0.0),
            **phase,
        )
        for name, loss in measured.losses.items()
    ]


def _open(spec: Spec, data: DataSpec, out: Path, backend: Backend) -> _Opened:
    """The run at its start: data, stream, model and state."""
    training = spec.training
    base = spec if isinstance(spec, BaseSpec) else spec.base
    tokenizer = open_tokenizer(data, out)
    read = [spec.general] if isinstance(spec, BaseSpec) else spec.corpora
    sources = {name: open_rows(data, out, name, TRAIN, tokenizer) for name in read}
    targets = [spec.general] if isinstance(spec, BaseSpec) else [base.general, spec.domain]
    validation = {name: _held_out(spec, data, out, name, tokenizer) for name in targets}
    scores = {} if isinstance(spec, BaseSpec) else _scores(spec, sources, data, out, backend)
    stream = stream_of(spec, {name: shard.header.rows for name, shard in sources.items()}, scores)
    model = _model(base)
    steering = None
    if isinstance(spec, RunSpec) and spec.topics is not None:
        options = spec.topics.options(spec.mixes[0].shares)
        topics = {name: _held_out(spec, data, out, name, tokenizer) for name in options.shares}
        steering = Steering(options, Record(out, spec).folder / "topics.json", training.length, stream, topics)
    start = _start(spec, data, out, model, backend)
    return _Opened(model, stream, sources, validation, start, steering, tokenizer)


def _held_out(spec: Spec, data: DataSpec, out: Path, name: str, tokenizer: TextTokenizer) -> Tensor:
    return _validation(open_rows(data, out, name, VALIDATION, tokenizer), spec.training.validation_rows, name)


def _scores(
    spec: RunSpec, sources: dict[str, Shard], data: DataSpec, out: Path, backend: Backend
) -> dict[str, NDArray[np.float64]]:
    """Perplexity under the base of every row of the sources that are read by it, kept beside the packed rows."""
    found = {}
    for name in (name for name, order in spec.orders.items() if order in SCORED):
        path = data.shard_path(out, name, TRAIN).with_name(f"perplexity-{spec.base.run_id}.npy")
        if backend.first and not path.exists():
            model = _model(spec.base)
            _load_base(spec.base, out, model)
            write_scores(path, model.to(backend.device), sources[name], backend.rows or ROWS_AT_ONCE)
        backend.wait()
        found[name] = load_scores(path, sources[name].header.rows)
    return found


def _load_base(base: Base, out: Path, model: nn.Module) -> None:
    """The weights of a base run; a checkpoint's model has its own."""
    if isinstance(base, CheckpointSpec):
        return
    weights = Record(out, base).weights
    if not weights.exists():
        raise ValueError(f"base {base.run_id} has no weights at {weights}; train it first")
    load_weights(weights, model)


def _model(base: Base) -> nn.Module:
    """A checkpoint's model with its weights, or one of this trainer's own with its first ones."""
    if isinstance(base, BaseSpec):
        return Transformer(base.size, base.vocab, base.length, derived_seed("weights", base.width, base.seed))
    model = load_pretrained(Path(base.folder))
    if model.checkpoint.identity != base.identity:
        raise ValueError(f"{base.folder}: this is not the checkpoint that the study was read with; read it again")
    return model


def _start(spec: Spec, data: DataSpec, out: Path, model: nn.Module, backend: Backend) -> Start:
    """Bring the model to the weights the run starts from; returns the rest of its starting state."""
    if isinstance(spec, BaseSpec):
        return Start()
    needed = needed_by(spec)
    if needed is None:
        _load_base(spec.base, out, model)
        return Start()
    run, tokens = needed
    path = snapshot_path(out, run, tokens)
    if find_state(path) is None:
        _replay(run, tokens, path, data, out, backend)
    return Start(spec.start_tokens, path, run.run_id)


def _replay(spec: Spec, tokens: int, path: Path, data: DataSpec, out: Path, backend: Backend) -> None:
    """Train a finished run again up to a state that nobody kept: the same numbers, as a run is a pure function."""
    backend = replace(backend, precision=spec.training.precision)
    opened = _open(spec, data, out, backend)
    steps = tokens // spec.training.step_tokens
    snapshots = Snapshots(spec.run_id, {steps: path})
    for _ in train(
        opened.model,
        opened.stream,
        opened.sources,
        {},
        spec.training,
        opened.start,
        snapshots=snapshots,
        until=steps,
        backend=backend,
    ):
        pass


def _save(record: Record, opened: _Opened, backend: Backend) -> None:
    if isinstance(opened.model, CausalModel):
        assert isinstance(opened.tokenizer, PretrainedTokenizer), "a checkpoint with another tokenizer"
        if backend.first:  # left there by an attempt that did not come to its end
            shutil.rmtree(record.model, ignore_errors=True)
        backend.wait()
        save_pretrained(opened.model, record.model, opened.tokenizer, backend)
    else:
        save_weights(record.weights, opened.model, backend)


def execute(
    spec: Spec,
    data: DataSpec,
    out: Path,
    tick: Callable[[int], None] = lambda tokens: None,
    backend: Backend | None = None,
) -> None:
    """Train one run, or finish it if it was interrupted, and record its rows as they are measured.

    Args:
        spec: the run.
        data: corpora and tokenizer, prepared in ``out``.
        out: the folder of the study.
        tick: called with the tokens seen after every step.
        backend: where it computes, in the precision of the spec; None is one process on the CPU. Of several
            processes, all call this.

    Raises:
        DivergedError: if a loss is no longer finite.
        ValueError: if the base is not there, or the validation text is too short.
    """
    backend = replace(backend or Backend(), precision=spec.training.precision)
    opened = _open(spec, data, out, backend)
    record = Record(out, spec)
    base = spec if isinstance(spec, BaseSpec) else spec.base
    details = {
        "parameters": base.size.parameters(base.vocab),
        "threads": torch.get_num_threads(),
        "device": device_name(backend.device),
        "compiled": backend.compiled,
        "processes": backend.world,
        "tokenizer": opened.tokenizer.digest,
        "shards": {name: shard.header.fingerprint for name, shard in opened.sources.items()},
    }
    started = time.monotonic()
    if backend.first:
        record.start(details, resumed=find_state(record.checkpoint) is not None)
    for measured in train(
        opened.model,
        opened.stream,
        opened.sources,
        opened.validation,
        spec.training,
        opened.start,
        Resume(record.checkpoint, spec.run_id),
        Snapshots(spec.run_id, wanted(out, spec)),
        steering=opened.steering,
        backend=backend,
        tick=tick,
    ):
        if backend.first:
            record.append(_rows(spec, measured), time.monotonic() - started)
    if isinstance(spec, BaseSpec) or spec.save:
        _save(record, opened, backend)
    if backend.first:
        record.finish(time.monotonic() - started, {name: loss.rows for name, loss in measured.losses.items()})
    backend.wait()

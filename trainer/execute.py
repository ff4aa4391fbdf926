"""One run from its settings to its rows: the place where data, model, loop and records meet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bayescpt.schema import DOMAIN, GENERAL, Observation
from trainer.checkpoint import load_weights, save_weights
from trainer.files import derived_seed
from trainer.loop import Measurement, Resume, train
from trainer.mixture import Mixture
from trainer.model import Transformer
from trainer.prepare import TRAIN, VALIDATION, DataSpec, open_rows, open_tokenizer
from trainer.records import Record
from trainer.shards import Shard
from trainer.spec import BaseSpec, RunSpec, Spec, Training


@dataclass(frozen=True)
class _Plan:
    """How a base run and a continual run differ, for code that treats both alike."""

    base: BaseSpec
    training: Training
    shares: dict[str, float]
    domain: str
    ratio: float
    stream_seed: int


def _plan(spec: Spec) -> _Plan:
    if isinstance(spec, BaseSpec):
        return _Plan(
            spec,
            spec.training,
            {spec.general: 1.0},
            spec.general,
            0.0,
            derived_seed("base", spec.width, spec.seed),
        )
    # Ratio and domain are part of the seed: runs that share a base share no data order, so their noise is
    # independent even where the ratio is 0 and the domain plays no part.
    seed = derived_seed("run", spec.domain, spec.base.width, float(spec.ratio), spec.seed)
    return _Plan(spec.base, spec.training, spec.shares, spec.domain, spec.ratio, seed)


def _validation(rows: Shard, count: int, name: str) -> Tensor:
    if rows.header.rows < count:
        raise ValueError(
            f"corpus {name}: {rows.header.rows} validation rows, {count} wanted; "
            "add text, raise validation_share or lower validation_rows"
        )
    # Evenly spread over the held-out documents, so that a few long ones do not make up the whole set.
    return torch.from_numpy(rows.rows([i * rows.header.rows // count for i in range(count)]))


def _rows(spec: Spec, plan: _Plan, measured: Measurement) -> list[Observation]:
    shares = measured.shares
    flops = float(plan.base.size.flops_per_token(plan.base.vocab)) * measured.tokens
    return [
        Observation(
            run=spec.run_id,
            domain=plan.domain,
            size=plan.base.size.non_embedding,
            ratio=plan.ratio if shares is None or isinstance(spec, BaseSpec) else shares[plan.domain],
            tokens=measured.tokens,
            target=GENERAL if name == plan.base.general else DOMAIN,
            loss=loss.mean,
            loss_se=loss.se,
            base=spec.base.run_id if isinstance(spec, RunSpec) else None,
            seed=spec.seed,
            flops=flops,
            lr=measured.lr,
            lr_sum=measured.lr_sum,
            lr_anneal=measured.lr_anneal,
            domain_epochs=measured.epochs[plan.domain],
        )
        for name, loss in measured.losses.items()
    ]


def execute(spec: Spec, data: DataSpec, out: Path, tick: Callable[[int], None] = lambda tokens: None) -> None:
    """Train one run, or finish it if it was interrupted, and record its rows as they are measured.

    Args:
        spec: the run.
        data: corpora and tokenizer, prepared in ``out``.
        out: the folder of the study.
        tick: called with the tokens seen after every step.

    Raises:
        DivergedError: if a loss is no longer finite.
        ValueError: if the base is not there, or the validation text is too short.
    """
    plan = _plan(spec)
    tokenizer = open_tokenizer(data, out)
    sources: dict[str, Shard] = {}
    validation: dict[str, Tensor] = {}
    for name in plan.shares:
        sources[name] = open_rows(data, out, name, TRAIN, tokenizer)
        held_out = open_rows(data, out, name, VALIDATION, tokenizer)
        validation[name] = _validation(held_out, plan.training.validation_rows, name)
    training = plan.training
    counts = {name: shard.header.rows for name, shard in sources.items()}
    stream = Mixture(plan.shares, counts, training.steps * training.batch, plan.stream_seed)
    initial = derived_seed("weights", plan.base.width, plan.base.seed)
    model = Transformer(plan.base.size, tokenizer.vocab, training.length, initial)
    if isinstance(spec, RunSpec):
        weights = Record(out, spec.base).weights
        if not weights.exists():
            raise ValueError(f"base {spec.base.run_id} has no weights at {weights}; train it first")
        load_weights(weights, model)
    record = Record(out, spec)
    details = {
        "parameters": plan.base.size.parameters(tokenizer.vocab),
        "threads": torch.get_num_threads(),
        "tokenizer": tokenizer.digest,
        "shards": {name: shard.header.fingerprint for name, shard in sources.items()},
    }
    started = time.monotonic()
    record.start(details, resumed=record.checkpoint.exists())
    for measured in train(model, stream, sources, validation, training, Resume(record.checkpoint, spec.run_id), tick):
        record.append(_rows(spec, plan, measured))
    if isinstance(spec, BaseSpec):
        save_weights(record.weights, model)
    record.finish(time.monotonic() - started)

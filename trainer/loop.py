"""The training loop: a model, a stream and a schedule in, measurements out. No files but its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.evaluate import Loss, evaluate
from trainer.mixture import Mixture
from trainer.optim import build_optimizer, optimizer_step
from trainer.schedule import LearningRateArea
from trainer.shards import Shard
from trainer.spec import Training


class DivergedError(RuntimeError):
    """A loss or gradient that is no longer finite."""


@dataclass(frozen=True)
class Measurement:
    """The state of a run at one point.

    Args:
        tokens: tokens seen.
        lr: learning rate of the last step; 0 before the first.
        lr_sum: S1, sum of learning rates.
        lr_anneal: S2, annealing area.
        losses: loss on every validation set.
        shares: realised share of every source so far; None before the first step.
        epochs: how often every source has been gone through.
    """

    tokens: int
    lr: float
    lr_sum: float
    lr_anneal: float
    losses: dict[str, Loss]
    shares: dict[str, float] | None
    epochs: dict[str, float]


@dataclass(frozen=True)
class Resume:
    """Where an interrupted run goes on, and how often its state is written.

    Args:
        path: the checkpoint file.
        run_id: id that a checkpoint must bear.
        seconds: a checkpoint is written at least this often, and at every measurement.
    """

    path: Path
    run_id: str
    seconds: float = 60.0


def batch_at(stream: Mixture, sources: dict[str, Shard], step: int, batch: int) -> Tensor:
    """Token rows (batch, T + 1) of step ``step``, counted from 0."""
    wanted = [stream.at(position) for position in range(step * batch, (step + 1) * batch)]
    rows = np.concatenate([sources[name].rows([index]) for name, index in wanted])
    return torch.from_numpy(rows)


def train(
    model: nn.Module,
    stream: Mixture,
    sources: dict[str, Shard],
    validation: dict[str, Tensor],
    training: Training,
    resume: Resume | None = None,
    tick: Callable[[int], None] = lambda tokens: None,
) -> Iterator[Measurement]:
    """Train a model and yield its losses at 0 tokens and then at ``training.evaluation_steps()``.

    A run that goes on from a checkpoint yields what comes after it. A measurement is yielded before the
    checkpoint at the same point is written, so a caller that stores each one loses none.

    Args:
        model: tokens (B, T) to logits (B, T, V), at its starting weights; trained in place.
        stream: which row comes at which position.
        sources: packed rows by source.
        validation: fixed rows (n, T + 1) by validation set.
        training: the settings.
        resume: where the checkpoint lies; None writes none.
        tick: called with the tokens seen after every step.

    Raises:
        DivergedError: if a loss or a gradient is not finite.
    """
    optimizer = build_optimizer(model, training.weight_decay)
    area = LearningRateArea()
    done = 0
    measured_at = set(training.evaluation_steps())

    def measure(step: int) -> Measurement:
        rows = step * training.batch
        losses = {name: evaluate(model, tokens) for name, tokens in validation.items()}
        broken = sorted(name for name, loss in losses.items() if not math.isfinite(loss.mean))
        if broken:
            raise DivergedError(f"validation loss on {', '.join(broken)} is not finite at step {step}")
        shares = stream.realised(rows) if rows else None
        return Measurement(
            step * training.step_tokens, area.previous, area.s1, area.s2, losses, shares, stream.epochs(rows)
        )

    if resume is not None and resume.path.exists():
        done, area = load_checkpoint(resume.path, resume.run_id, model, optimizer)
    else:
        yield measure(0)
    saved = time.monotonic()
    model.train()
    for step in range(done, training.steps):
        rows = batch_at(stream, sources, step, training.batch)
        logits = model(rows[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        lr = training.lr * training.multiplier((step + 1) * training.step_tokens)
        norm = optimizer_step(optimizer, lr, training.clip)
        if not math.isfinite(norm):
            raise DivergedError(f"gradient norm {norm} at step {step + 1} (training loss {loss.item():.4g})")
        area.step(lr)
        tick((step + 1) * training.step_tokens)
        measured = step + 1 in measured_at
        if measured:
            yield measure(step + 1)
        due = measured or (resume is not None and time.monotonic() - saved > resume.seconds)
        if resume is not None and due:
            save_checkpoint(resume.path, resume.run_id, step + 1, model, optimizer, area)
            saved = time.monotonic()

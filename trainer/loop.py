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

from trainer.area import LearningRateArea
from trainer.backend import Backend
from trainer.checkpoint import find_state, load_state, save_state
from trainer.evaluate import Loss, evaluate
from trainer.mixture import Mixture
from trainer.optim import build_optimizer, optimizer_step
from trainer.shards import Shard
from trainer.steering import Steering
from trainer.training import Training

SAVING_SHARE = 20.0
"""States are written at least so many times their own writing time apart: 5 % of the time at most."""
ASK_STEPS = 8
"""Several processes agree so often whether it is time to write a state."""


class DivergedError(RuntimeError):
    """A loss or gradient that is no longer finite."""


@dataclass(frozen=True)
class Measurement:
    """The state of a run at one point.

    Args:
        tokens: tokens since the base, those of a trunk among them.
        lr: learning rate of the last step; 0 before the first.
        lr_sum: S1, sum of learning rates.
        lr_anneal: S2, annealing area.
        losses: loss on every validation set.
        shares: realised share of every source so far; None before the first step.
        epochs: how often every source has been gone through.
        phase_start: tokens since the base from which on the last shares hold.
        phase_shares: realised share of every source since then; None before the first step.
    """

    tokens: int
    lr: float
    lr_sum: float
    lr_anneal: float
    losses: dict[str, Loss]
    shares: dict[str, float] | None
    epochs: dict[str, float]
    phase_start: int
    phase_shares: dict[str, float] | None


@dataclass(frozen=True)
class Resume:
    """Where an interrupted run goes on, and how often its state is written.

    Args:
        path: the checkpoint file.
        run_id: id that a checkpoint must bear.
        seconds: a checkpoint is written about this often, and at every measurement.
    """

    path: Path
    run_id: str
    seconds: float = 60.0


@dataclass(frozen=True)
class Start:
    """What a run starts with, besides the weights.

    Args:
        tokens: tokens that were seen before it, by its trunk.
        state: a state whose weights and optimizer it goes on with; None starts with a fresh optimizer.
        run_id: the run whose state that is.
    """

    tokens: int = 0
    state: Path | None = None
    run_id: str = ""


@dataclass(frozen=True)
class Snapshots:
    """States of a run to keep for branches.

    Args:
        run_id: the run.
        paths: where to keep the whole state, by steps done.
    """

    run_id: str
    paths: dict[int, Path]


def batch_at(stream: Mixture, sources: dict[str, Shard], positions: range) -> Tensor:
    """Token rows (n, T + 1) of the stream at ``positions``."""
    wanted = [stream.at(position) for position in positions]
    rows = np.concatenate([sources[name].rows([index]) for name, index in wanted])
    return torch.from_numpy(rows)


def backward(model: nn.Module, rows: Tensor, backend: Backend) -> Tensor:
    """Add the gradient of the mean loss over rows (n, T + 1), at most ``backend.rows`` at once; returns that loss."""
    total = torch.zeros((), device=rows.device)
    for part in rows.split(backend.rows or len(rows)):
        with backend.autocast():
            logits = model(part[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1).float(), part[:, 1:].flatten()) * (len(part) / len(rows))
        loss.backward()
        total += loss.detach()
    return total


def train(
    model: nn.Module,
    stream: Mixture,
    sources: dict[str, Shard],
    validation: dict[str, Tensor],
    training: Training,
    start: Start | None = None,
    resume: Resume | None = None,
    snapshots: Snapshots | None = None,
    until: int | None = None,
    steering: Steering | None = None,
    backend: Backend | None = None,
    tick: Callable[[int], None] = lambda tokens: None,
) -> Iterator[Measurement]:
    """Train a model and yield its losses at the start and then at ``training.evaluation_steps()``.

    A run that goes on from a checkpoint yields what comes after it. A measurement is yielded before the
    checkpoint at the same point is written, so a caller that stores each one loses none.

    Args:
        model: tokens (B, T) to logits (B, T, V), at its starting weights; trained in place.
        stream: which row comes at which position.
        sources: packed rows by source.
        validation: fixed rows (n, T + 1) by validation set.
        training: the settings.
        start: what the run starts with besides the weights; None is a fresh optimizer at 0 tokens.
        resume: where the checkpoint lies; None writes none.
        snapshots: states to keep for branches; None keeps none.
        until: steps after which to stop, where that is before the end; the schedule stays that of the whole run.
        steering: decides shares along the run; its stream then takes the place of ``stream``.
        backend: where it computes; None is one process on the CPU in float32.
        tick: called with the tokens of this run seen after every step.

    Raises:
        DivergedError: if a loss or a gradient is not finite.
    """
    start, backend = start or Start(), backend or Backend()
    kept = snapshots.paths if snapshots else {}
    model = backend.place(model)
    optimizer = build_optimizer(model, training.weight_decay)
    area = LearningRateArea()
    if start.state is not None:
        _, reached = load_state(start.state, start.run_id, model, optimizer)
        # A run from a base counts its own learning rates; a branch goes on with those of its trunk.
        area = reached if start.tokens else area
    first_row = start.tokens // training.length
    done = 0
    measured_at = set(training.evaluation_steps())

    def measure(step: int) -> Measurement:
        rows = first_row + step * training.batch
        losses = {name: evaluate(model, tokens, backend) for name, tokens in validation.items()}
        broken = sorted(name for name, loss in losses.items() if not math.isfinite(loss.mean))
        if broken:
            raise DivergedError(f"validation loss on {', '.join(broken)} is not finite at step {step}")
        read = stream if steering is None else steering.stream
        shares = read.realised(rows) if rows else None
        tokens = start.tokens + step * training.step_tokens
        begun = read.phase_start(rows)
        late = read.realised(rows, begun) if rows else None
        epochs = read.epochs(rows)
        return Measurement(
            tokens, area.previous, area.s1, area.s2, losses, shares, epochs, begun * training.length, late
        )

    def save(path: Path, run_id: str, step: int) -> None:
        save_state(path, run_id, step, model, optimizer, area, backend)

    resumed = resume is not None and find_state(resume.path) is not None
    if resume is not None and resumed:
        done, area = load_state(resume.path, resume.run_id, model, optimizer)
    if steering is not None:
        steering.take_up(done * training.step_tokens)
    # a run that was stopped between its last measurement and being marked as finished measures once more
    if not resumed or done == training.steps:
        yield measure(done)
    saved, cost = time.monotonic(), 0.0
    model.train()
    for step in range(done, training.steps if until is None else until):
        if steering is not None:
            steering.update(step * training.step_tokens, lambda held: evaluate(model, held, backend), backend.first)
            stream = steering.stream
        own = backend.own(first_row + step * training.batch, training.batch)
        rows = batch_at(stream, sources, own).to(backend.device)
        loss = backward(model, rows, backend)
        lr = training.lr * training.multiplier((step + 1) * training.step_tokens)
        norm = optimizer_step(optimizer, lr, training.clip)
        if not math.isfinite(norm):
            raise DivergedError(f"gradient norm {norm} at step {step + 1} (training loss {loss.item():.4g})")
        area.step(lr)
        tick((step + 1) * training.step_tokens)
        measured = step + 1 in measured_at
        if measured:
            yield measure(step + 1)
        if snapshots and step + 1 in kept:
            save(kept[step + 1], snapshots.run_id, step + 1)
        if resume is None:
            continue
        # A large state takes long to write, and most of the time is to go into training.
        late = time.monotonic() - saved > max(resume.seconds, SAVING_SHARE * cost)
        # Clocks of several processes differ: the first one's counts, asked now and then.
        asked = backend.world == 1 or (step + 1) % ASK_STEPS == 0
        if measured or (asked and backend.agree(late)):
            began = time.monotonic()
            save(resume.path, resume.run_id, step + 1)
            saved = time.monotonic()
            cost = saved - began

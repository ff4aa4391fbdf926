"""Checkpoints: the state of an interrupted run, and the weights that a base hands to its continual runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from trainer.files import atomic_path
from trainer.schedule import LearningRateArea


def save_checkpoint(
    path: Path,
    run_id: str,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    area: LearningRateArea,
) -> None:
    """Write weights, optimizer state and position, atomically.

    The stream needs no state of its own: it is a pure function of the position.
    """
    state = {
        "run_id": run_id,
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "area": asdict(area),
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(
    path: Path, run_id: str, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, LearningRateArea]:
    """Restore model and optimizer in place; returns the steps done and the learning-rate area.

    Raises:
        ValueError: if the checkpoint belongs to a run with other settings.
    """
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["run_id"] != run_id:
        raise ValueError(f"{path}: checkpoint of {state['run_id']}, not of {run_id}; delete it to start anew")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), LearningRateArea(**state["area"])


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the weights as safetensors, atomically."""
    with atomic_path(path) as temporary:
        save_file(model.state_dict(), temporary)


def load_weights(path: Path, model: nn.Module) -> None:
    """Restore weights written by :func:`save_weights`; every name and shape must agree."""
    model.load_state_dict(load_file(path))

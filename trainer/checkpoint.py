"""The state of a run on disk, whole or sharded, and the weights that a base hands to its continual runs.

One process writes one file. Several write a folder of shards (torch.distributed.checkpoint), each its own. Either is
read by any number of processes: parameters and optimizer states are named, not numbered.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)

from trainer.area import LearningRateArea
from trainer.backend import Backend
from trainer.files import atomic_path

SHARDED = ".shards"
"""Suffix of a folder of shards, after the number of steps."""
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def save_state(
    path: Path,
    run_id: str,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    area: LearningRateArea,
    backend: Backend,
) -> None:
    """Write weights, optimizer state and position, atomically; an older state under the same name goes.

    The stream needs no state of its own: it is a pure function of the position.
    """
    about = {"run_id": run_id, "step": step, "area": asdict(area)}
    if backend.world == 1:
        weights, moments = get_state_dict(model, optimizer)
        with atomic_path(path) as temporary:
            torch.save({**about, "model": weights, "optimizer": moments}, temporary)
        return
    folder = path.with_name(f"{path.name}-{step}{SHARDED}")
    unfinished = folder.with_name(folder.name + ".tmp")
    if backend.first:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    backend.wait()
    weights, moments = get_state_dict(model, optimizer)
    dcp.save({"about": about, "model": weights, "optimizer": moments}, checkpoint_id=unfinished)
    if backend.first:
        # The name without .tmp says that every shard is there.
        unfinished.rename(folder)
        for old in _states(path):
            if old != folder:
                _remove(old)
    backend.wait()


def find_state(path: Path) -> Path | None:
    """The latest state under this name, a file or a folder of shards; None where there is none."""
    return max(_states(path), key=_step, default=None)


def load_state(
    path: Path, run_id: str, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, LearningRateArea]:
    """Restore model and optimizer in place; returns the steps done and the learning-rate area.

    Raises:
        ValueError: if there is no state, or it belongs to a run with other settings.
    """
    found = find_state(path)
    if found is None:
        raise ValueError(f"{path}: there is no state of {run_id}")
    if found.is_dir():
        weights, moments = get_state_dict(model, optimizer)
        state: dict[str, Any] = {"about": {}, "model": weights, "optimizer": moments}
        about = _read_about(found)
        _check(found, about, run_id)
        _load_shards(state, found, alone=not dist.is_initialized())
        set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        return int(about["step"]), LearningRateArea(**about["area"])
    about = torch.load(found, weights_only=True, map_location="cpu")
    _check(found, about, run_id)
    set_state_dict(
        model, optimizer, model_state_dict=about["model"], optim_state_dict=about["optimizer"], options=WHOLE
    )
    return int(about["step"]), LearningRateArea(**about["area"])


def remove_state(path: Path) -> None:
    """Remove every state under this name."""
    for found in _states(path):
        _remove(found)


def save_weights(path: Path, model: nn.Module, backend: Backend) -> None:
    """Write the whole weights as safetensors, atomically, from the first process."""
    weights = get_model_state_dict(model, options=WHOLE)
    if backend.first:
        with atomic_path(path) as temporary:
            save_file({n: t.contiguous() for n, t in weights.items() if isinstance(t, torch.Tensor)}, temporary)
    backend.wait()


def load_weights(path: Path, model: nn.Module) -> None:
    """Restore weights written by :func:`save_weights` before the model is placed; names and shapes must agree."""
    model.load_state_dict(load_file(path))


def _states(path: Path) -> list[Path]:
    shards = [p for p in path.parent.glob(f"{path.name}-*{SHARDED}") if (p / ".metadata").exists()]
    return ([path] if path.exists() else []) + shards


def _step(found: Path) -> int:
    return int(_read_about(found)["step"])


def _read_about(found: Path) -> dict[str, Any]:
    if not found.is_dir():
        about: dict[str, Any] = torch.load(found, weights_only=True, map_location="cpu", mmap=True)
        return about
    state: dict[str, Any] = {"about": {"run_id": "", "step": 0, "area": asdict(LearningRateArea())}}
    _load_shards(state, found, alone=True)
    read: dict[str, Any] = state["about"]
    return read


def _load_shards(state: dict[str, Any], found: Path, alone: bool) -> None:
    with warnings.catch_warnings():
        # PyTorch warns that it assumes a single process even when it is told so.
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        dcp.load(state, checkpoint_id=found, no_dist=alone)


def _check(found: Path, about: dict[str, Any], run_id: str) -> None:
    if about["run_id"] != run_id:
        raise ValueError(f"{found}: state of {about['run_id']}, not of {run_id}; delete it to start anew")


def _remove(found: Path) -> None:
    shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)

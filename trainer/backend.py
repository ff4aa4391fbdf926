"""Where a run computes: a device, a number format, and this process's place among those that train together."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from trainer.machine import AUTO, Machine
from trainer.training import BFLOAT16, FLOAT32, PRECISIONS


@dataclass(frozen=True)
class Backend:
    """One process of a run.

    With several processes the model is sharded by FSDP2 and each of them reads its own rows of every batch, in the
    order of the stream: the samples of a step are the same for any number of processes.

    Args:
        device: where it computes.
        precision: ``float32``, or ``bfloat16`` for matrix products with weights kept in float32.
        compiled: whether the model goes through ``torch.compile``.
        rows: rows of a forward pass; 0 takes a batch as a whole, and leaves it to an evaluation how many it takes.
        rank: number of this process, from 0.
        world: number of processes.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = FLOAT32
    compiled: bool = False
    rows: int = 0
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}")

    @property
    def first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def place(self, model: nn.Module) -> nn.Module:
        """The model on this device, sharded over the processes where there are several."""
        model = model.to(self.device)
        if self.world > 1:
            mesh = init_device_mesh(self.device.type, (self.world,))
            half = torch.bfloat16 if self.precision == BFLOAT16 else None
            policy = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32)
            for block in getattr(model, "blocks", []):
                fully_shard(block, mesh=mesh, mp_policy=policy)
            fully_shard(model, mesh=mesh, mp_policy=policy)
        if self.compiled:
            model.compile()
        return model

    def own(self, first: int, count: int) -> range:
        """Positions of the stream that this process reads of the ``count`` rows from ``first`` on.

        Raises:
            ValueError: if the rows do not go evenly into the processes, which would weigh samples unequally.
        """
        if count % self.world:
            raise ValueError(f"batch: {count} rows do not go evenly into {self.world} processes")
        each = count // self.world
        return range(first + self.rank * each, first + (self.rank + 1) * each)

    def autocast(self) -> AbstractContextManager[object]:
        """The number format of the forward pass; sharded models have theirs in the sharding."""
        if self.precision == BFLOAT16 and self.world == 1:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def gather(self, values: Tensor) -> Tensor:
        """The values of all processes, one after another; as many in each."""
        if self.world == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.world)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def agree(self, yes: bool) -> bool:
        """What the first process says; all of them call this."""
        if self.world == 1:
            return yes
        said = torch.tensor([int(yes)], device=self.device)
        dist.broadcast(said, src=0)
        return bool(said.item())

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            dist.barrier()


def join(machine: Machine) -> Backend:
    """The backend of this process: alone, or one of those that ``torchrun`` started.

    Args:
        machine: device and compilation.

    Raises:
        ValueError: for a device that is not there.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if machine.device == AUTO else machine.device
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was asked for, but PyTorch sees no GPU here")
    place = torch.device(kind, int(os.environ.get("LOCAL_RANK", "0"))) if kind == "cuda" else torch.device("cpu")
    if kind == "cuda":
        torch.cuda.set_device(place)
    if world > 1 and not dist.is_initialized():
        # The others wait while the first process reads and packs the corpora, which may take hours.
        dist.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=timedelta(hours=24))
    return Backend(place, compiled=machine.compile, rows=machine.rows, rank=rank, world=world)


def leave() -> None:
    """Take this process out of its group; the other processes do so too."""
    if dist.is_initialized():
        dist.destroy_process_group()


def device_name(device: torch.device) -> str:
    """What the device is, as a record of the run says it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

"""What a run is executed on: which device, compiled or not. Part of no run's id, but of its record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

AUTO = "auto"
DEVICES = (AUTO, "cpu", "cuda")


@dataclass(frozen=True)
class Machine:
    """Options that every launcher has.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        rows: rows of a forward pass, by gradient accumulation where a batch has more; 0 takes a batch as a whole.
        compile: whether the model goes through ``torch.compile``: up to three times as fast, after 15 to 40 seconds
            for every size the first time, and it needs a C++ compiler on a CPU.
    """

    device: str = AUTO
    rows: int = 0
    compile: bool = False

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise ValueError(f"device: expected one of {', '.join(DEVICES)}, got {self.device!r}")
        if self.rows < 0:
            raise ValueError(f"rows: expected at least 0, got {self.rows}")


def gpus_here() -> int:
    """GPUs of this machine, without loading PyTorch."""
    folder = Path("/proc/driver/nvidia/gpus")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


class _Asked(Protocol):
    device: str
    rows: int
    compile: bool
    gpus: Any


def on_cpu_without_gpus(options: _Asked) -> Machine:
    """The machine of a job: a CPU where ``auto`` stands and no GPU was asked for, which others may be using."""
    device = "cpu" if options.device == AUTO and not options.gpus else options.device
    return Machine(device, options.rows, options.compile)

"""What a run is executed on: which device, compiled or not. Part of no run's id, but of its record."""

from __future__ import annotations

from dataclasses import dataclass

AUTO = "auto"
DEVICES = (AUTO, "cpu", "cuda")


@dataclass(frozen=True)
class Machine:
    """Options that every launcher has.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        compile: whether the model goes through ``torch.compile``: up to three times as fast, after 15 to 40 seconds
            for every size the first time, and it needs a C++ compiler on a CPU.
    """

    device: str = AUTO
    compile: bool = False

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise ValueError(f"device: expected one of {', '.join(DEVICES)}, got {self.device!r}")

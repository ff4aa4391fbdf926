"""How a run is optimised and measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainer.schedule import Schedule

FLOAT32 = "float32"
BFLOAT16 = "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)


def raise_faults(what: str, faults: list[str]) -> None:
    """Raise one ValueError that names every fault, if there are any."""
    if faults:
        raise ValueError(f"{what}: " + "; ".join(faults))


def is_whole(value: object, least: int) -> bool:
    """Whether ``value`` is a whole number of at least ``least``, and not a truth value."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Training:
    """How a run is optimised and measured.

    Args:
        tokens: tokens of the run, a multiple of ``batch * length``.
        length: positions in a row, in tokens.
        batch: rows in an optimizer step.
        lr: peak learning rate.
        schedule: multiplier of the peak along the run.
        weight_decay: decay of matrices, relative to the learning rate.
        clip: largest gradient norm.
        evaluations: measurements after the start, geometrically spaced and therefore dense early.
        first_evaluation: tokens at the first of them.
        validation_rows: rows of every validation set.
        precision: ``float32``, or ``bfloat16`` for matrix products with weights and optimizer kept in float32.
    """

    tokens: int
    length: int
    batch: int
    lr: float
    schedule: Schedule
    weight_decay: float = 0.1
    clip: float = 1.0
    evaluations: int = 12
    first_evaluation: int = 4096
    validation_rows: int = 64
    precision: str = FLOAT32

    def __post_init__(self) -> None:
        faults = [
            f"{name}: expected a whole number of at least {least}, got {getattr(self, name)!r}"
            for name, least in (
                ("tokens", 1),
                ("length", 1),
                ("batch", 1),
                ("evaluations", 1),
                ("first_evaluation", 1),
                ("validation_rows", 2),
            )
            if not is_whole(getattr(self, name), least)
        ]
        for name, open_low in (("lr", True), ("weight_decay", False), ("clip", True)):
            value = getattr(self, name)
            if not is_number(value) or value < 0 or (open_low and value == 0):
                faults.append(f"{name}: expected a number {'>' if open_low else '>='} 0, got {value!r}")
        if self.precision not in PRECISIONS:
            faults.append(f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        if not faults:
            step = self.batch * self.length
            if self.tokens % step:
                near = max(1, round(self.tokens / step)) * step
                faults.append(f"tokens: expected a multiple of batch * length = {step}, got {self.tokens}; try {near}")
            faults += self.schedule.faults(self.tokens)
            if self.first_evaluation > self.tokens:
                faults.append(f"first_evaluation: must not exceed tokens ({self.tokens}), got {self.first_evaluation}")
        raise_faults("training", faults)

    @property
    def step_tokens(self) -> int:
        """Tokens in one optimizer step."""
        return self.batch * self.length

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.tokens // self.step_tokens

    def multiplier(self, tokens: int) -> float:
        """Learning rate of the step that ends at ``tokens``, relative to the peak."""
        return self.schedule.multiplier(tokens, self.tokens)

    def evaluation_steps(self) -> list[int]:
        """Steps after which the losses are measured: geometric in tokens, the last step always among them."""
        first = min(1.0, self.first_evaluation / self.tokens)
        count = self.evaluations
        shares = [1.0] if count == 1 else [first ** (1 - i / (count - 1)) for i in range(count)]
        return sorted({max(1, round(share * self.steps)) for share in shares})

"""What a run is: frozen settings of a base or a continual run, whose id is the hash of all of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from trainer.files import content_hash
from trainer.mixture import exact_shares
from trainer.schedule import SCHEDULES
from trainer.sizes import Size


def raise_faults(what: str, faults: list[str]) -> None:
    """Raise one ValueError that names every fault, if there are any."""
    if faults:
        raise ValueError(f"{what}: " + "; ".join(faults))


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _canonical(value: Any) -> Any:
    """Settings with whole floats as integers: ``ratio: 1`` and ``ratio: 1.0`` are one run, with one id."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class Training:
    """How a run is optimised and measured.

    Args:
        tokens: tokens of the run, a multiple of ``batch * length``.
        length: positions in a row, in tokens.
        batch: rows in an optimizer step.
        lr: peak learning rate.
        schedule: name in ``SCHEDULES``.
        warmup_tokens: tokens of linear warm-up.
        floor: share of the peak learning rate at the end of a decaying schedule.
        weight_decay: decay of matrices, relative to the learning rate.
        clip: largest gradient norm.
        evaluations: measurements after the start, geometrically spaced and therefore dense early.
        first_evaluation: tokens at the first of them.
        validation_rows: rows of every validation set.
    """

    tokens: int
    length: int
    batch: int
    lr: float
    schedule: str
    warmup_tokens: int
    floor: float = 0.1
    weight_decay: float = 0.1
    clip: float = 1.0
    evaluations: int = 12
    first_evaluation: int = 4096
    validation_rows: int = 64

    def __post_init__(self) -> None:
        faults = [
            f"{name}: expected a whole number of at least {least}, got {getattr(self, name)!r}"
            for name, least in (
                ("tokens", 1),
                ("length", 1),
                ("batch", 1),
                ("warmup_tokens", 0),
                ("evaluations", 1),
                ("first_evaluation", 1),
                ("validation_rows", 2),
            )
            if not _whole(getattr(self, name), least)
        ]
        for name, low, high, open_low in (
            ("lr", 0.0, math.inf, True),
            ("floor", 0.0, 1.0, False),
            ("weight_decay", 0.0, math.inf, False),
            ("clip", 0.0, math.inf, True),
        ):
            value = getattr(self, name)
            if not _number(value) or value > high or value < low or (open_low and value == low):
                faults.append(f"{name}: expected a number {'>' if open_low else '>='} {low:g}, got {value!r}")
        if self.schedule not in SCHEDULES:
            faults.append(f"schedule: expected one of {', '.join(SCHEDULES)}, got {self.schedule!r}")
        if not faults:
            step = self.batch * self.length
            if self.tokens % step:
                near = max(1, round(self.tokens / step)) * step
                faults.append(f"tokens: expected a multiple of batch * length = {step}, got {self.tokens}; try {near}")
            if self.warmup_tokens >= self.tokens:
                faults.append(f"warmup_tokens: must be below tokens ({self.tokens}), got {self.warmup_tokens}")
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
        return SCHEDULES[self.schedule](tokens, self.tokens, self.warmup_tokens, self.floor)

    def evaluation_steps(self) -> list[int]:
        """Steps after which the losses are measured: geometric in tokens, the last step always among them."""
        first = min(1.0, self.first_evaluation / self.tokens)
        count = self.evaluations
        shares = [1.0] if count == 1 else [first ** (1 - i / (count - 1)) for i in range(count)]
        return sorted({max(1, round(share * self.steps)) for share in shares})


@dataclass(frozen=True)
class BaseSpec:
    """A base model: pre-trained on the general corpus only.

    Args:
        width: the dial of ``sizes.Size``.
        vocab: vocabulary in tokens.
        general: name of the general corpus.
        general_data: key of its tokenizer, split and packed rows.
        seed: seed of weights and data order.
        training: how it is trained.
    """

    width: int
    vocab: int
    general: str
    general_data: str
    seed: int
    training: Training

    def __post_init__(self) -> None:
        faults = [] if _whole(self.seed, 0) else [f"seed: expected a whole number, got {self.seed!r}"]
        try:
            Size(self.width)
        except ValueError as error:
            faults.append(str(error))
        raise_faults("base run", faults)

    @property
    def size(self) -> Size:
        """Width, depth and parameter counts."""
        return Size(self.width)

    @property
    def run_id(self) -> str:
        """Readable prefix and hash of all settings."""
        return f"base-w{self.width}-s{self.seed}-{content_hash(_canonical(asdict(self)))[:10]}"

    @property
    def flops(self) -> float:
        """Training FLOPs of the run."""
        return float(self.size.flops_per_token(self.vocab)) * self.training.tokens


@dataclass(frozen=True)
class RunSpec:
    """A continual run: a base model trained on with a mixture of the general corpus and one domain.

    Args:
        base: the base run it starts from; weights are taken over, the optimizer state is not.
        domain: name of the domain corpus.
        domain_data: key of its tokenizer, split and packed rows.
        ratio: requested share of domain rows, in [0, 1].
        seed: seed of the data order.
        training: how it is trained.
    """

    base: BaseSpec
    domain: str
    domain_data: str
    ratio: float
    seed: int
    training: Training

    def __post_init__(self) -> None:
        faults = [] if _whole(self.seed, 0) else [f"seed: expected a whole number, got {self.seed!r}"]
        if self.domain == self.base.general:
            faults.append(f"domain: {self.domain!r} is the general corpus; a domain is another one")
        if not _number(self.ratio):
            faults.append(f"ratio: expected a number in [0, 1], got {self.ratio!r}")
        else:
            try:
                exact_shares(self.shares)
            except ValueError as error:
                faults.append(f"ratio: {error}")
        if self.training.length != self.base.training.length:
            faults.append(f"length: {self.training.length}, but its base has {self.base.training.length}")
        raise_faults("run", faults)

    @property
    def shares(self) -> dict[str, float]:
        """Share of every source in the stream."""
        return {self.base.general: 1.0 - self.ratio, self.domain: float(self.ratio)}

    @property
    def run_id(self) -> str:
        """Readable prefix and hash of all settings, those of the base included."""
        label = f"{self.domain}-w{self.base.width}-r{self.ratio:g}-s{self.seed}"
        return f"{label}-{content_hash(_canonical(asdict(self)))[:10]}"

    @property
    def flops(self) -> float:
        """Training FLOPs of the run, its base not counted."""
        return float(self.base.size.flops_per_token(self.base.vocab)) * self.training.tokens


Spec = BaseSpec | RunSpec

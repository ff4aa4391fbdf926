"""Learning-rate schedules: frozen settings, and a pure function from tokens seen to a multiplier of the peak rate.

A step that ends at ``tokens`` uses the multiplier at ``tokens``, so the first step of a warm-up is not lost. All
lengths are in tokens; ``total`` is the length of the run.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from typing import Any, ClassVar

from trainer.reading import number


def cosine_fall(x: float) -> float:
    """From 1 at x = 0 to 0 at x = 1: ``(1 + cos(pi x)) / 2``."""
    return (1.0 + math.cos(math.pi * x)) / 2.0


def linear_fall(x: float) -> float:
    """From 1 at x = 0 to 0 at x = 1: ``1 - x``."""
    return 1.0 - x


def sqrt_fall(x: float) -> float:
    """From 1 at x = 0 to 0 at x = 1: ``1 - sqrt(x)``. Source: Haegele et al. 2024 (2405.18392)."""
    return 1.0 - math.sqrt(x)


FALLS: dict[str, Callable[[float], float]] = {"cosine": cosine_fall, "linear": linear_fall, "sqrt": sqrt_fall}
"""Shapes of a decay by name."""


def inverse_sqrt_fall(x: float, timescale: float) -> float:
    """From 1 at x = 0 to 0 at x = 1: ``1 - h(x)/h(1)`` with ``h(x) = 1/sqrt(1 + timescale x) - 1``."""

    def h(at: float) -> float:
        return 1.0 / math.sqrt(1.0 + timescale * at) - 1.0

    return 1.0 - h(x) / h(1.0)


@dataclass(frozen=True)
class Schedule(ABC):
    """A learning-rate schedule with a linear warm-up.

    Args:
        warmup_tokens: tokens of linear warm-up from 0; 0 starts at the peak.
    """

    kind: ClassVar[str]

    warmup_tokens: int = 0

    @abstractmethod
    def after_warmup(self, tokens: float, total: float) -> float:
        """Multiplier of the peak learning rate at ``tokens`` past the warm-up of a run of ``total`` tokens."""

    def multiplier(self, tokens: float, total: float) -> float:
        """Multiplier of the peak learning rate for the step that ends at ``tokens``."""
        if tokens < self.warmup_tokens:
            return tokens / self.warmup_tokens
        return self.after_warmup(tokens, total)

    def faults(self, total: int) -> list[str]:
        """Everything that does not fit a run of ``total`` tokens."""
        found = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_tokens") and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                found.append(f"{field.name}: expected a whole number of tokens >= 0, got {value!r}")
            if field.name in ("floor", "constant") and not (isinstance(value, int | float) and 0 <= value <= 1):
                found.append(f"{field.name}: expected a share of the peak in [0, 1], got {value!r}")
        if not found and self.warmup_tokens >= total:
            found.append(f"warmup_tokens: must be below tokens ({total}), got {self.warmup_tokens}")
        return found


@dataclass(frozen=True)
class Constant(Schedule):
    """Warm-up, then the peak for as long as wanted: checkpoints of one run stay comparable."""

    kind: ClassVar[str] = "constant"

    def after_warmup(self, tokens: float, total: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """Re-warming and re-decaying: ``floor + (1 - floor)/2 (1 + cos(pi x))``, x the share of what follows the warm-up.

    Source: Ibrahim et al. 2024 (2403.08763), equations 1 and 2; their floor is 0.1.
    """

    kind: ClassVar[str] = "cosine"

    floor: float = 0.1

    def after_warmup(self, tokens: float, total: float) -> float:
        x = min(1.0, (tokens - self.warmup_tokens) / (total - self.warmup_tokens))
        return self.floor + (1.0 - self.floor) * cosine_fall(x)


@dataclass(frozen=True)
class WarmupStableDecay(Schedule):
    """Warm-up, peak, and a decay to ``floor`` over the last ``decay_tokens``; with no warm-up, an annealing branch.

    Args:
        decay_tokens: length of the decay.
        floor: multiplier at the end.
        shape: ``linear``, ``cosine`` or ``sqrt`` (``1 - sqrt(x)``).
    """

    kind: ClassVar[str] = "wsd"

    decay_tokens: int = 0
    floor: float = 0.0
    shape: str = "linear"

    def after_warmup(self, tokens: float, total: float) -> float:
        start = total - self.decay_tokens
        if tokens <= start:
            return 1.0
        return self.floor + (1.0 - self.floor) * FALLS[self.shape](min(1.0, (tokens - start) / self.decay_tokens))

    def faults(self, total: int) -> list[str]:
        found = super().faults(total)
        if self.shape not in FALLS:
            found.append(f"shape: expected one of {', '.join(FALLS)}, got {self.shape!r}")
        if not found and not 0 < self.decay_tokens <= total - self.warmup_tokens:
            found.append(
                f"decay_tokens: expected 1 to {total - self.warmup_tokens} (tokens less warm-up), "
                f"got {self.decay_tokens}"
            )
        return found


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """``limit + (1 - limit)/sqrt(1 + (t - warmup)/timescale)``, then linearly to ``floor`` over ``cooldown_tokens``.

    Source: Zhai et al. 2022 (2106.04560) as in LLM Foundry's scheduler of that name, which needs lengths in tokens
    because a continual run's total is expected to change.
    """

    kind: ClassVar[str] = "inverse-sqrt"

    timescale_tokens: int = 0
    cooldown_tokens: int = 0
    limit: float = 0.0
    floor: float = 0.0

    def after_warmup(self, tokens: float, total: float) -> float:
        start = max(total - self.cooldown_tokens, self.warmup_tokens)
        at = min(tokens, start)
        reached = self.limit + (1.0 - self.limit) / math.sqrt(1.0 + (at - self.warmup_tokens) / self.timescale_tokens)
        if tokens <= start:
            return reached
        return reached + (self.floor - reached) * min(1.0, (tokens - start) / (total - start))

    def faults(self, total: int) -> list[str]:
        found = super().faults(total)
        if not (isinstance(self.limit, int | float) and 0 <= self.limit < 1):
            found.append(f"limit: expected a share of the peak in [0, 1), got {self.limit!r}")
        if not found and self.timescale_tokens < 1:
            found.append(f"timescale_tokens: expected at least 1, got {self.timescale_tokens}")
        if not found and self.warmup_tokens + self.cooldown_tokens > total:
            found.append(f"cooldown_tokens: with the warm-up longer than the run of {total}: {self.cooldown_tokens}")
        return found


@dataclass(frozen=True)
class Infinite(Schedule):
    """Warm-up, cooldown to a constant rate for as long as wanted, and an exponential anneal at the end.

    With c the constant multiplier: cooldown ``c + (1 - c) f(x)``, then c, then ``c (floor/c)^y`` over the last
    ``anneal_tokens`` (y from 0 to 1). A later dataset goes on at c, without warm-up or cooldown.

    Source: Ibrahim et al. 2024 (2403.08763), sections 7.2 to 7.4: c = 0.55 and a cooldown of 60 % of the run. Their
    timescale of the inverse square root is not published; 10 is that of a public implementation.

    Args:
        cooldown: ``cosine``, ``inverse-sqrt`` or ``linear``.
        cooldown_tokens: length of the cooldown.
        constant: c, a multiplier of the peak.
        anneal_tokens: length of the anneal; 0 has none.
        floor: multiplier at the end of the anneal, above 0.
        timescale: of the inverse-sqrt cooldown.
    """

    kind: ClassVar[str] = "infinite"

    cooldown: str = "cosine"
    cooldown_tokens: int = 0
    constant: float = 0.55
    anneal_tokens: int = 0
    floor: float = 0.1
    timescale: float = 10.0

    def after_warmup(self, tokens: float, total: float) -> float:
        c = self.constant
        into = tokens - self.warmup_tokens
        start = total - self.anneal_tokens
        if self.anneal_tokens and tokens > start:
            return float(c * (self.floor / c) ** min(1.0, (tokens - start) / self.anneal_tokens))
        if into >= self.cooldown_tokens:
            return c
        x = into / self.cooldown_tokens
        fall = inverse_sqrt_fall(x, self.timescale) if self.cooldown == "inverse-sqrt" else FALLS[self.cooldown](x)
        return c + (1.0 - c) * fall

    def faults(self, total: int) -> list[str]:
        found = super().faults(total)
        if self.cooldown not in ("cosine", "inverse-sqrt", "linear"):
            found.append(f"cooldown: expected cosine, inverse-sqrt or linear, got {self.cooldown!r}")
        for name in ("constant", "floor", "timescale"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and value > 0):
                found.append(f"{name}: expected a number above 0, got {value!r}")
        if not found and self.warmup_tokens + self.cooldown_tokens + self.anneal_tokens > total:
            found.append(f"warmup_tokens, cooldown_tokens and anneal_tokens exceed the run of {total}")
        return found


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.kind: schedule for schedule in (Constant, Cosine, WarmupStableDecay, InverseSqrt, Infinite)
}
"""Every schedule by the name it has in a study; a new one is a class and one entry."""


def read_schedule(value: Any) -> Schedule:
    """The schedule of a study's entry: a mapping with ``kind`` and the settings of that kind.

    Raises:
        ValueError: for an unknown kind or setting.
    """
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str) or value["kind"] not in SCHEDULES:
        kinds = ", ".join(SCHEDULES)
        raise ValueError(
            f"schedule: expected {{kind: ..., warmup_tokens: ...}} with kind one of {kinds}, got {value!r}"
        )
    kind = SCHEDULES[value["kind"]]
    given = {name: item for name, item in value.items() if name != "kind"}
    known = [field.name for field in fields(kind)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"schedule {kind.kind}: no setting {', '.join(unknown)}; there are {', '.join(known)}")
    wrong = [
        f"{f.name}: expected text, got {given[f.name]!r}"
        for f in fields(kind)
        if _is_text(f) and not isinstance(given.get(f.name, ""), str)
    ]
    if wrong:
        raise ValueError(f"schedule {kind.kind}: " + "; ".join(wrong))
    return kind(
        **{f.name: given[f.name] if _is_text(f) else number(given[f.name]) for f in fields(kind) if f.name in given}
    )


def _is_text(field: Field[Any]) -> bool:
    return isinstance(field.default, str)

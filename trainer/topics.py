"""Topic-based mixture: topics whose validation perplexity rose get more data, those that improved get less.

    f_i = 1 + alpha * delta_i * w_i,    r_i <- r_i f_i / sum_j r_j f_j

with r_i the share of topic i and delta_i its change of perplexity since the last measurement, normalised. Source: Chen
et al. 2024, Towards Effective and Efficient Continual Pre-training (2407.18743): the update from the authors' figure 1,
f from second-hand notes. Not found are the normalisation, alpha, w and the interval, and no code for the update was
released: here all of these are settings without a default, and none of their values is the paper's. Floor, ceiling and
the rounding of shares are not in the paper at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

from trainer.chairman import RESOLUTION, exact_shares
from trainer.shares import bounded, on_grid

SMALLEST = Fraction(1, RESOLUTION)
"""The least share that can be expressed; a topic never falls below it, because from zero it could not return."""
LARGEST = 1e100
"""What is above is no perplexity: 230 nats per token."""
ROUNDING = 1e-12
"""Changes that differ by less than this, relative to the perplexity, do not differ: scaling would blow them up."""


def maxabs(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """``d_i / max_j |d_j|`` with ``d = after - before``: in [-1, 1], the same for all scales of perplexity.

    The largest change counts as 1 however small it is, so alpha alone says how fast shares move, noise or not.
    """
    changes = [b - a for a, b in zip(before, after, strict=True)]
    largest = max(map(abs, changes))
    return [0.0] * len(changes) if largest <= ROUNDING * max(after) else [d / largest for d in changes]


def relative(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """``d_i / before_i``: the same for all scales of each topic; small changes move shares little."""
    return [(b - a) / a for a, b in zip(before, after, strict=True)]


def zscore(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """``(d_i - mean d) / sd d`` over topics: only differences between topics count, not their common change.

    A topic that improved less than the others has a positive delta.
    """
    changes = [b - a for a, b in zip(before, after, strict=True)]
    mean = math.fsum(changes) / len(changes)
    sd = math.sqrt(math.fsum((d - mean) ** 2 for d in changes) / len(changes))
    return [0.0] * len(changes) if sd <= ROUNDING * max(after) else [(d - mean) / sd for d in changes]


NORMALISE: dict[str, Callable[[Sequence[float], Sequence[float]], list[float]]] = {
    "maxabs": maxabs,
    "relative": relative,
    "zscore": zscore,
}
"""Every normalisation by name: (perplexities before, after) to deltas; a new one is a function and one entry."""


@dataclass(frozen=True)
class TopicOptions:
    """Settings of a topic controller. None of the values is published; see the top of the file.

    Args:
        shares: share of every topic at the start, positive, summing to one.
        alpha: strength of an update, positive.
        normalise: name in ``NORMALISE``.
        weights: importance w of every topic, at least 0; a topic of weight 0 always has the factor 1.
        interval_tokens: tokens between two updates.
        floor: least share of any topic, a whole number of millionths.
        ceiling: largest share of any topic, a whole number of millionths.

    Raises:
        ValueError: naming every fault.
    """

    shares: Mapping[str, float | Fraction]
    alpha: float
    normalise: str
    weights: Mapping[str, float]
    interval_tokens: int
    floor: float | Fraction = SMALLEST
    ceiling: float | Fraction = 1

    def __post_init__(self) -> None:
        faults = [] if len(self.shares) > 1 else [f"shares: expected at least two topics, got {list(self.shares)}"]
        if not _real(self.alpha) or self.alpha <= 0:
            faults.append(f"alpha: expected a positive number, got {self.alpha!r}")
        if self.normalise not in NORMALISE:
            faults.append(f"normalise: expected one of {', '.join(NORMALISE)}, got {self.normalise!r}")
        faults += _topic_faults("weights", self.shares, self.weights)
        faults += [
            f"weights: {topic}: expected a number of at least 0, got {weight!r}"
            for topic, weight in self.weights.items()
            if not _real(weight) or weight < 0
        ]
        if isinstance(self.interval_tokens, bool) or not isinstance(self.interval_tokens, int):
            faults.append(f"interval_tokens: expected a whole number, got {self.interval_tokens!r}")
        elif self.interval_tokens < 1:
            faults.append(f"interval_tokens: expected at least 1, got {self.interval_tokens}")
        for name in ("floor", "ceiling"):
            bound = getattr(self, name)
            if not _real(bound) or not SMALLEST <= _millionths(bound) <= 1 or abs(bound - _millionths(bound)) > 1e-12:
                faults.append(f"{name}: expected 0.000001 to 1 with at most six decimals, got {bound!r}")
        wrong = [f"shares: {topic}: expected a number, got {r!r}" for topic, r in self.shares.items() if not _real(r)]
        if not faults and not wrong:
            try:
                wrong = [
                    f"shares: {topic}: expected {self.low} to {self.high} (floor to ceiling), got {share}"
                    for topic, share in self.start.items()
                    if not self.low <= share <= self.high
                ]
            except ValueError as error:
                wrong = [f"shares: {error}"]
        if faults + wrong:
            raise ValueError("topics: " + "; ".join(faults + wrong))

    @property
    def start(self) -> dict[str, Fraction]:
        """The shares at the start, exactly."""
        return exact_shares({topic: float(share) for topic, share in self.shares.items()})

    @property
    def low(self) -> Fraction:
        """The floor, exactly."""
        return _millionths(self.floor)

    @property
    def high(self) -> Fraction:
        """The ceiling, exactly."""
        return _millionths(self.ceiling)


@dataclass(frozen=True)
class Update:
    """One entry of a controller's log.

    Args:
        tokens: tokens seen when the perplexities were measured.
        perplexities: validation perplexity of every topic.
        deltas: normalised changes since the entry before; 0 in the first.
        factors: f of every topic; 1 in the first.
        before: shares until here.
        after: shares from here on.
    """

    tokens: int
    perplexities: dict[str, float]
    deltas: dict[str, float]
    factors: dict[str, float]
    before: dict[str, Fraction]
    after: dict[str, Fraction]


def decide(options: TopicOptions, last: Update | None, perplexities: Mapping[str, float]) -> Update:
    """The update that follows ``last`` when these perplexities are measured: a pure function.

    The result is kept within floor and ceiling by scaling the topics between them alike, and rounded to millionths
    of which no topic loses its last one. Without a last update the perplexities are where changes are counted from.

    Args:
        options: the settings.
        last: the update before; None for the first.
        perplexities: validation perplexity of every topic, at least 1.

    Raises:
        ValueError: for missing or unknown topics, perplexities that are none, or a factor that is not positive.
    """
    faults = _topic_faults("perplexities", options.shares, perplexities)
    faults += [
        f"perplexities: {topic}: expected a perplexity, from 1 to {LARGEST:g}, got {value!r}"
        for topic, value in perplexities.items()
        if not _real(value) or not 1 <= value <= LARGEST
    ]
    if faults:
        raise ValueError("topics: " + "; ".join(faults))
    topics = list(options.shares)
    now = {topic: float(perplexities[topic]) for topic in topics}
    if last is None:
        still, one = dict.fromkeys(topics, 0.0), dict.fromkeys(topics, 1.0)
        return Update(0, now, still, one, options.start, options.start)
    scaled = NORMALISE[options.normalise]([last.perplexities[t] for t in topics], list(now.values()))
    deltas = dict(zip(topics, scaled, strict=True))
    slopes = {topic: deltas[topic] * float(options.weights[topic]) for topic in topics}
    factors = {topic: 1.0 + float(options.alpha) * slope for topic, slope in slopes.items()}
    wild = [f"{topic}: {factor}" for topic, factor in factors.items() if not math.isfinite(factor)]
    if wild:
        raise ValueError(f"topics: factors are not finite ({'; '.join(wild)}); lower alpha or the weights")
    broken = [f"{topic}: {factor:.6g}" for topic, factor in factors.items() if factor <= 0]
    if broken:
        limit = -1 / min(slopes.values())
        raise ValueError(
            f"topics: expected positive factors, got {'; '.join(broken)} with alpha {options.alpha:g}; "
            f"these perplexities allow an alpha below {limit:.6g}"
        )
    raw = {topic: last.after[topic] * Fraction(factors[topic]) for topic in topics}
    total = sum(raw.values())
    target = bounded({topic: share / total for topic, share in raw.items()}, options.low, options.high)
    # What did not move is not rounded either: thirds stay thirds.
    after = last.after if target == last.after else on_grid(target, RESOLUTION)
    return Update(last.tokens + options.interval_tokens, now, deltas, factors, last.after, after)


def replay(options: TopicOptions, log: Sequence[Update]) -> dict[str, Fraction]:
    """The shares after a log, decided anew from its perplexities alone.

    Raises:
        ValueError: if an entry is not what these settings decide, naming the first such entry.
    """
    last = None
    for number, entry in enumerate(log):
        again = decide(options, last, entry.perplexities)
        if again != entry:
            told = [name for name in Update.__dataclass_fields__ if getattr(again, name) != getattr(entry, name)]
            raise ValueError(
                f"topics: entry {number} of the log (token {entry.tokens}) differs in {', '.join(told)} from what its "
                "perplexities decide; it was written with other settings, or changed"
            )
        last = again
    return options.start if last is None else last.after


@dataclass
class TopicController:
    """Shares of topics along a run, with a log from which they can be decided again.

    Args:
        options: the settings.
        log: every update so far, oldest first.
    """

    options: TopicOptions
    log: list[Update] = field(default_factory=list)

    @property
    def shares(self) -> dict[str, Fraction]:
        """The shares in force."""
        return dict(self.log[-1].after) if self.log else self.options.start

    @property
    def next_tokens(self) -> int:
        """Tokens at which the next perplexities are due: 0, and then every interval."""
        return len(self.log) * self.options.interval_tokens

    def update(self, perplexities: Mapping[str, float]) -> dict[str, Fraction]:
        """Take the perplexities measured at ``next_tokens`` and return the shares from there on.

        The first call, at token 0, changes nothing: it is what the next one is compared with. A refused call, see
        :func:`decide`, leaves the controller as it was.
        """
        self.log.append(decide(self.options, self.log[-1] if self.log else None, perplexities))
        return self.shares

    def to_json(self) -> dict[str, Any]:
        """Settings and log as JSON values; shares as text like ``3/10``."""
        options = asdict(self.options) | {
            "shares": _as_text(self.options.start),
            "alpha": float(self.options.alpha),
            "weights": {topic: float(weight) for topic, weight in self.options.weights.items()},
            "floor": str(self.options.low),
            "ceiling": str(self.options.high),
        }
        log = [asdict(entry) | {"before": _as_text(entry.before), "after": _as_text(entry.after)} for entry in self.log]
        return {"options": options, "log": log}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TopicController:
        """The controller that :meth:`to_json` wrote, its log decided anew and compared.

        Raises:
            ValueError: if a part is missing or unknown, the settings are refused, or the log is not theirs.
        """
        try:
            given = dict(value["options"])
            given |= _as_fractions({name: given[name] for name in ("floor", "ceiling")})
            given["shares"] = _as_fractions(given["shares"])
            options = TopicOptions(**given)
            parts = [
                dict(entry) | {name: _as_fractions(entry[name]) for name in ("before", "after")}
                for entry in value["log"]
            ]
            log = [Update(**part) for part in parts]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"topics: expected what to_json wrote, got something else: {error!r}") from error
        replay(options, log)
        return cls(options, log)


def _real(value: object) -> bool:
    return isinstance(value, int | float | Fraction) and not isinstance(value, bool) and math.isfinite(value)


def _millionths(value: float | Fraction) -> Fraction:
    return Fraction(round(Fraction(value) * RESOLUTION), RESOLUTION)


def _topic_faults(what: str, expected: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Topics that are missing from ``given``, and those that nobody knows."""
    faults = [f"{what}: nothing for topic {topic!r}" for topic in expected if topic not in given]
    return faults + [f"{what}: no topic is called {topic!r}" for topic in given if topic not in expected]


def _as_text(shares: Mapping[str, Fraction]) -> dict[str, str]:
    return {topic: str(share) for topic, share in shares.items()}


def _as_fractions(shares: Mapping[str, str]) -> dict[str, Fraction]:
    try:
        return {topic: Fraction(share) for topic, share in shares.items()}
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"topics: expected shares as text like 3/10, got {dict(shares)}") from error

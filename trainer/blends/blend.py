"""A chosen mixture, apart from any trainer: sources, exact shares along the run, and how often each is repeated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from trainer.chairman import RESOLUTION, exact_shares

Share = float | Fraction


@dataclass(frozen=True)
class Source:
    """One corpus, packed or prepared for the trainer that will read it.

    Args:
        name: what it is called, unique in its blend.
        share: share of the tokens of the run, in [0, 1], from token 0 on.
        location: path, prefix or address of the data, as that trainer wants it.
        tokens: tokens available, counted once.
    """

    name: str
    share: Share
    location: str
    tokens: int


@dataclass(frozen=True)
class BlendPhase:
    """New shares from a token of the run on.

    Args:
        start: token at which they take effect.
        shares: share of every source; one that is left out gives nothing.
    """

    start: int
    shares: Mapping[str, Share]


@dataclass(frozen=True)
class Stage:
    """A stretch of the run over which shares do not change.

    Args:
        start: its first token.
        tokens: tokens that it lasts.
        shares: exact share of every source that gives any; they sum to one.
    """

    start: int
    tokens: int
    shares: Mapping[str, Fraction]

    @property
    def weights(self) -> dict[str, int]:
        """The shares as whole numbers of the least size: ``weight / sum(weights)`` is the share, exactly.

        Decimals would not do: thirds have none, and a sum of rounded shares is not one.
        """
        scale = math.lcm(*(share.denominator for share in self.shares.values()))
        return {name: int(share * scale) for name, share in self.shares.items()}


@dataclass(frozen=True)
class Blend:
    """What is to be trained on.

    Args:
        sources: all sources, with the shares that hold from token 0.
        tokens: tokens of the run.
        phases: later changes of the shares, in order of their start.

    Raises:
        ValueError: naming every fault: names given twice, text that cannot be written into a configuration, shares
            that do not sum to one or are finer than a millionth, phases out of order, sources that are never used.
    """

    sources: tuple[Source, ...]
    tokens: int
    phases: tuple[BlendPhase, ...] = ()

    def __post_init__(self) -> None:
        names = [source.name for source in self.sources]
        faults = [] if names else ["sources: expected at least one, got none"]
        faults += [f"sources: {name!r} given twice" for name in sorted({n for n in names if names.count(n) > 1})]
        for source in self.sources:
            faults += text_faults(f"{source.name!r}: name", source.name)
            faults += text_faults(f"{source.name!r}: location", source.location)
            faults += count_faults(f"{source.name!r}: tokens", source.tokens)
        faults += count_faults("tokens", self.tokens)
        last = 0
        for number, phase in enumerate(self.phases, 1):
            where = f"phase {number}"
            faults += [f"{where}: no source is called {name!r}" for name in phase.shares if name not in names]
            wrong = count_faults(f"{where}: start", phase.start)
            if not wrong and not count_faults("tokens", self.tokens) and not last < phase.start < self.tokens:
                wrong = [
                    f"{where}: expected a start after token {last} and before {self.tokens}, got {phase.start}; "
                    "the shares of the sources are those of token 0"
                ]
            faults += wrong
            last = last if wrong else phase.start
        first = {source.name: source.share for source in self.sources}
        plans = [first, *(phase.shares for phase in self.phases)]
        exact = [_exact(f"phase {number}" if number else "sources", plan, faults) for number, plan in enumerate(plans)]
        faults += [
            f"{name!r}: its share is 0 from start to end; leave it out"
            for name in dict.fromkeys(names)
            if not faults and not any(shares.get(name) for shares in exact)
        ]
        if faults:
            raise ValueError("blend: " + "; ".join(faults))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The run as stretches of constant shares, the first from token 0; sources without a share are left out."""
        first = {source.name: source.share for source in self.sources}
        plans = [BlendPhase(0, first), *self.phases]
        ends = [*(phase.start for phase in self.phases), self.tokens]
        return tuple(
            Stage(plan.start, end - plan.start, {n: s for n, s in _exact("", plan.shares, []).items() if s > 0})
            for plan, end in zip(plans, ends, strict=True)
        )

    @property
    def locations(self) -> dict[str, str]:
        """Location of every source."""
        return {source.name: source.location for source in self.sources}

    @property
    def needed(self) -> dict[str, Fraction]:
        """Tokens that the run takes from every source."""
        return {
            source.name: sum((s.tokens * s.shares.get(source.name, Fraction()) for s in self.stages), Fraction())
            for source in self.sources
        }


def text_faults(what: str, text: object) -> list[str]:
    """Why ``text`` cannot stand in a configuration: at most one reason."""
    if not isinstance(text, str) or not text:
        return [f"{what}: expected text, got {text!r}"]
    # A line break would end a comment, an option is read as one, and OmegaConf fills in ${...} wherever it stands.
    if not text.isprintable() or text != text.strip() or text.startswith("-") or "${" in text:
        return [
            f"{what}: expected printable text on one line that does not begin with '-', has no space at either end "
            f"and no '${{', got {text!r}; rename or link it"
        ]
    return []


def count_faults(what: str, count: object) -> list[str]:
    """Why ``count`` is no number of tokens: at most one reason."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        return [f"{what}: expected a whole number of at least 1, got {count!r}"]
    return []


def _exact(where: str, shares: Mapping[str, Share], faults: list[str]) -> dict[str, Fraction]:
    """Exact shares; what is wrong with them is added to ``faults``."""
    wrong = [
        f"{where}: {name!r}: expected a share in [0, 1], got {share!r}"
        for name, share in shares.items()
        if isinstance(share, bool) or not isinstance(share, int | float | Fraction)
    ]
    wrong += [
        f"{where}: {name!r}: expected a denominator up to {RESOLUTION}, got {share}"
        for name, share in shares.items()
        if isinstance(share, Fraction) and share.denominator > RESOLUTION
    ]
    if wrong:
        faults += wrong
        return {}
    try:
        return exact_shares({name: float(share) for name, share in shares.items()})
    except ValueError as error:
        faults.append(f"{where}: {error}")
        return {}

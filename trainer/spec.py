"""What a run is: frozen settings of a base, a continual run or a branch, whose id is the hash of all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from trainer.bases import Base, BaseSpec, CheckpointSpec
from trainer.chairman import RESOLUTION, exact_shares
from trainer.curriculum import KINDS, ORIGINAL
from trainer.files import content_hash, derived_seed
from trainer.settings import settings_of
from trainer.topics import TopicOptions
from trainer.training import Training, is_number, is_whole, raise_faults

RESET = "reset"
KEEP = "keep"
"""What becomes of the optimizer state at the start of a run."""


@dataclass(frozen=True)
class Mix:
    """Shares of every source from some point of a run on.

    Args:
        start: tokens of the run at which they begin to hold, a multiple of a row.
        shares: share of every corpus, each in [0, 1]; they sum to one.
    """

    start: int
    shares: dict[str, float]


@dataclass(frozen=True)
class Topics:
    """Shares of the first mix that follow the perplexity of its topics: see topics.py, where these are explained.

    Args:
        alpha: strength of an update.
        normalise: how changes of perplexity are scaled.
        interval_tokens: tokens between two updates, a multiple of a step.
        weights: importance of every topic; corpora of the mix that are not named here keep their share.
        floor: least share of a topic among the topics; None is the least that can be expressed.
        ceiling: largest share of a topic among the topics.
    """

    alpha: float
    normalise: str
    interval_tokens: int
    weights: dict[str, float]
    floor: float | None = None
    ceiling: float = 1.0

    def options(self, shares: dict[str, float]) -> TopicOptions:
        """The controller's options for a run whose first mix has these shares.

        Raises:
            ValueError: naming every fault.
        """
        strange = [name for name in self.weights if name not in shares]
        if strange:
            raise ValueError(f"topics: weights: {', '.join(strange)}: not in the first mix, which has {list(shares)}")
        exact = exact_shares(shares)
        joint = sum((exact[name] for name in self.weights), Fraction())
        if not joint:
            raise ValueError(
                f"topics: weights: expected topics with a share in the first mix, got {list(self.weights)}"
            )
        least = math.ceil(1 / joint) / RESOLUTION
        floor = least if self.floor is None else self.floor
        if is_number(floor) and floor < least:
            raise ValueError(
                f"topics: floor: {floor:g} of topics that together have {float(joint):g} is finer than a share can be; "
                f"expected at least {least:f}"
            )
        among = {name: exact[name] / joint for name in self.weights}
        return TopicOptions(among, self.alpha, self.normalise, self.weights, self.interval_tokens, floor, self.ceiling)


@dataclass(frozen=True)
class RunSpec:
    """A continual run on a mixture of the general corpus, one domain and any others.

    It starts from the weights of its base with fresh data and a fresh schedule; or, as a branch, from the exact state
    of another run (its trunk) at some point, whose data it goes on reading where the trunk was.

    Args:
        base: the base run or checkpoint it starts from.
        domain: name of the domain corpus: its share is the ratio.
        data: key of tokenizer, split and packed rows of every corpus of the mixes.
        mixes: shares along the run, the first from 0 tokens; for a branch, along the branch.
        seed: seed of the data order.
        training: how it is trained; tokens and schedule of a branch count from its start.
        optimizer: ``reset``, or ``keep`` the state that the base ended with. A branch always keeps it.
        orders: order of the rows of a corpus, where it is not ``shuffled``: ``original`` is that of the base,
            ``ascending`` and ``descending`` are by perplexity under the base (see curriculum.py).
        limits: tokens of a corpus that may be used, where not all: a scarce domain, simulated.
        max_epochs: how often a corpus may be gone through, where that is limited.
        trunk: the run that a branch starts from.
        at: the trunk's own tokens at which the branch starts.
        topics: lets the shares of the first mix follow what the model has learned, from those it starts with.
        save: whether the trained model is kept: a run is measured, and most are not wanted after that.
    """

    base: Base
    domain: str
    data: dict[str, str]
    mixes: tuple[Mix, ...]
    seed: int
    training: Training
    optimizer: str = RESET
    orders: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    max_epochs: dict[str, float] = field(default_factory=dict)
    trunk: RunSpec | None = None
    at: int = 0
    topics: Topics | None = None
    save: bool = False

    def __post_init__(self) -> None:
        faults = [] if is_whole(self.seed, 0) else [f"seed: expected a whole number, got {self.seed!r}"]
        if self.domain == self.base.general:
            faults.append(f"domain: {self.domain!r} is the general corpus; a domain is another one")
        if self.training.length != self.base.length:
            faults.append(f"length: {self.training.length}, but its base has {self.base.length}")
        if isinstance(self.base, CheckpointSpec):
            if ORIGINAL in self.orders.values():
                faults.append("orders: nobody knows in which order a checkpoint read its data; expected shuffled")
            if self.optimizer == KEEP and self.trunk is None:
                faults.append("optimizer: a checkpoint comes without the state of its optimizer; expected reset")
        faults += self._mix_faults()
        faults += self._start_faults()
        faults += self._topic_faults()
        names = {name for mix in self.mixes for name in mix.shares}
        faults += [f"data: no packed rows are named for {name}" for name in sorted(names - set(self.data))]
        # what a branch leaves out was read by its trunk, in an order and up to a limit that stay what they were
        ever = names | set(self.trunk.corpora if self.trunk else [])
        for what, given in (("orders", self.orders), ("limits", self.limits), ("max_epochs", self.max_epochs)):
            faults += [f"{what}: {name} is in no mix" for name in given if name not in ever]
        for name, order in self.orders.items():
            allowed = [kind for kind in KINDS if kind != ORIGINAL or name == self.base.general]
            if order not in allowed:
                faults.append(f"orders.{name}: expected one of {', '.join(allowed)}, got {order!r}")
        faults += [
            f"limits.{name}: what is limited cannot be read in its original order"
            for name in self.limits
            if self.orders.get(name) == ORIGINAL
        ]
        faults += [
            f"limits.{name}: expected a whole number of tokens, at least a row of {self.training.length}, got {limit!r}"
            for name, limit in self.limits.items()
            if not is_whole(limit, self.training.length)
        ]
        faults += [
            f"max_epochs.{name}: expected a number above 0, got {limit!r}"
            for name, limit in self.max_epochs.items()
            if not (is_number(limit) and limit > 0)
        ]
        raise_faults("run", faults)

    def _mix_faults(self) -> list[str]:
        starts = [mix.start for mix in self.mixes]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            return [f"mixes: must start at 0 tokens and then later and later, got {starts}"]
        faults = []
        for mix in self.mixes:
            if not is_whole(mix.start, 0) or mix.start % self.training.length or mix.start >= self.training.tokens:
                faults.append(
                    f"mixes: {mix.start} is not a multiple of a row of {self.training.length} tokens "
                    f"below {self.training.tokens}"
                )
            try:
                exact_shares(mix.shares)
            except (ValueError, TypeError) as error:
                faults.append(f"mixes at {mix.start}: {error}")
        return faults

    def _topic_faults(self) -> list[str]:
        if self.topics is None or not self.mixes:
            return []
        if self.trunk is not None:
            return ["topics: a steered run starts from a base, not from a trunk"]
        try:
            self.topics.options(self.mixes[0].shares)
        except (ValueError, TypeError, AttributeError) as error:
            return [str(error)]
        if self.topics.interval_tokens % self.training.step_tokens:
            return [
                f"topics: interval_tokens: expected a multiple of a step of {self.training.step_tokens} tokens, "
                f"got {self.topics.interval_tokens}"
            ]
        return []

    def _start_faults(self) -> list[str]:
        if self.optimizer not in (RESET, KEEP):
            return [f"optimizer: expected {RESET} or {KEEP}, got {self.optimizer!r}"]
        trunk = self.trunk
        if trunk is None:
            return [f"at: {self.at}, but there is no trunk to branch from"] if self.at else []
        faults = []
        if trunk.base != self.base or trunk.domain != self.domain or trunk.seed != self.seed:
            faults.append("trunk: a branch has the base, the domain and the seed of its trunk")
        if trunk.training.batch != self.training.batch:
            faults.append(f"batch: {self.training.batch}, but its trunk has {trunk.training.batch}")
        if trunk.topics is not None:
            faults.append("trunk: a steered run decides its stream as it goes, and no branch can read on from there")
        if self.optimizer != KEEP:
            faults.append("optimizer: a branch goes on with the state of its trunk; expected keep")
        if (trunk.orders, trunk.limits) != (self.orders, self.limits):
            faults.append("orders and limits: a branch reads its sources as its trunk does")
        if not is_whole(self.at, 1) or self.at % trunk.training.step_tokens or self.at > trunk.training.tokens:
            faults.append(
                f"at: expected a multiple of a step of {trunk.training.step_tokens} tokens up to "
                f"{trunk.training.tokens}, got {self.at!r}"
            )
        return faults

    @property
    def start_tokens(self) -> int:
        """Tokens since the base at which the run starts: 0 but for a branch."""
        return 0 if self.trunk is None else self.trunk.start_tokens + self.at

    @property
    def ratio(self) -> float:
        """Requested share of the domain over the whole run; for a branch, over the branch."""
        ends = [*(mix.start for mix in self.mixes[1:]), self.training.tokens]
        weighted = sum(
            m.shares.get(self.domain, 0.0) * (end - m.start) for m, end in zip(self.mixes, ends, strict=True)
        )
        return weighted / self.training.tokens if len(self.mixes) > 1 else self.mixes[0].shares.get(self.domain, 0.0)

    @property
    def corpora(self) -> list[str]:
        """Every corpus of the run, the general one and the domain among them."""
        own = [self.base.general, self.domain, *(name for mix in self.mixes for name in mix.shares)]
        return list(dict.fromkeys(own + (self.trunk.corpora if self.trunk else [])))

    @property
    def run_id(self) -> str:
        """Readable prefix and hash of all settings, those of the base and the trunk included."""
        label = f"{self.domain}-{self.base.label}-r{self.ratio:.4g}-s{self.seed}" + (f"-b{self.at}" if self.at else "")
        return f"{label}-{content_hash(settings_of(self))[:10]}"

    @property
    def flops(self) -> float:
        """Training FLOPs of the run, its base and its trunk not counted."""
        return float(self.base.size.flops_per_token(self.base.vocab)) * self.training.tokens

    @property
    def parent(self) -> BaseSpec | RunSpec | None:
        """The run that must be finished before this one; None where it starts from a checkpoint."""
        return self.trunk or (self.base if isinstance(self.base, BaseSpec) else None)

    @property
    def stream_seed(self) -> int:
        """Seed of the data order.

        Ratio and domain are part of it: runs that share a base share no data order, so their noise is independent
        even where the ratio is 0 and the domain plays no part. A branch reads on in its trunk's order.
        """
        if self.trunk is not None:
            return self.trunk.stream_seed
        return derived_seed("run", self.domain, self.base.key, float(self.ratio), self.seed)


Spec = BaseSpec | RunSpec

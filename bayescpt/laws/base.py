"""What a law is: the expected loss of ONE posterior draw at ONE point, with priors that can be argued about.

A law knows nothing of domains, plates or data. It is written in its *natural* parameters, those of its paper
(:meth:`Law.loss`), and sampled in *coordinates*: unconstrained real numbers that the data see directly, such as the
log of the nats that eight times the size buys. :meth:`Law.natural` leads from the second to the first. Amplitudes and
exponents of the natural form are correlated to condition numbers of 1e11; the coordinates are nearly free of that,
and a prior on "nats bought by ten times the tokens" means the same for any corpus, size and unit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.schema import Target

Scalar = Float[Array, ""]
Theta = Mapping[str, Scalar]

BILLION = 1e9
"""Laws count parameters and tokens in billions, as the papers do."""


class Point(NamedTuple):
    """Where a loss is asked for."""

    size: Scalar
    """non-embedding parameters N, in billions"""
    tokens: Scalar
    """tokens D since the base checkpoint, all sources together, in billions"""
    share: Scalar
    """share of the stream that is the target's own corpus: r for the domain loss, 1 - r for the general loss"""
    base_loss: Scalar
    """loss of the base checkpoint on the same validation set, nats per token; NaN where a law does not need it"""
    base_share: Scalar
    """share of the target's own corpus in what the base was trained on: 1 for the general corpus, 0 for the domain"""
    base_usual: Scalar
    """loss that a base as good as this one on general text usually has there; NaN where a law does not need it"""
    given: Mapping[str, Float[Array, " *own"]] = {}
    """what the law asks for besides, by name: those of :attr:`Law.covariates`, and no others"""


class Reference(NamedTuple):
    """The point in the middle of the data that the coordinates refer to; fixed by the table, never estimated."""

    size: float
    """geometric mean of the smallest and the largest size, in billions"""
    tokens: float
    """largest token count divided by sqrt(10), in billions: the last decade of training straddles it"""
    tokens_min: float
    """smallest token count after the base, in billions"""
    lr_sum: float | None = None
    """largest sum of learning rates since the base divided by sqrt(10); None where the table has no such column"""


@dataclass(frozen=True)
class Param:
    """A natural parameter of a law, as its paper writes it."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Prior:
    """Prior of a coordinate: domain value ~ N(mu, tau), mu ~ N(loc, scale), log tau ~ N(log spread, 0.4)."""

    loc: float
    scale: float
    spread: float


@dataclass(frozen=True)
class Coordinate:
    """An unconstrained coordinate that is sampled, with its prior for either target."""

    name: str
    unit: str
    meaning: str
    source: str
    general: Prior
    domain: Prior

    def prior(self, target: Target) -> Prior:
        """The prior of this coordinate for ``target``."""
        return self.general if target == "general" else self.domain


class Law(ABC):
    """A scaling law of the loss of one target in size, tokens and share.

    Subclasses are final and immutable. Those with parameters for every source of a stream differ by their sources and
    compare by value, since a law is an argument of compiled functions.

    Examples:
        >>> from bayescpt import LAWS
        >>> LAWS["dcpt"].equation
        'L = E + A/N^alpha + B s^eta/D^beta + C/(s + eps)^gamma'
        >>> [param.name for param in LAWS["dcpt"].params]
        ['E', 'A', 'B', 'C', 'alpha', 'beta', 'gamma', 'eta', 'eps']
        >>> LAWS["dcpt"].can_rise, LAWS["memory"].can_rise
        (False, True)
    """

    reference: ClassVar[str]
    needs_base: ClassVar[bool]
    """whether the law starts at the base's loss, so that every row needs it"""
    can_rise: ClassVar[bool]
    """whether the loss can rise along a run: without that there is no turning point"""
    from_scratch: ClassVar[bool] = False
    """whether it is a law of whole trainings, which start above the loss of any base"""
    uses_share: ClassVar[bool] = True
    """whether the law sees what is trained on: without that no ratio can be asked for"""
    falls_in_share: ClassVar[bool] = True
    """whether more of its own corpus never raises a loss, by construction"""
    covariates: ClassVar[tuple[str, ...]] = ()
    """what the law needs of every point besides size, tokens, share and base: names of model/covariates"""

    @property
    @abstractmethod
    def name(self) -> str:
        """As it is called on the command line."""

    @property
    @abstractmethod
    def equation(self) -> str:
        """The loss as a formula."""

    @property
    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """The natural parameters."""

    @property
    @abstractmethod
    def coordinates(self) -> tuple[Coordinate, ...]:
        """What is sampled, in this order."""

    def on(self, sources: tuple[str, ...]) -> Law:
        """The law for mixtures of these sources: itself, unless it has parameters for each of them.

        Without sources it is the law for streams of two, the general corpus and the domain.
        """
        return self

    @abstractmethod
    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        """Natural parameters from coordinates, for one draw of one domain and one target (by its base share)."""

    @abstractmethod
    def loss(self, theta: Theta, point: Point) -> Scalar:
        """Expected loss in nats per token at ``point`` for one draw ``theta`` of the natural parameters."""

    def named(self, coordinates: Float[Array, " coordinate"]) -> dict[str, Scalar]:
        """The coordinates by name."""
        return dict(zip((c.name for c in self.coordinates), coordinates, strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def raised(base: Scalar | float, exponent: Scalar) -> Scalar:
    """``base ** exponent`` for base > 0 as exp(exponent log base): faster than XLA's general power on a CPU."""
    return jnp.exp(exponent * jnp.log(base))


def power(base: Scalar, exponent: Scalar) -> Scalar:
    """``base ** exponent`` for base >= 0, exponent > 0, with value and gradient 0 (not NaN) at base = 0.

    The gradient with respect to the exponent is base^exponent log(base), whose limit at 0 is 0; taken naively it is 0
    x inf.
    """
    positive = base > 0
    safe = jnp.where(positive, base, 1.0)
    return jnp.where(positive, raised(safe, exponent), 0.0)


def drop(exponent: Scalar, low: float | Scalar, high: float | Scalar) -> Scalar:
    """``low^-exponent - high^-exponent``: what a unit amplitude loses from ``low`` to ``high``."""
    return raised(low, -exponent) - raised(high, -exponent)


def floor_at_zero(value: Scalar, softness: Scalar) -> Scalar:
    """A smooth max(value, 0): softness x softplus(value / softness). Keeps an irreducible loss positive."""
    return softness * jax.nn.softplus(value / softness)


LIMIT = 8.0
"""How sharply what is reducible ends at the loss itself."""


def divided(loss: Scalar, reducible: Scalar) -> tuple[Scalar, Scalar]:
    """A loss as irreducible and reducible: E > 0, and the part of ``reducible`` that it leaves room for.

    With x = reducible/loss the part is (1 + x^8)^(-1/8): 1 for small x, 1/x for large. The loss stays what it is on
    either side of E = 0, as the rows see it; a floor under E alone let it go, and bent the posterior sharply there.
    """
    log_x = jnp.log(reducible / loss)
    # both without differences of what is nearly equal, and without powers that overflow
    left = -jnp.expm1(-jax.nn.softplus(-LIMIT * log_x) / LIMIT)
    return loss * left, jnp.exp(-jax.nn.softplus(LIMIT * log_x) / LIMIT)

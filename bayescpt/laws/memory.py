"""The memory law: starts at the base, rises while the base's corpus fades from memory, falls by own tokens."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Law, Param, Point, Prior, Reference, Scalar, Theta, power, raised

OWN_SOURCE = "rows of the bundled quickstart study and the shape of Fig. 19 of 2505.07796; wide"


class Memory(Law):
    """L = L0 (Lu/L0)^(f(1-m)) exp(rho D/(D+v) - C n^nu k^-delta ln((h+eps)/(h0+eps)) - G n^mu [1-x^-beta]/beta).

    L0 is the base's own loss and everything else is the factor by which continual pre-training changes it, so that a
    loss stays positive whatever the parameters; n = N over the reference size:

    - d = sqrt(D^2 + w^2) - w: effective tokens. The first steps run at a small learning rate and count quadratically.
    - m = tau/(d + tau): the base's memory, 1 at the start and fading over tau tokens.
    - f: how much of what a base happens to score on this corpus fades with its memory. Lu is what a base as good as it
      on general text usually scores there (model/base.py): where training leads depends on how good a base is, hardly
      on its loss on a corpus that it has not seen. For the general loss Lu = L0.
    - h = s^q (1-m) + h0 m: the share of the target's own corpus in what the model remembers; h0 is that share in the
      base's training, 1 for the general corpus and 0 for the domain. An e-fold of it is worth C (the limit gamma -> 0
      of D-CPT's share term C/(s+eps)^gamma). For the general loss h falls from 1 to s^q: the loss rises.
    - eps: transfer, the share of a corpus that the other one stands in for. It bounds what a missing corpus costs.
    - k = 1 + s d/tau for the general loss: a model that trains on a mixture learns to hold both corpora, and what a
      missing share costs heals slowly, by own tokens: at s = 0 nothing can teach it. For the domain loss, which share
      moves the other way, k = 1 + d/tau.
    - x = 1 + s^q d/tau: a power law in own tokens, as D-CPT has in D, slower than the fading, so that the loss turns
      and falls. For beta -> 0 the bracket is ln x: ln L falls by G an e-fold, without end (2001.08361).
    - rho: what the change to the run's own constant learning rate costs (re-warming) or brings at any share, and all
      that happens at the share the base was trained at before own tokens count; it settles over v tokens.

    At D = 0 the loss is L0 exactly; dL/ds <= 0 everywhere; the domain loss at s = 0 moves by rho and f alone, and the
    general loss at s = 0 only rises, but for rho. At large D and fixed s ln L is a sum of powers of D with exponents
    -beta and -delta.
    """

    name: ClassVar[str] = "memory"
    reference: ClassVar[str] = (
        "own work, after Que et al. 2024 (2406.01375), Gu et al. 2024 (2407.17467) and Wang et al. 2025 (2505.07796)"
    )
    equation: ClassVar[str] = (
        "L = L0 (Lu/L0)^(f(1-m)) exp(rho D/(D+v) - C n^nu k^-delta ln((h+eps)/(h0+eps)) - G n^mu [1 - x^-beta]/beta)"
    )
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = True
    params: ClassVar[tuple[Param, ...]] = (
        Param("f", "-", "part of a base's distance from its usual loss that fades"),
        Param("rho", "-", "log factor of the loss by the change of learning rate, once settled"),
        Param("C", "-", "worth of an e-fold of the own corpus's share in log loss, at the reference size"),
        Param("G", "-", "worth of the first e-fold of own tokens in log loss, at the reference size"),
        Param("tau", "billion tokens", "tokens over which the base fades"),
        Param("w", "billion tokens", "tokens of the onset, about the warm-up"),
        Param("v", "billion tokens", "tokens over which the change of learning rate settles"),
        Param("q", "-", "power of the share: below 1, rare data count for more than their share"),
        Param("eps", "-", "transfer: the share of a corpus that the other one stands in for"),
        Param("beta", "-", "exponent of own tokens"),
        Param("delta", "-", "how the worth of share fades along the run: k^-delta"),
        Param("nu", "-", "size exponent of C"),
        Param("mu", "-", "size exponent of G"),
        Param("size", "billion parameters", "reference size"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = (
        Coordinate(
            "drift",
            "log",
            "rho: log factor of the loss by the change of learning rate, at any share",
            "re-warming on the same data costs a peak of 0.1 to 0.2 nats (2403.08763, Fig. 8), and most of it heals",
            general=Prior(0.0, 0.03, 0.015),
            domain=Prior(0.0, 0.05, 0.05),
        ),
        Coordinate(
            "log_effect",
            "log",
            "log of the effect of an even mix: |ln L at r = 1/2 - ln L at r = 0| at the reference tokens",
            "2403.08763 table 2: half replay costs 0.05 to 0.2 of 2 to 3 nats; domains lose 5 to 70 % of their loss",
            general=Prior(math.log(0.04), 0.7, 0.5),
            domain=Prior(math.log(0.4), 0.6, 0.5),
        ),
        Coordinate(
            "logit_share_fraction",
            "logit",
            "part of that effect that is the share itself (C), the rest being own tokens (G)",
            OWN_SOURCE,
            general=Prior(2.0, 0.7, 0.4),
            domain=Prior(1.0, 0.8, 0.4),
        ),
        Coordinate(
            "log_fading",
            "log",
            "tau over the reference tokens",
            "the rise happens in the first tenth of a run (recipes of 2403.08763, Fig. 3)",
            general=Prior(math.log(0.06), 0.7, 0.3),
            domain=Prior(math.log(0.15), 0.7, 0.3),
        ),
        Coordinate(
            "log_onset",
            "log",
            "w over the reference tokens",
            "warm-up is 0.5 to 5 % of a run",
            general=Prior(math.log(0.1), 0.5, 0.25),
            domain=Prior(math.log(0.15), 0.5, 0.25),
        ),
        Coordinate(
            "log_settling",
            "log",
            "v over the reference tokens",
            "re-warming moves the loss within the first percents of a run (2403.08763, Fig. 3 and 8)",
            general=Prior(math.log(0.05), 0.7, 0.3),
            domain=Prior(math.log(0.05), 0.7, 0.3),
        ),
        Coordinate(
            "log_power",
            "log",
            "log of q",
            OWN_SOURCE,
            general=Prior(-0.2, 0.25, 0.15),
            domain=Prior(-0.7, 0.4, 0.25),
        ),
        Coordinate(
            "log_transfer",
            "log",
            "log of eps: how far either corpus stands in for the other",
            "about 0.1 in D-CPT's fits of domain losses (2406.01375, App. E.3); the general loss at ratio 1 rises by "
            "the logarithm of the tokens to the end of every run of ours",
            general=Prior(math.log(0.005), 0.7, 0.3),
            domain=Prior(math.log(0.1), 0.7, 0.4),
        ),
        Coordinate(
            "log_beta",
            "log",
            "log of beta",
            "0.13 to 0.5 for reducible losses in CPT (2505.07796); whole ones fall as D^-0.095 (2001.08361), beta = 0",
            general=Prior(math.log(0.1), 0.7, 0.2),
            domain=Prior(math.log(0.1), 0.7, 0.2),
        ),
        Coordinate(
            "log_healing",
            "log",
            "log of delta: how fast the model learns to hold both corpora",
            "the quickstart's fall after the peak grows with the share lost: 0.05 to 0.2; domain losses show none",
            general=Prior(math.log(0.06), 0.8, 0.4),
            domain=Prior(math.log(0.01), 0.8, 0.4),
        ),
        Coordinate(
            "logit_levelling",
            "logit",
            "f: part of a base's distance from its usual loss on this corpus that fades with its memory",
            "four bases: code losses over general ones 1.72 to 1.97 before and 0.673 to 0.677 after training",
            general=Prior(0.0, 1.0, 0.5),
            domain=Prior(1.5, 1.0, 0.5),
        ),
        Coordinate(
            "share_size_exponent",
            "-",
            "nu: how the worth of share changes with size",
            "damage at a fixed mix grew by 0.2 in log over a 100-fold compute range (Marin #4547): about 0.1",
            general=Prior(0.0, 0.12, 0.06),
            domain=Prior(0.0, 0.12, 0.06),
        ),
        Coordinate(
            "progress_size_exponent",
            "-",
            "mu: how the worth of own tokens changes with size",
            OWN_SOURCE,
            general=Prior(0.0, 0.12, 0.06),
            domain=Prior(0.0, 0.12, 0.06),
        ),
    )

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        drift, effect, fraction, fading, onset, settling, exponent, transfer, beta, healing, levelling, nu, mu = (
            coordinates
        )
        shape = {
            "tau": jnp.exp(fading) * reference.tokens,
            "w": jnp.exp(onset) * reference.tokens,
            "v": jnp.exp(settling) * reference.tokens,
            "q": jnp.exp(exponent),
            "eps": jnp.exp(transfer),
            "beta": jnp.exp(beta),
            "delta": jnp.exp(healing),
        }
        tokens = jnp.asarray(reference.tokens)
        (_, _, held, own), (_, _, base_held, base_own) = (
            _terms(shape, tokens, share, base_share) for share in (0.5, base_share)
        )
        C = jnp.exp(effect) * jax.nn.sigmoid(fraction) / jnp.abs(held - base_held)
        G = jnp.exp(effect) * jax.nn.sigmoid(-fraction) / jnp.abs(own - base_own)
        worth = {"C": C, "G": G, "nu": nu, "mu": mu, "size": jnp.asarray(reference.size)}
        return {"f": jax.nn.sigmoid(levelling), "rho": drift, **shape, **worth}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        return changed(point, log_change(theta, point))


MOST_CHANGE = 50.0
"""Bound of ln L/L0. Of a few 100,000 prior draws of a new domain one has healed an even mix so well that what it gives
for a missing corpus overflows; a question has to be able to compare that with its budget."""


class Seen(NamedTuple):
    """s^q of a run whose share changes on the way."""

    held: Scalar
    """as the model remembers it"""
    read: Scalar
    """in the mean over all tokens"""


def changed(point: Point, log_factor: Scalar) -> Scalar:
    """L0 exp(``log_factor``), finite whatever the parameters."""
    return point.base_loss * jnp.exp(jnp.minimum(log_factor, MOST_CHANGE))


def log_change(theta: Theta, point: Point, counted: Scalar | float = 1.0, seen: Seen | None = None) -> Scalar:
    """ln L/L0, where the part ``counted`` of the own tokens read counts as progress.

    ``seen`` is s^q where the share is not the same along the run; ``point.share`` is then its mean.
    """
    faded, settled, held, own = _terms(theta, point.tokens, point.share, point.base_share, counted, seen)
    relative = point.size / theta["size"]
    C, G = theta["C"] * raised(relative, theta["nu"]), theta["G"] * raised(relative, theta["mu"])
    levelled = theta["f"] * faded * jnp.log(point.base_usual / point.base_loss)
    return levelled + theta["rho"] * settled - C * held - G * own


def log_share_gained(theta: Theta, point: Point) -> Scalar:
    """e-folds of its corpus's share that the model has gained since the base; below 0 where it has lost some."""
    return _terms(theta, point.tokens, point.share, point.base_share)[2]


def _terms(
    theta: Theta,
    tokens: Scalar,
    share: Scalar | float,
    base_share: Scalar,
    counted: Scalar | float = 1.0,
    seen: Seen | None = None,
) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """What f, rho, C and G multiply: memory lost, the drift settled, the log share held, own progress."""
    settled = tokens / (tokens + theta["v"])
    # sqrt(D^2 + w^2) - w, written so that nothing cancels for D << w
    tokens = tokens**2 / (jnp.sqrt(tokens**2 + theta["w"] ** 2) + theta["w"])
    faded = tokens / (tokens + theta["tau"])
    if seen is None:
        seen = Seen(*(2 * (power(jnp.asarray(share), theta["q"]),)))
    # h - h0, exactly 0 where the share is that of the base
    gained_share = (seen.held - base_share) * faded
    teaching = jnp.where(base_share > 0, share, 1.0) * tokens
    healed = raised(1 + teaching / theta["tau"], -theta["delta"])
    log_share = healed * jnp.log1p(gained_share / (base_share + theta["eps"]))
    own = gained(counted * seen.read * tokens / theta["tau"], theta["beta"]) / theta["beta"]
    return faded, settled, log_share, own


def gained(tokens: Scalar, beta: Scalar) -> Scalar:
    """1 - (1 + x)^-beta, exact for small x and small beta."""
    return -jnp.expm1(-beta * jnp.log1p(tokens))

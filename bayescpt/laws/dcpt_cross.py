"""The Cross-Domain D-CPT law (Que et al. 2024, 2406.01375, section 3.2): one law for all, but for learnability.

K is a number of a domain: how readily it is learned. The paper fits one set of parameters to all domains, so that only
the intercept differs between them: ``--law dcpt_cross --pooling complete`` is its model. Under other poolings domains
have parameters of their own besides.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import (
    Coordinate,
    Law,
    Param,
    Point,
    Prior,
    Reference,
    Scalar,
    Theta,
    divided,
    floor_at_zero,
    raised,
)
from bayescpt.laws.dcpt import DCPT
from bayescpt.laws.surface import middle_of

SURFACE = DCPT()
FACTOR = 2.0
"""The effect of learnability is read between K = 1/2 and K = 2."""
LEAST = 0.05
"""Softness of the floor that keeps K positive where an early fall is measured as a rise."""

NARROWER = {"log_level": Prior(math.log(2.2), 0.4, 0.2), "log_share_gain": Prior(math.log(0.9), 0.6, 0.4)}
FIRST = tuple(replace(c, domain=NARROWER.get(c.name, c.domain)) for c in DCPT.coordinates)
"""Coordinates of the D-CPT law. Domains differ less in these than there: what they differ by is learnability."""
GAIN = Coordinate(
    "log_learnability_gain",
    "log nats/token",
    "nats by which a loss is lower at K = 2 than at K = 1/2",
    "no fitted values are published; domains differ by nats in their own loss and hardly in the general one",
    general=Prior(math.log(0.05), 0.6, 0.2),
    domain=Prior(math.log(0.4), 0.6, 0.2),
)
MU = Coordinate(
    "log_mu",
    "log",
    "exponent of learnability",
    "no fitted values are published; wide around 1",
    general=Prior(0.0, 0.5, 0.2),
    domain=Prior(0.0, 0.5, 0.2),
)


def odds(term: str, other: str) -> Coordinate:
    """Log odds of two weights."""
    prior = Prior(0.0, 1.5, 0.5)
    return Coordinate(
        f"logit_{term}", "logit", f"log of w_{term} over w_{other}", "none published; even", general=prior, domain=prior
    )


class Cross(Law):
    """L = E + A/N^alpha + B s^eta/D^beta + C/(s+eps)^gamma + F/K^mu, dL/dK < 0.

    K is a weighted mean of terms in units of their typical values over the table's domains: typical/k1, k2/typical and
    typical/k3 for the loss of the base, its early fall and its bend (data/learnability.py), always of the domain's own
    loss: the general loss starts alike for all domains. F and the weights of the paper's w1/k1 + w2 k2 trade off,
    K -> c K with F -> c^mu F; here the weights sum to 1, so that K is about 1 for a typical domain, where the level is
    read. A fall that is measured as a rise would make K negative: it has a soft floor.
    """

    terms: ClassVar[tuple[str, ...]]
    """of K: inverse_start, fall, inverse_bend"""
    reference: ClassVar[str] = "Que et al. 2024, D-CPT Law, arXiv 2406.01375, section 3.2, 4.4 and appendix H"
    needs_base: ClassVar[bool] = False
    can_rise: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.covariates = ("learnability", "learnability_bend") if "inverse_bend" in cls.terms else ("learnability",)

    @property
    def equation(self) -> str:
        weighted = " + ".join(f"w_{term} {term}" for term in self.terms)
        return f"L = E + A/N^alpha + B s^eta/D^beta + C/(s + eps)^gamma + F/K^mu, K = {weighted}"

    @property
    def params(self) -> tuple[Param, ...]:
        return (
            *DCPT.params,
            Param("F", "nats/token", "amplitude of learnability: what a typical domain loses by it"),
            Param("mu", "-", "exponent of learnability"),
            *(Param(f"w_{term}", "-", f"weight of {term} in K") for term in self.terms),
        )

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        return (*FIRST, GAIN, MU, *(odds(term, self.terms[-1]) for term in self.terms[:-1]))

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        count = len(DCPT.coordinates)
        theta = SURFACE.natural(coordinates[:count], reference, base_share)
        gain, log_mu, *logits = coordinates[count:]
        mu = jnp.exp(log_mu)
        theta["mu"] = mu
        theta["F"] = jnp.exp(gain) / (raised(FACTOR, mu) - raised(FACTOR, -mu))
        weights = jax.nn.softmax(jnp.stack([*logits, jnp.zeros(())]))
        theta |= {f"w_{term}": weight for term, weight in zip(self.terms, weights, strict=True)}
        # the level is the loss of a typical domain, its share of learnability included
        reducible = SURFACE.loss({**theta, "E": jnp.zeros(())}, middle_of(reference, base_share)) + theta["F"]
        irreducible, part = divided(jnp.exp(coordinates[0]), reducible)
        return theta | {"E": irreducible} | {name: theta[name] * part for name in ("A", "B", "C", "F")}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        return SURFACE.loss(theta, point) + theta["F"] * raised(self.learnability(theta, point), -theta["mu"])

    def learnability(self, theta: Theta, point: Point) -> Scalar:
        """K at a point."""
        start, fall = point.given["learnability"]
        found = {"inverse_start": 1 / start, "fall": fall}
        if "learnability_bend" in self.covariates:
            (bend,) = point.given["learnability_bend"]
            found["inverse_bend"] = 1 / bend
        return floor_at_zero(sum(theta[f"w_{term}"] * found[term] for term in self.terms), jnp.asarray(LEAST))


class CrossDomain(Cross):
    """K3 = w1/k1 + w2 k2, the paper's choice."""

    name: ClassVar[str] = "dcpt_cross"
    terms: ClassVar[tuple[str, ...]] = ("inverse_start", "fall")


class CrossDomainK1(Cross):
    """K1 = w1/k1."""

    name: ClassVar[str] = "dcpt_cross_k1"
    terms: ClassVar[tuple[str, ...]] = ("inverse_start",)


class CrossDomainK2(Cross):
    """K2 = w2 k2."""

    name: ClassVar[str] = "dcpt_cross_k2"
    terms: ClassVar[tuple[str, ...]] = ("fall",)


class CrossDomainK4(Cross):
    """K4 = w1/k1 + w2 k2 + w3/k3. Needs curves that slow down: k3 > 0."""

    name: ClassVar[str] = "dcpt_cross_k4"
    terms: ClassVar[tuple[str, ...]] = ("inverse_start", "fall", "inverse_bend")


CROSS: tuple[Law, ...] = (CrossDomain(), CrossDomainK1(), CrossDomainK2(), CrossDomainK4())

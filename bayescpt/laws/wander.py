"""A power law whose exponent wanders with scale: what the form may do beyond the rows that it was fitted to.

Scaling laws fitted over a few decades leave residuals that bend with scale, and their error at the next scale is larger
than any inside: the form is not exact. Here S(N, D) = A/N^alpha + B/D^beta is taken to the reducible loss Phi(S) with

    d log Phi/d log S = k a(c),   Phi(S) = S^k exp(-k g int_0^c (a(v) - 1) dv),   c = log(S0/S)/g,

where S0 is S at the reference point and g = alpha beta/(alpha + beta) its exponent in compute along the compute-optimal
frontier, so that c counts e-folds of compute. log a is a random walk from a = 1 at the reference, over factors of three
in compute; between knots a is linear, beyond the last ones constant. Since a > 0, the loss falls in size and tokens
whatever the walk. a = 1 is the Skaling form, with k = 1 the Chinchilla law.

Where rows bend, the walk follows; where there are none it goes on freely, so that intervals widen with distance. How
far domains differ in a step is learned as for any coordinate. Steps in units of a scale that is sampled too were tried:
at the joint mode the scale came out ten times its prior median, since a large scale makes small scores likely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Param, Prior, Scalar, Theta

STEP = math.log(3.0)
"""Distance of knots in e-folds of compute."""
UP, DOWN = 6, 6
"""Knots above and below the reference: 729 times its compute either way."""
KNOTS = (*((-1, k) for k in range(DOWN, 0, -1)), *((1, k) for k in range(1, UP + 1)))
"""Side and distance of all knots but the one at the reference, where a = 1."""
WAY = {-1: "down", 1: "up"}

OWN = "own work; an exponent fitted a decade away differs by a tenth to a fifth (2404.10102, 2411.12925)"
# misfits of a form are much the same in all domains: most of the variance is the mean's
STEP_PRIOR = Prior(0.0, 0.15, 0.1)
COORDINATES: tuple[Coordinate, ...] = tuple(
    Coordinate(
        f"step_{WAY[side]}_{k}",
        "log",
        f"change of the log exponent to the knot {k} {WAY[side]} from the reference, from the one before",
        OWN,
        general=STEP_PRIOR,
        domain=STEP_PRIOR,
    )
    for side, k in KNOTS
)
PARAMS: tuple[Param, ...] = (
    Param("R0", "nats/token", "reducible loss at the reference, where the exponent is k"),
    *(
        Param(f"a_{WAY[side]}_{k}", "-", f"exponent at 3^{k} times {WAY[side]} in compute, over that at the reference")
        for side, k in KNOTS
    ),
)


def multipliers(coordinates: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Exponents at the knots over that at the reference, by name: the walk, cumulated both ways."""
    found = {}
    for side, count in ((-1, DOWN), (1, UP)):
        walk = jnp.zeros(())
        for k in range(1, count + 1):
            walk = walk + coordinates[f"step_{WAY[side]}_{k}"]
            found[f"a_{WAY[side]}_{k}"] = jnp.exp(walk)
    return found


def bent(total: Scalar, theta: Theta) -> Scalar:
    """Phi(S), nats per token."""
    k, g = theta["k"], theta["alpha"] * theta["beta"] / (theta["alpha"] + theta["beta"])
    place = (jnp.log(theta["R0"]) / k - jnp.log(total)) / g
    excess = jnp.stack([theta[f"a_{WAY[side]}_{n}"] for side, n in KNOTS]) - 1.0
    return jnp.exp(k * (jnp.log(total) - g * jnp.sum(excess * hats(place))))


def hats(place: Scalar) -> Float[Array, " knot"]:
    """Integrals from 0 to ``place`` e-folds of the piecewise linear basis at ``KNOTS``."""
    z = place / STEP
    inner = [_risen(z - side * k) - _risen(jnp.asarray(-float(side * k))) for side, k in KNOTS[1:-1]]
    return STEP * jnp.stack([-_ramped(-z - DOWN), *inner, _ramped(z - UP)])


def _risen(z: Scalar) -> Scalar:
    """Integral of the hat 1 - |z| up to z."""
    rising, falling = 0.5 * (z + 1) ** 2, 1 - 0.5 * (1 - z) ** 2
    return jnp.where(z < -1, 0.0, jnp.where(z < 0, rising, jnp.where(z < 1, falling, 1.0)))


def _ramped(z: Scalar) -> Scalar:
    """Integral of the last basis function, which rises to 1 at z = 0 and stays there."""
    return jnp.where(z < -1, 0.0, jnp.where(z < 0, 0.5 * (z + 1) ** 2, 0.5 + z))

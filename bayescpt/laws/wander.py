"""Exponents that wander with scale: what a power law may do beyond the rows that it was fitted to.

A power law fitted over two decades leaves residuals that bend with scale, and its error at the next scale is larger
than any inside: its form is not exact. Here the exponent of a term is alpha at the reference and alpha a(u) at u e-folds
from it, with log a a random walk over factors of four in scale, and the term is

    A N^-alpha exp(-alpha int_0^u (a(v) - 1) dv),   u = log(N / reference).

The exponent stays positive, so that a loss falls in size and tokens whatever the walk; a = 1 is the plain power law. The
step of the walk is learned from how residuals bend inside the rows, and where there are none the walk goes on freely:
the interval widens with distance. Between knots a is linear, beyond the last ones constant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from bayescpt.laws.base import Coordinate, Param, Prior, Scalar, Theta

STEP = math.log(4.0)
"""Distance of knots in e-folds."""
UP, DOWN = 4, 3
"""Knots above and below the reference: up to 256 times it and down to a 64th."""
WALKS = {"size": "alpha", "tokens": "beta"}
"""What the exponents belong to."""

OWN = "own work; an exponent fitted a decade away differs by a tenth to a fifth (2404.10102, 2411.12925)"
WANDER = Coordinate(
    "log_wander",
    "log",
    "standard deviation of the change of a log exponent over a factor of four in scale",
    OWN,
    general=Prior(math.log(0.12), 0.5, 0.3),
    domain=Prior(math.log(0.12), 0.5, 0.3),
)


def _places() -> list[tuple[str, int]]:
    return [("down", k) for k in range(DOWN, 0, -1)] + [("up", k) for k in range(1, UP + 1)]


# the score of a step is standard normal; most of its variance is common to domains, as misfits are
_SCORE = Prior(0.0, 0.8, 0.6)
COORDINATES: tuple[Coordinate, ...] = (
    WANDER,
    *(
        Coordinate(
            f"{kind}_{way}_{k}",
            "-",
            f"step of the {kind} exponent's walk, {k} knots {way} from the reference, in its standard deviations",
            OWN,
            general=_SCORE,
            domain=_SCORE,
        )
        for kind in WALKS
        for way, k in _places()
    ),
)
PARAMS: tuple[Param, ...] = (
    Param("size", "billion parameters", "reference size, where the size exponent is alpha"),
    Param("tokens", "billion tokens", "reference tokens, where the token exponent is beta"),
    *(
        Param(f"{exponent}_{way}_{k}", "-", f"exponent {4**k} times {way} from the reference, over {exponent}")
        for exponent in WALKS.values()
        for way, k in _places()
    ),
)


def multipliers(coordinates: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Exponents at the knots over those at the reference, by name: cumulated steps of both walks, both ways."""
    step = jnp.exp(coordinates[WANDER.name])
    found = {}
    for kind, exponent in WALKS.items():
        for way, count in (("down", DOWN), ("up", UP)):
            walk = jnp.zeros(())
            for k in range(1, count + 1):
                walk = walk + step * coordinates[f"{kind}_{way}_{k}"]
                found[f"{exponent}_{way}_{k}"] = jnp.exp(walk)
    return found


def bend(theta: Theta, exponent: str, scale: Scalar, reference: Scalar) -> Scalar:
    """``int_0^u (a(v) - 1) dv`` for u = log(scale / reference): by how many e-folds the term is ahead of its power law."""
    excess = jnp.stack([theta[f"{exponent}_{way}_{k}"] for way, k in _places()]) - 1.0
    return jnp.sum(excess * hats(jnp.log(scale / reference)))


def hats(place: Scalar) -> Float[Array, " knot"]:
    """Integrals from 0 to ``place`` of the piecewise linear basis, down to up without the knot at 0."""
    z = place / STEP
    inner = [_risen(z - k) - _risen(jnp.asarray(float(-k))) for k in range(1 - DOWN, UP) if k != 0]
    return STEP * jnp.stack([-_ramped(-z - DOWN), *inner, _ramped(z - UP)])


def _risen(z: Scalar) -> Scalar:
    """Integral of the hat 1 - |z| up to z."""
    rising, falling = 0.5 * (z + 1) ** 2, 1 - 0.5 * (1 - z) ** 2
    return jnp.where(z < -1, 0.0, jnp.where(z < 0, rising, jnp.where(z < 1, falling, 1.0)))


def _ramped(z: Scalar) -> Scalar:
    """Integral of the last basis function, which rises to 1 at z = 0 and stays there."""
    return jnp.where(z < -1, 0.0, jnp.where(z < 0, 0.5 * (z + 1) ** 2, 0.5 + z))

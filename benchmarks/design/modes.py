"""The between-and-within-mode rule of Spend Less, Fit Better (2604.22753), from its description alone.

A law is fitted by least squares from many starts. What different starts end in are modes m, with weights w_m by a
tempered BIC and a Laplace covariance S_m each. A run is worth the expected fall of the mean squared error of
predictions f(x*) at the target region,

    MSPE = sum_m w_m tr Cov_m[f(x*)]  +  tr Cov_modes[f(x*)]
           (within modes: V-optimal)     (between modes)

divided by cost^0.4. The noise variance is the posterior mean under an inverse-gamma prior. Within a mode the fall is
that of a linear model; between modes it is the part of their disagreement that a measurement explains, to first order.
Their paper clusters modes and tempers weights by constants that its abstract and figures do not give; ours stand below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

STEPS = 80
APART = 0.05
"""Root mean square difference of two fits on the target region, in its noise's standard deviations, up to which they
are one mode."""
TEMPER = 2.0
POWER = 0.4
RIDGE = 0.1
"""Standard deviations to the power of -1 of a weak prior around a start's region: rows are fewer than parameters."""
NOISE = (2.0, 1e-4)
"""Shape and scale of the inverse-gamma prior of the variance of a log loss: about one per cent."""

Form = Callable[[Array, Any], Array]
"""Log losses of all rows from a parameter vector and the columns of the rows."""


class Modes(NamedTuple):
    """What the starts ended in.

    Args:
        theta: parameters.
        weight: of every mode, together 1.
        covariance: of the parameters, by mode.
        variance: of the noise of a log loss, by mode.
    """

    theta: Float[np.ndarray, "mode parameter"]
    weight: Float[np.ndarray, " mode"]
    covariance: Float[np.ndarray, "mode parameter parameter"]
    variance: Float[np.ndarray, " mode"]


@partial(jax.jit, static_argnames=("form",))
def minimised(
    form: Form, starts: Float[Array, "start parameter"], rows: Any, log_loss: Array, weight: Array, centre: Array
) -> tuple[Array, Array, Array]:
    """Levenberg-Marquardt from every start: parameters, sum of squares, and J'J of the rows."""

    def residuals(theta: Array) -> Array:
        own = jnp.sqrt(weight) * (form(theta, rows) - log_loss)
        return jnp.concatenate([own, 1e-2 * RIDGE * (theta - centre)])

    def one(start: Array) -> tuple[Array, Array, Array]:
        def step(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
            theta, damping, at = carry
            residual, slope = residuals(theta), jax.jacfwd(residuals)(theta)
            normal = slope.T @ slope
            scale = jnp.diag(normal) + 1e-12
            moved = theta - jnp.linalg.solve(normal + damping * jnp.diag(scale), slope.T @ residual)
            value = jnp.sum(residuals(moved) ** 2)
            better = value < at
            kept = jnp.where(better, moved, theta), jnp.where(better, damping / 4, damping * 4)
            return (*kept, jnp.where(better, value, at)), None

        begin = (start, jnp.asarray(1e-2), jnp.sum(residuals(start) ** 2))
        (theta, _, _), _ = jax.lax.scan(step, begin, length=STEPS)
        slope = jnp.sqrt(weight)[:, None] * jax.jacfwd(lambda t: form(t, rows))(theta)
        return theta, jnp.sum(weight * (form(theta, rows) - log_loss) ** 2), slope.T @ slope

    return jax.vmap(one)(starts)


@partial(jax.jit, static_argnames=("form",))
def values_at(form: Form, theta: Float[Array, "mode parameter"], places: Any) -> tuple[Array, Array]:
    """Log losses (mode, place) and their derivatives by the parameters (mode, place, parameter)."""
    one = partial(form, rows=places)
    return jax.vmap(one)(theta), jax.vmap(jax.jacfwd(one))(theta)


def modes_of(
    form: Form,
    starts: Float[np.ndarray, "start parameter"],
    rows: Any,
    log_loss: Float[np.ndarray, " row"],
    weight: Float[np.ndarray, " row"],
    target: Any,
) -> Modes:
    """Fit from every start and gather the modes.

    Args:
        weight: 1 for a row that counts, 0 for one that fills a shape.
        target: columns of the places that are to be predicted.

    Raises ValueError where no start ends in a finite fit.
    """
    centre = starts.mean(axis=0)
    theta, squares, product = (
        np.asarray(v) for v in minimised(form, *map(jnp.asarray, (starts,)), rows, log_loss, weight, centre)
    )
    finite = np.isfinite(theta).all(axis=1) & np.isfinite(squares) & np.isfinite(product).all(axis=(1, 2))
    if not finite.any():
        raise ValueError(f"none of {len(starts)} starts ended in a finite fit of {int(np.sum(weight))} rows")
    theta = np.where(finite[:, None], theta, theta[finite][0])  # shapes stay: what failed is the first again
    squares, product = (np.where(finite.reshape(-1, *[1] * (v.ndim - 1)), v, v[finite][0]) for v in (squares, product))
    count, width = float(np.sum(weight)), theta.shape[1]
    shape, scale = NOISE
    variance = (scale + squares / 2) / (shape + count / 2 - 1)
    bic = count * np.log(np.maximum(squares / count, 1e-12)) + width * np.log(count)
    told = np.asarray(values_at(form, jnp.asarray(theta), target)[0])
    order, kept = np.argsort(bic, kind="stable"), []
    for i in order:
        if not np.isfinite(told[i]).all():
            continue
        near = [np.sqrt(np.mean((told[i] - told[j]) ** 2)) < APART * np.sqrt(variance[i]) for j in kept]
        if not any(near):
            kept.append(int(i))
    raised = np.exp(-(bic[kept] - bic[kept[0]]) / (2 * TEMPER))
    precision = product[kept] / variance[kept, None, None] + RIDGE**2 * np.eye(width)
    # on the scale of a correlation, which is never singular to the last digit
    scale = 1 / np.sqrt(np.diagonal(precision, axis1=1, axis2=2))
    outer = scale[:, :, None] * scale[:, None, :]
    covariance = outer * np.linalg.inv(outer * precision + 1e-10 * np.eye(width))
    return Modes(theta[kept], raised / raised.sum(), covariance, variance[kept])


def falls(
    form: Form, modes: Modes, offered: Any, target: Any, within: bool = True, between: bool = True
) -> Float[np.ndarray, " candidate"]:
    """Expected fall of the MSPE at the target by one measurement at every offered place.

    Args:
        offered, target: columns of places.
        within, between: which of the two parts count; within alone is the V-optimal rule.
    """
    value, slope = _at(form, modes, offered)
    asked, wanted = _at(form, modes, target)
    through = np.einsum("mtp,mpq,mcq->mtc", wanted, modes.covariance, slope, optimize=True)
    spread = np.einsum("mcp,mpq,mcq->mc", slope, modes.covariance, slope, optimize=True)
    measured = spread + modes.variance[:, None]
    found = np.zeros(value.shape[1])
    if within:
        found += modes.weight @ ((through**2).mean(axis=1) / measured)
    if between:
        value, asked = value - modes.weight @ value, asked - modes.weight @ asked
        both = np.einsum("m,mt,mc->tc", modes.weight, asked, value)
        found += (both**2).mean(axis=0) / (modes.weight @ (value**2 + measured))
    return found


def _at(form: Form, modes: Modes, places: Any) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`values_at`, with modes filled up to a power of two, so that few shapes are compiled."""
    count = len(modes.theta)
    filled = np.concatenate([modes.theta, np.repeat(modes.theta[:1], 2 ** (count - 1).bit_length() - count, axis=0)])
    value, slope = values_at(form, jnp.asarray(filled), places)
    return np.asarray(value)[:count], np.asarray(slope)[:count]


def measured_at(form: Form, modes: Modes, offered: Any, number: int) -> Modes:
    """The modes with covariances as after a measurement at one of the offered places; which of them holds is open."""
    _, slope = _at(form, modes, offered)
    along = np.einsum("mpq,mq->mp", modes.covariance, slope[:, number])
    width = np.einsum("mp,mp->m", along, slope[:, number]) + modes.variance
    return modes._replace(covariance=modes.covariance - along[:, :, None] * along[:, None, :] / width[:, None, None])

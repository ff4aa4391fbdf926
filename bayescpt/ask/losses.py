"""Expected losses of one domain over draws and ratios: what all questions evaluate."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bayescpt.fit import Fit
from bayescpt.fit.fit import Draws
from bayescpt.laws import BILLION, Law, Point
from bayescpt.model.layout import BASE_SHARE
from bayescpt.schema import TARGETS, Target


class Losses:
    """Expected loss of either target, and its slope along the run, as functions of the ratio: one value a draw."""

    def __init__(
        self, fit: Fit, domain: str, size: float, tokens: float, base_loss: dict[Target, float] | None = None
    ) -> None:
        check_setting(size, tokens)
        self.law = fit.model.law
        self.draws: Draws = fit.draws(domain)
        self.count = fit.size
        self.size, self.tokens = float(size), float(tokens)
        stated = base_loss or {}
        for target, value in stated.items():
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"the base's {target} loss must be a positive number of nats per token, got {value}")
        self._fit, self._domain = fit, domain
        self._base: dict[Target, Float[np.ndarray, " draw"]] = {t: np.full(self.count, v) for t, v in stated.items()}

    def base(self, target: Target) -> Float[np.ndarray, " draw"]:
        """Loss of the base model on the target's set."""
        if target not in self._base:
            self._base[target] = self._fit.base_loss(self._domain, self.size, target)
        return self._base[target]

    def at(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """Expected loss at ``ratio``, whose last axis (or only value) runs over draws."""
        return np.asarray(_value(self.law, *self._arguments(target, ratio)))

    def slope(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """dL / d log D at the end of the run: nats per e-fold of tokens."""
        return np.asarray(_slope(self.law, *self._arguments(target, ratio)))

    def _arguments(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> tuple[dict[str, Array], Point]:
        index = TARGETS.index(target)
        theta = {name: values[index] for name, values in self.draws.theta.items()}
        base = self.base(target) if self.law.needs_base else np.full(self.count, np.nan)
        share = np.broadcast_to(
            ratio if target == "domain" else 1 - ratio, np.broadcast_shapes(np.shape(ratio), (self.count,))
        )
        shape = share.shape
        point = Point(
            size=jnp.full(shape, self.size / BILLION),
            tokens=jnp.full(shape, self.tokens / BILLION),
            share=jnp.asarray(share),
            base_loss=jnp.broadcast_to(base, shape),
            base_share=jnp.full(shape, BASE_SHARE[index]),
        )
        return {name: jnp.broadcast_to(values, shape) for name, values in theta.items()}, point


@partial(jax.jit, static_argnums=0)
def _value(law: Law, theta: dict[str, Array], point: Point) -> Array:
    return jnp.vectorize(lambda *leaves: law.loss(*_unflatten(theta, leaves)))(*jax.tree.leaves((theta, point)))


@partial(jax.jit, static_argnums=0)
def _slope(law: Law, theta: dict[str, Array], point: Point) -> Array:
    def one(*leaves: Array) -> Array:
        values, where = _unflatten(theta, leaves)

        def along(log_tokens: Array) -> Array:
            return law.loss(values, where._replace(tokens=jnp.exp(log_tokens)))

        return jax.grad(along)(jnp.log(where.tokens))

    return jnp.vectorize(one)(*jax.tree.leaves((theta, point)))


def _unflatten(theta: dict[str, Array], leaves: tuple[Array, ...]) -> tuple[dict[str, Array], Point]:
    names = sorted(theta)  # the order in which JAX flattens a dict
    return dict(zip(names, leaves[: len(names)], strict=True)), Point(*leaves[len(names) :])


def check_setting(size: float, tokens: float) -> None:
    """Raise ValueError unless size and tokens are finite positive counts."""
    for name, value in (("size", size), ("tokens", tokens)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(
                f"{name} must be a positive number of {'parameters' if name == 'size' else 'tokens'}, got {value}"
            )

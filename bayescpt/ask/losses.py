"""Expected losses of one domain over draws and ratios: what all questions evaluate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bayescpt.fit import Fit
from bayescpt.fit.astray import base_effect, token_distance, token_drift
from bayescpt.fit.fit import Draws
from bayescpt.laws import BILLION, Law, Point
from bayescpt.model.base import usual_gap
from bayescpt.model.covariates import COVARIATES, Question
from bayescpt.model.layout import BASE_SHARE, progress_of
from bayescpt.model.misfit import LEAST_SPAN
from bayescpt.model.noise import loudness
from bayescpt.schema import GENERAL, TARGETS, Target


class Losses:
    """Expected loss of either target, and its slope along the run, as functions of the ratio: one value a draw."""

    def __init__(
        self,
        fit: Fit,
        domain: str,
        size: float,
        tokens: float,
        base_loss: dict[Target, float] | None = None,
        stated: Mapping[str, Any] | None = None,
    ) -> None:
        """``stated`` are values of covariates that the law needs, or what they follow from, by name."""
        check_setting(size, tokens)
        self.law = fit.model.law
        self.draws: Draws = fit.draws(domain)
        self.count = fit.size
        self.size, self.tokens = float(size), float(tokens)
        self._stated = dict(stated or {})
        for target, value in (base_loss or {}).items():
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"the base's {target} loss must be a positive number of nats per token, got {value}")
        self._fit, self._domain = fit, domain
        self._missing: dict[Target, tuple[Float[np.ndarray, " draw"], ...]] = {}
        self._base: dict[Target, Float[np.ndarray, " draw"]] = {
            t: np.full(self.count, v) for t, v in (base_loss or {}).items()
        }

    def base(self, target: Target) -> Float[np.ndarray, " draw"]:
        """Loss of the base model on the target's set."""
        if target not in self._base:
            self._base[target] = self._fit.base_loss(self._domain, self.size, target)
        return self._base[target]

    def _usual(self, target: Target) -> Float[np.ndarray, " draw"]:
        """What a base as good as this one on general text usually scores."""
        table = self._fit.table
        gap = usual_gap(table)[table.domains.index(self._domain)] if self._domain in table.domains else np.nan
        if target == GENERAL or np.isnan(gap):
            return self.base(target)
        return self.base(GENERAL) * np.exp(gap)

    def at(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """Expected loss at ``ratio``, whose last axis (or only value) runs over draws.

        What the law misses at the base is part of it: as estimated where the table has runs of it, else inherited from
        bases of similar size; beyond the data it may go astray (fit/astray.py).
        """
        return np.asarray(_value(self.law, *self._arguments(target, ratio))) + self._missed(target, ratio)

    def loudness(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """How much louder noise is there than at an even mix at the end of a run."""
        index = TARGETS.index(target)
        share = jnp.asarray(ratio if target == "domain" else 1 - ratio)
        shape = (jnp.asarray(self.draws.noise_share_exponent[index]), jnp.asarray(self.draws.noise_early[index]))
        return np.asarray(loudness(share, jnp.asarray(self.progress), *shape))

    @cached_property
    def progress(self) -> float:
        """Position along the table's runs, in log tokens."""
        return float(progress_of(jnp.asarray(self.tokens / BILLION), self._fit.reference))

    def _missed(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """What the law misses: a line in progress inside the data, and a drift beyond."""
        start, end, drift = self._misfit(target)
        line = (1 - self.progress) * start + self.progress * end
        return self.loudness(target, ratio) * (line + float(token_distance(self._fit, self.tokens)) * drift)

    def _misfit(self, target: Target) -> tuple[Float[np.ndarray, " draw"], ...]:
        """At the first and at the last checkpoint, and over a span beyond it, at an even mix."""
        if target not in self._missing:
            start, end = base_effect(self._fit, self.draws, self._domain, target, self.size)
            self._missing[target] = (start, end, token_drift(self._fit, self.draws, self._domain, target))
        return self._missing[target]

    def slope(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """dL / d log D at the end of the run, with that of what the law misses: nats per e-fold of tokens."""
        by_law = np.asarray(_slope(self.law, *self._arguments(target, ratio)))
        table = self._fit.table
        span = float(np.log(table.tokens.max() / table.tokens.min()))
        if self.tokens < table.tokens.min() or span == 0:
            return by_law  # the misfit is held there
        start, end, drift = self._misfit(target)
        if self.tokens > table.tokens.max():
            per_span = drift * span / max(span, LEAST_SPAN)
        else:
            line = (1 - self.progress) * start + self.progress * end
            per_span = end - start - self.draws.noise_early[TARGETS.index(target)] * line
        return by_law + self.loudness(target, ratio) * per_span / span

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
            base_usual=jnp.broadcast_to(self._usual(target) if self.law.needs_base else base, shape),
            given={name: self._covariate(name, np.asarray(ratio, float), shape) for name in self.law.covariates},
        )
        return {name: jnp.broadcast_to(values, shape) for name, values in theta.items()}, point

    def _covariate(self, name: str, ratio: np.ndarray, shape: tuple[int, ...]) -> Array:
        question = Question(self._fit.table, self._domain, self.size, self.tokens, ratio, self._stated)
        value = COVARIATES[name].asked(question)
        own = value.shape[ratio.ndim :]
        return jnp.broadcast_to(value, (*shape, *own))


@partial(jax.jit, static_argnums=0)
def _value(law: Law, theta: dict[str, Array], point: Point) -> Array:
    return _over(law.loss, theta, point)


@partial(jax.jit, static_argnums=0)
def _slope(law: Law, theta: dict[str, Array], point: Point) -> Array:
    def one(values: dict[str, Array], where: Point) -> Array:
        def along(log_tokens: Array) -> Array:
            return law.loss(values, where._replace(tokens=jnp.exp(log_tokens)))

        return jax.grad(along)(jnp.log(where.tokens))

    return _over(one, theta, point)


def _over(function: Callable[..., Array], theta: dict[str, Array], point: Point) -> Array:
    """``function`` of one draw at one point, over all axes of ``point.size``; covariates may have axes of their own."""
    for _ in range(point.size.ndim):
        function = jax.vmap(function)
    return function(theta, point)


def check_setting(size: float, tokens: float) -> None:
    """Raise ValueError unless size and tokens are finite positive counts."""
    for name, value in (("size", size), ("tokens", tokens)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(
                f"{name} must be a positive number of {'parameters' if name == 'size' else 'tokens'}, got {value}"
            )

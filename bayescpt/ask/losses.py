"""Expected losses of one domain over draws and ratios: what all questions evaluate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from bayescpt.fit import Fit
from bayescpt.fit.astray import base_effect, drift, drift_rate, drift_scale
from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.fit import Draws
from bayescpt.laws import BILLION, Law, Point
from bayescpt.model.base import usual_gap
from bayescpt.model.covariates import COVARIATES, Question, own_share_missing, refuse_statements
from bayescpt.model.covariates.phases import PhasePart
from bayescpt.model.layout import BASE_SHARE, EVEN, progress_of, progress_rate
from bayescpt.model.noise import deviation_scale, loudness
from bayescpt.schema import GENERAL, TARGETS, Target

SAME_LOSS = 1e-3
"""A base loss that is stated as this near to the measured one, relative to it, is that one, rounded."""


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
        """``stated`` are values of covariates that the law needs, or what they follow from, by name.

        Raises ValueError on impossible settings, and where something is stated that the law does not look at.
        """
        check_setting(size, tokens)
        self.law = fit.model.law
        refuse_statements(self.law, stated or {})
        self.draws: Draws = fit.draws(domain)
        self.count = fit.size
        self._picked: Int[np.ndarray, " draw"] = np.arange(fit.size)
        self.size, self.tokens = float(size), float(tokens)
        self._stated = dict(stated or {})
        for target, value in (base_loss or {}).items():
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"the base's {target} loss must be a positive number of nats per token, got {value}")
        self._fit, self._domain = fit, domain
        self._missing: dict[Target, tuple[Float[np.ndarray, " draw"], ...]] = {}
        self._given_base = dict(base_loss or {})
        self._base: dict[Target, Float[np.ndarray, " draw"]] = {
            t: np.full(self.count, v) for t, v in (base_loss or {}).items()
        }

    def stating(self, stated: Mapping[str, Any]) -> Losses:
        """The same losses where this is said of the run besides."""
        other = copy(self)
        other._stated = {**self._stated, **stated}
        return other

    def picking(self, draws: Int[np.ndarray, " picked"]) -> Losses:
        """The same losses at some of the draws; what is left to chance is what it is for all of them."""
        other = copy(self)
        other.draws = jax.tree.map(lambda values: values[..., draws], self.draws)
        other.count = len(draws)
        other._picked = self._picked[draws]
        other._base = {target: values[draws] for target, values in self._base.items()}
        other._missing = {}
        other.__dict__.pop("_theta", None)
        return other

    def base(self, target: Target) -> Float[np.ndarray, " draw"]:
        """Loss of the base model on the target's set."""
        if target not in self._base:
            self._base[target] = self._fit.base_loss(self._domain, self.size, target)[self._picked]
        return self._base[target]

    def _usual(self, target: Target) -> Float[np.ndarray, " draw"]:
        """What a base as good as this one on general text usually scores."""
        table = self._fit.table
        gap = usual_gap(table)[table.domains.index(self._domain)] if self._domain in table.domains else np.nan
        if target == GENERAL or np.isnan(gap):
            return self.base(target)
        return self.base(GENERAL) * np.exp(gap)

    def at(
        self, target: Target, ratio: Float[np.ndarray, "*grid"], tokens: Float[np.ndarray, "*grid"] | None = None
    ) -> Float[np.ndarray, "*grid"]:
        """Expected loss at ``ratio``, whose last axis (or only value) runs over draws.

        What the law misses at the base is part of it: as estimated where the table has runs of it, else inherited from
        bases of similar size; beyond the data it may go astray (fit/astray.py). ``tokens`` are those of the run where
        every ratio has its own, in the shape of ``ratio``.

        Raises ValueError where the law gives no number.
        """
        theta, point, shape = self._arguments(target, ratio, tokens)
        found = np.asarray(_expected(self.law, shape, theta, point, self._missed(target, ratio, tokens)))
        if np.isnan(found.min()):  # which passes it on, without an array of its own
            raise ValueError(
                f"the {target} loss of '{self._domain}' at size {self.size:g} and {self.tokens:g} tokens is no number "
                "in some draws: ask nearer to the rows, and look at the draws of the fit"
            )
        return found

    def loudness(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """How much louder noise is there than at an even mix at the end of a run."""
        return np.asarray(_loudness(*self._loud(target, ratio, None)))

    def run_sd(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
        """Standard deviation of a measured loss of one new run around the expected one, nats per token.

        Of Student's t with df: sqrt(df/(df - 2)) times its scale, at most ten times.
        """
        index = TARGETS.index(target)
        draws, df = self.draws, self.draws.noise_df[index]
        deviation = float(deviation_scale(jnp.asarray(self.progress))) * draws.run_sd[index]
        heavy = np.where(np.isfinite(df), 1 / np.sqrt(np.maximum(1 - 2 / df, 0.01)), 1.0)
        return self.loudness(target, ratio) * heavy * np.hypot(deviation, draws.noise_sd[index])

    def _loud(
        self, target: Target, ratio: Float[np.ndarray, "*grid"], tokens: Float[np.ndarray, "*grid"] | None
    ) -> tuple[np.ndarray, ...]:
        """Arguments of the loudness."""
        index = TARGETS.index(target)
        share = np.asarray(ratio if target == "domain" else 1 - ratio, float)
        if self._without_own_share(index):
            share = np.full_like(share, EVEN)
        return share, self._progress(tokens), self.draws.noise_share_exponent[index], self.draws.noise_early[index]

    def _without_own_share(self, index: int) -> bool:
        return own_share_missing(self._fit.table, self.law, self._domain, TARGETS[index])

    @cached_property
    def progress(self) -> float:
        """Position along the table's runs, in log tokens."""
        return float(progress_of(jnp.asarray(self.tokens / BILLION), self._fit.reference))

    @cached_property
    def _astray(self) -> Float[np.ndarray, ""]:
        return drift_scale(self._fit, self.size, self.tokens)

    def _missed(
        self, target: Target, ratio: Float[np.ndarray, "*grid"], tokens: Float[np.ndarray, "*grid"] | None
    ) -> tuple[np.ndarray, ...]:
        """What the law misses: arguments of the loudness, and a line in progress inside the data, a drift beyond."""
        start, end, way = self._misfit(target)
        progress = self._progress(tokens)
        astray = self._astray if tokens is None else drift_scale(self._fit, self.size, tokens)
        line = (1 - progress) * start + progress * end + astray * way
        return *self._loud(target, ratio, tokens), line

    def _progress(self, tokens: Float[np.ndarray, "*grid"] | None) -> Float[np.ndarray, "*grid"]:
        if tokens is None:
            return np.asarray(self.progress)
        return np.asarray(progress_of(jnp.asarray(np.asarray(tokens, float) / BILLION), self._fit.reference))

    def _misfit(self, target: Target) -> tuple[Float[np.ndarray, " draw"], ...]:
        """At the first and at the last checkpoint, and which way it goes astray beyond, at an even mix."""
        if target not in self._missing:
            draws = self._fit.draws(self._domain)
            start, end = base_effect(self._fit, draws, self._domain, target, self.size, self._another_base)
            way = drift(self._fit, draws, self._domain, target)
            start, end, way = (np.asarray(values)[self._picked] for values in (start, end, way))
            self._missing[target] = (start, end, way)
        return self._missing[target]

    @cached_property
    def _another_base(self) -> str | None:
        """A name that no base of the table has, where a loss was stated that is not that of its only one of this size:
        what the law misses there is another's."""
        for target, stated in self._given_base.items():
            losses = self._fit.table.base_losses[:, :, TARGETS.index(target)]
            if np.isnan(losses).all():
                continue  # the stated one is the only one
            known = self._fit.base_loss(self._domain, self.size, target)
            if np.ptp(known) == 0 and not np.isclose(stated, known[0], rtol=SAME_LOSS):
                return "another base"
        return None

    def slope(
        self,
        target: Target,
        ratio: Float[np.ndarray, "*grid"],
        tokens: Float[np.ndarray, "*grid"] | None = None,
        of_law: bool = False,
    ) -> Float[np.ndarray, "*grid"]:
        """dL / d log D at the end of the run, or at ``tokens`` in the shape of ``ratio``: nats per e-fold of tokens.

        Covariates move with the tokens. What the law misses has a slope too, inside the data and beyond; where the two
        meet, at the table's last checkpoint, it is that inside. ``of_law`` leaves that out.
        """
        theta, point, shape = self._arguments(target, ratio, tokens)
        rates = {name: self._covariate(name, target, ratio, tokens, shape, True) for name in self.law.covariates}
        missed = None if of_law else self._missed_slope(target, ratio, tokens)
        return np.asarray(_slope(self.law, shape, theta, point, rates, missed))

    def _missed_slope(
        self, target: Target, ratio: Float[np.ndarray, "*grid"], tokens: Float[np.ndarray, "*grid"] | None
    ) -> tuple[np.ndarray, ...]:
        """Slope of what the law misses: arguments of the loudness, and what it multiplies.

        Of loudness x line it is loudness x (d line - early line d progress): noise grows towards the start.
        """
        *loud, line = self._missed(target, ratio, tokens)
        start, end, way = self._misfit(target)
        where = np.asarray(self.tokens if tokens is None else tokens, float)
        along = progress_rate(np.asarray(where / BILLION), self._fit.reference)
        early = self.draws.noise_early[TARGETS.index(target)]
        return *loud, along * (end - start - early * line) + drift_rate(self._fit, self.size, where) * way

    def point(self, target: Target, ratio: Float[np.ndarray, "*grid"]) -> Point:
        """Where the law is asked for: fields over ratios and draws."""
        _, point, shape = self._arguments(target, ratio)
        return _spread(shape, point)

    def _arguments(
        self, target: Target, ratio: Float[np.ndarray, "*grid"], tokens: Float[np.ndarray, "*grid"] | None = None
    ) -> tuple[dict[str, np.ndarray], Point, tuple[int, ...]]:
        """Natural parameters of every draw, where the law is asked for, and the shape that all of it is spread over."""
        index = TARGETS.index(target)
        self._refuse_unknown(target)
        base = self.base(target) if self.law.needs_base else np.full(self.count, np.nan)
        shape = np.broadcast_shapes(np.shape(ratio), (self.count,))
        fields: dict[str, Any] = {
            "size": np.asarray(self.size / BILLION),
            "tokens": np.asarray((self.tokens if tokens is None else tokens) / BILLION),
            "share": np.asarray(ratio if target == "domain" else 1 - ratio, float),
            "base_loss": base,
            "base_share": np.asarray(BASE_SHARE[index]),
            "base_usual": self._usual(target) if self.law.needs_base else base,
        }
        given: dict[str, Any] = {n: self._covariate(n, target, ratio, tokens, shape) for n in self.law.covariates}
        return self._theta[target], Point(**fields, given=given), shape

    @cached_property
    def _theta(self) -> dict[Target, dict[str, np.ndarray]]:
        theta = self.draws.theta
        return {target: {name: values[index] for name, values in theta.items()} for index, target in enumerate(TARGETS)}

    def _refuse_unknown(self, target: Target) -> None:
        if not (self._fit.table.target == TARGETS.index(target)).any():
            raise ValueError(
                f"the table has no training rows of the target '{target}' (a study from scratch?), so that nothing was "
                f"learned of that loss: ask for another, or add rows of it and fit again"
            )

    def _covariate(
        self, name: str, target: Target, ratio: Any, tokens: Any, shape: tuple[int, ...], along: bool = False
    ) -> Float[np.ndarray, "*grid_and_own"]:
        """A covariate at the ratios, or its derivative by log tokens along the run."""
        ratio = np.asarray(ratio, float)
        tokens = self.tokens if tokens is None else tokens
        question = Question(self._fit.table, self._domain, self.size, tokens, ratio, self._stated, target)
        covariate = COVARIATES[name]
        value = covariate.along(question) if along else covariate.asked(question)
        own = value.shape[ratio.ndim :]
        return np.broadcast_to(value, (*shape, *own))


_loudness: Callable[..., Array] = quick_jit(loudness)


def _spread(shape: tuple[int, ...], point: Point) -> Point:
    """Every field over the whole of ``shape``; covariates are already."""
    fields = {name: jnp.broadcast_to(value, shape) for name, value in point._asdict().items() if name != "given"}
    return Point(**fields, given=point.given)


@partial(quick_jit, static_argnums=(0, 1))
def _expected(law: Law, shape: tuple[int, ...], theta: dict[str, Any], point: Point, missed: tuple[Any, ...]) -> Array:
    """Loss by the law with what it misses."""
    *loud, line = missed
    return _over(law.loss, shape, theta, point) + loudness(*loud) * line


@partial(quick_jit, static_argnums=(0, 1))
def _slope(
    law: Law,
    shape: tuple[int, ...],
    theta: dict[str, Any],
    point: Point,
    rates: dict[str, Any],
    missed: tuple[Any, ...] | None,
) -> Array:
    """Derivative of the loss by log tokens, where covariates change by ``rates`` per e-fold of tokens."""

    def one(values: dict[str, Array], where: Point, rates: dict[str, Array]) -> Array:
        def along(log_tokens: Array) -> Array:
            given = {name: where.given[name] + rate * (log_tokens - start) for name, rate in rates.items()}
            return law.loss(values, where._replace(tokens=jnp.exp(log_tokens), given=given))

        start = jnp.log(where.tokens)
        return jax.grad(along)(start)

    found = _over(one, shape, theta, point, rates)
    if missed is None:
        return found
    *loud, line = missed
    return found + loudness(*loud) * line


def _over(function: Callable[..., Array], shape: tuple[int, ...], *arguments: Any) -> Array:
    """``function`` of one draw at one point, over all of ``shape``.

    Arguments are broadcast to it as in NumPy, but for covariates with axes of their own, which have it already. What is
    the same along an axis is computed once for it: terms of size and tokens once a draw, not at every ratio.
    """
    leaves, tree = jax.tree.flatten(arguments)
    leaves = [jnp.reshape(leaf, (1,) * (len(shape) - jnp.ndim(leaf)) + jnp.shape(leaf)) for leaf in leaves]
    alike = [[leaf.shape[axis] != length for axis, length in enumerate(shape)] for leaf in leaves]
    leaves = [leaf.squeeze(tuple(np.flatnonzero(same))) for leaf, same in zip(leaves, alike, strict=True)]

    def mapped(*values: Array) -> Array:
        return function(*jax.tree.unflatten(tree, values))

    for axis in reversed(range(len(shape))):
        mapped = jax.vmap(mapped, in_axes=tuple(None if same[axis] else 0 for same in alike))
    return mapped(*leaves)


def check_setting(size: float, tokens: float) -> None:
    """Raise ValueError unless size and tokens are finite positive counts."""
    for name, value in (("size", size), ("tokens", tokens)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(
                f"{name} must be a positive number of {'parameters' if name == 'size' else 'tokens'}, got {value}"
            )


def refuse_without_share(fit: Fit) -> None:
    """Raise ValueError where the law of ``fit`` does not see the ratio."""
    law = fit.model.law
    if not law.uses_share:
        raise ValueError(
            f"the law '{law.name}' does not see what a model is trained on, so it has no ratio to give: fit another"
        )


def refuse_phase(stated: Mapping[str, Any] | None) -> None:
    """Raise ValueError where a last phase is stated in a question that looks for a ratio.

    The ratio of a run is the mean over its phases, so that most ratios of [0, 1] cannot be had with a given last one.
    """
    part = (stated or {}).get(PhasePart.statement)
    if part:
        raise ValueError(
            f"a ratio is looked for among all of [0, 1], and a run whose last {part} is set has not all of them: "
            "ask for a plan over runs with such a phase (plan with with_phases, or on the command line "
            "plan --phase-ratios), which chooses the ratio before it"
        )

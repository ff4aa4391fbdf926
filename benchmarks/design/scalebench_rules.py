"""Rules of choosing runs that others use, with plain least-squares fits of the same laws; see modes.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from bayescpt.laws import Law, Point, Reference
from benchmarks.design.modes import POWER, Form, Modes, modes_of, values_at
from benchmarks.design.scalebench_tasks import Task, slots_of

STARTS = 12
WIDE = 2.0
"""Standard deviations of the prior over which starts are spread."""
DRAWS = 4000
OPTIMAL = ("d-optimal", "v-optimal", "mspe")
"""Rules that fits by least squares inform."""


@cache
def form_of(law: Law, reference: Reference) -> Form:
    """Log losses of all rows by a law, from its coordinates."""

    def form(theta: Array, rows: Point) -> Array:
        natural = law.natural(theta, reference, jnp.zeros(()))
        return jnp.log(jax.vmap(lambda where: law.loss(natural, where))(rows))

    return form


@dataclass
class Beliefs:
    """Modes of a law on one validation set, at every run: what a choice of runs changes.

    Args:
        value, slope: log losses (mode, run) and their derivatives (mode, run, parameter).
    """

    modes: Modes
    value: Float[np.ndarray, "mode run"]
    slope: Float[np.ndarray, "mode run parameter"]

    def parts(self, region: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Falls of the squared error within and between modes by a measurement of every run, and of log det."""
        weight, covariance = self.modes.weight, self.modes.covariance
        through = np.einsum("mtp,mpq,mcq->mtc", self.slope[:, region], covariance, self.slope, optimize=True)
        spread = np.einsum("mcp,mpq,mcq->mc", self.slope, covariance, self.slope, optimize=True)
        noise = self.modes.variance[:, None]
        within = weight @ ((through**2).mean(axis=1) / (spread + noise))
        away = self.value - weight @ self.value
        both = np.einsum("m,mt,mc->tc", weight, away[:, region], away)
        between = (both**2).mean(axis=0) / (weight @ (away**2 + spread + noise))
        return within, between, weight @ np.log1p(spread / noise)

    def after(self, run: int) -> Beliefs:
        """As they will be once this run is measured, to first order: covariances shrink, and so does disagreement."""
        weight, slope = self.modes.weight, self.slope[:, run]
        lost = np.einsum("mpq,mq->mp", self.modes.covariance, slope)
        measured = np.einsum("mp,mp->m", slope, lost) + self.modes.variance
        left = self.modes.covariance - np.einsum("mp,mq->mpq", lost, lost) / measured[:, None, None]
        away = self.value - weight @ self.value
        whole = weight @ (away[:, run] ** 2 + measured)
        told = (weight * away[:, run]) @ away / whole
        return Beliefs(self.modes._replace(covariance=left), self.value - away[:, run, None] * told, self.slope)


@dataclass(frozen=True)
class Classical:
    """A law fitted by least squares from many starts to what was bought, each validation set by itself.

    Args:
        bought: positions of the runs.
    """

    task: Task
    law: Law
    bought: Int[np.ndarray, " run"]
    seed: int

    @cached_property
    def beliefs(self) -> list[Beliefs]:
        """By validation set."""
        task, law = self.task, self.task.bound(self.law)
        form, every = form_of(law, task.reference), np.arange(len(task.runs))
        rng = np.random.default_rng([self.seed, len(self.bought)])
        priors = [c.domain for c in law.coordinates]
        centre, sd = (np.array(v) for v in zip(*((p.loc, np.hypot(p.scale, p.spread)) for p in priors), strict=True))
        # filled up with the first, which then does not count
        slots = slots_of(len(self.bought))
        fill = np.append(self.bought, np.repeat(self.bought[:1], slots - len(self.bought)))
        counts = (np.arange(slots) < len(self.bought)).astype(float)
        found = []
        for place, domain in enumerate(task.domains):
            starts = centre + WIDE * sd * rng.standard_normal((STARTS, len(centre)))
            rows, target, everywhere = (
                jax.tree.map(jnp.asarray, task.points(domain, which)) for which in (fill, task.region, every)
            )
            modes = modes_of(form, starts, rows, np.log(task.losses[fill, place]), counts, target)
            filled = np.concatenate([modes.theta, np.repeat(modes.theta[:1], STARTS - len(modes.theta), axis=0)])
            value, slope = (np.asarray(v)[: len(modes.theta)] for v in values_at(form, jnp.asarray(filled), everywhere))
            lost = ~(np.isfinite(value).all(axis=0) & np.isfinite(slope).all(axis=(0, 2)))
            # where a mode has no finite loss a run promises nothing
            found.append(Beliefs(modes, np.where(lost, 0.0, value), np.where(lost[:, None], 0.0, slope)))
        return found

    def predicted(self) -> tuple[Float[np.ndarray, "run domain"], Float[np.ndarray, "run domain draw"]]:
        """The best fit's losses in the region, and measured ones drawn from the modes."""
        best, drawn = [], []
        region, rng = self.task.region, np.random.default_rng([self.seed, 1])
        for one in self.beliefs:
            best.append(np.exp(one.value[0, region]))
            mode = rng.choice(len(one.modes.weight), DRAWS, p=one.modes.weight)
            size, turn = np.linalg.eigh(one.modes.covariance)
            roots = turn * np.sqrt(np.maximum(size, 0.0))[:, None, :]
            moves = np.einsum("dpq,dq->dp", roots[mode], rng.standard_normal((DRAWS, roots.shape[-1])))
            mean = one.value[mode][:, region] + np.einsum("drp,dp->dr", one.slope[mode][:, region], moves)
            noise = np.sqrt(one.modes.variance[mode])[:, None] * rng.standard_normal(mean.shape)
            drawn.append(np.exp(np.clip(mean + noise, -20, 20)).T)
        return np.stack(best, axis=1), np.stack(drawn, axis=1)

    def chosen(self, rule: str, budget: float, left: float, most: int) -> list[int]:
        """Runs of most worth for their cost by a rule, one after another; the rest as in scalebench_engine.py."""
        beliefs, task = self.beliefs, self.task
        open_ = np.setdiff1d(task.pool, self.bought)
        taken: list[int] = []
        while len(taken) < most and budget > 0 and (task.cost[open_] <= left).any():
            gain = np.zeros(len(task.runs))
            for one in beliefs:
                within, between, determinant = one.parts(task.region)
                gain += {"d-optimal": determinant, "v-optimal": within, "mspe": within + between}[rule]
            score = gain[open_] / task.cost[open_] ** POWER
            best = int(open_[np.argmax(np.where(task.cost[open_] <= left, score, -1.0))])
            taken.append(best)
            open_ = open_[open_ != best]
            budget, left = budget - task.cost[best], left - task.cost[best]
            beliefs = [one.after(best) for one in beliefs]
        return taken

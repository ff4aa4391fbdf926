"""Our own engine on a task: a fit of every law to what was bought, their average, and what a run would tell.

A fit is that of ``bayescpt.fit`` by ``laplace``, with runs and bases filled up so that few shapes are compiled. Laws
are weighed by stacking what they say of each bought run without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from bayescpt.design.acquisition import VarianceReduction, given
from bayescpt.fit import Fit
from bayescpt.fit.astray import base_effect, drift, drift_scale
from bayescpt.fit.compare import stacking_weights
from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.laplace import DF, found_mode, mode_draws
from bayescpt.fit.run import model_of
from bayescpt.fit.tree import tree_of
from bayescpt.laws import Law, Point, Reference
from bayescpt.model.layout import EVEN, Layout, layout_of, reference_of
from bayescpt.schema import DOMAIN, TARGETS
from benchmarks.design.scalebench_tasks import Task, slots_of

OWN = TARGETS.index(DOMAIN)
DRAWS = 4000
BRIEF = 4
"""Choosing runs reads every so many-th draw."""
LEAST_LEFT = 1e-2
"""Part of what a run shows that at least is not its own doing."""
WIDTHS = np.geomspace(1.0, 10.0, 31)
EQUAL = 10.0
"""Runs that equal weights of the laws count as much as."""
ENOUGH = 12
"""Runs from which on a third of them can be held out."""
POWER = 0.5
"""Of the cost, as in bayescpt/design/select.py."""


def filled(layout: Layout, slots: int, bases: int) -> Layout:
    """The same layout with one checkpoint a run, filled up with runs and bases that say nothing."""
    rows, more = layout.rows, bases - layout.rows.base_root.shape[-1]

    def runs(values: Array) -> Array:
        pads = [(0, 0)] * 2 + [(0, slots - values.shape[2])] + [(0, 0)] * (values.ndim - 3)
        return jnp.pad(values[:, :, :, :1], pads, mode="edge")

    def square(values: Array) -> Array:
        whole = jnp.broadcast_to(jnp.eye(bases), (len(values), bases, bases))
        return whole.at[:, : bases - more, : bases - more].set(values)

    extra = slots - rows.mask.shape[2]
    made = rows._replace(
        # noise does not depend on the share: fitted exactly by few runs, its exponent would have no bound
        point=jax.tree.map(runs, rows.point._replace(share=jnp.full_like(rows.point.share, EVEN))),
        loss=runs(rows.loss),
        gap=runs(rows.gap),
        # nor on tokens: losses are those of finished runs, and none is earlier in its run than another
        progress=jnp.ones((*rows.mask.shape[:2], slots, 1)),
        se=None,
        mask=jnp.pad(rows.mask[..., :1], [(0, 0), (0, 0), (0, extra), (0, 0)]),
        base=jnp.pad(rows.base, [(0, 0), (0, extra)]),
        base_mask=jnp.pad(rows.base_mask, [(0, 0), (0, 0), (0, more)]),
        base_root=square(rows.base_root),
        base_inverse=square(rows.base_inverse),
    )
    held = np.pad(layout.bases, [(0, 0), (0, more), (0, 0)], constant_values=-1)
    return layout._replace(rows=made, bases=held)


@partial(quick_jit, static_argnames="law")
def _linear(law: Law, reference: Reference, centre: Array, points: Point) -> tuple[Array, Array]:
    """Losses by a law around ``centre`` (run) and their derivatives by the coordinates (run, coordinate)."""

    def losses(coordinates: Array) -> Array:
        theta = law.natural(coordinates, reference, jnp.zeros(()))
        return jax.vmap(lambda where: law.loss(theta, where))(points)

    return losses(centre), jax.jacfwd(losses)(centre)


Told = tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"], int]
"""Of every run the squared distance of what it showed, the log volume, and how many numbers it showed."""


def without_each(
    residual: Float[np.ndarray, "run number"],
    believed: Float[np.ndarray, "run number number"],
    noise: Float[np.ndarray, "run number"],
    own: bool,
) -> Told:
    """What others say of every run.

    Args:
        residual: of a fit, by validation set.
        believed: covariance of the losses that are expected there.
        noise: standard deviations of a measured loss around them.
        own: whether the fit had the runs themselves, which then are taken out as from a linear model.
    """
    identity = np.eye(residual.shape[1])
    away, spread = residual, believed
    if own:
        # runs that are outliers weighed less in the fit, as in bayescpt/fit/laplace.py
        weight = (DF + len(identity)) / (DF + ((residual / noise) ** 2).sum(axis=1))
        root = np.sqrt(weight)[:, None] / noise
        part, turn = np.linalg.eigh(root[:, :, None] * believed * root[:, None, :])
        grown = (turn / np.clip(1 - part, LEAST_LEFT, None)[:, None, :]) @ np.swapaxes(turn, -1, -2)
        away = np.einsum("rij,rj->ri", grown, residual * root) / root
        spread = (grown - identity) / (root[:, :, None] * root[:, None, :])
    spread = spread + identity * (noise**2)[:, None]
    distance = np.einsum("ri,ri->r", away, np.linalg.solve(spread, away[..., None])[..., 0])
    return distance, 0.5 * np.linalg.slogdet(spread)[1], len(identity)


def _widened(told: Told) -> tuple[float, Float[np.ndarray, " run"]]:
    """By what factor standard deviations are likeliest too small, and log densities (Student's t) with that."""
    distance, volume, count = told
    log_width = np.log(WIDTHS)[:, None]
    said = -0.5 * (DF + count) * np.log1p(distance * np.exp(-2 * log_width) / DF) - volume - count * log_width
    best = int(np.argmax(said.sum(axis=1) - 0.5 * (np.log(WIDTHS) / np.log(3)) ** 2))
    return float(WIDTHS[best]), said[best]


@dataclass(frozen=True)
class Member:
    """A fit and where its mode is.

    Args:
        centre: coordinates of the domain loss by validation set.
    """

    fit: Fit
    centre: Float[np.ndarray, "domain coordinate"]


@dataclass(frozen=True)
class Engine:
    """What our engine says after these runs.

    Expected losses are linear in the coordinates around the mode (Immer et al. 2021, 2008.08400): that is what the
    curvature there speaks of, and where runs are fewer than parameters its draws through the law miss the rows.

    Args:
        bought: positions of the runs.
    """

    task: Task
    bought: Int[np.ndarray, " run"]
    seed: int

    @cached_property
    def members(self) -> list[Member]:
        """Of every law."""
        task, found = self.task, []
        table = task.table(self.bought)
        bases = task.runs["size"].iloc[task.pool].nunique()
        for law in task.laws:
            model = model_of(law, task.pooling, "student").on(table)
            reference = reference_of(table)
            layout = filled(
                layout_of(table, model.law, model.hierarchy.groups(table)), slots_of(len(self.bought)), bases
            )
            mode = found_mode(model, layout.rows, reference)
            drawn = mode_draws(model, mode, jax.random.key(self.seed), DRAWS)
            tree = tree_of(model, table, layout, reference, {n: v[None] for n, v in drawn.items()}, {}, told=False)
            fit = Fit(model, table, reference, tree, (), self.seed, "laplace")
            order = [table.domains.index(name) for name in task.domains]
            found.append(Member(fit, np.asarray(mode.latent)[OWN, order, : len(model.law.coordinates)]))
        return found

    @cached_property
    def foreseen(self) -> list[tuple[float, Float[np.ndarray, " said"]]]:
        """By law: how much wider it must be for what it says of runs without them, and the log densities of these.

        Each run is foreseen by the rest; where the region lies beyond the pool, the dearest third is besides foreseen
        by a fit to the others, and it is this that says how wide. A mode's noise is too small where runs are hardly
        more than parameters, and a law goes astray: at least 1, and within a factor of three by the prior.
        """
        found = [_widened(without_each(*self._said(member, self.bought), own=True)) for member in self.members]
        if not (self.task.beyond and len(self.bought) >= ENOUGH):
            return found
        order = self.bought[np.argsort(self.task.compute[self.bought], kind="stable")]
        count = len(order) * 2 // 3
        inner = Engine(self.task, np.sort(order[:count]), self.seed)
        far = [
            _widened(without_each(*inner._said(member, np.sort(order[count:])), own=False)) for member in inner.members
        ]
        return [(width, np.append(near, said)) for (_, near), (width, said) in zip(found, far, strict=True)]

    def _said(self, member: Member, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a fit leaves of the measured losses of runs, the covariance of those expected, and the noise."""
        each = [self._of(member, domain, which, slice(None)) for domain in self.task.domains]
        drawn, noise = (np.stack(values, axis=1) for values in zip(*each, strict=True))
        away = drawn - drawn.mean(axis=-1, keepdims=True)
        believed = np.einsum("rid,rjd->rij", away, away, optimize=True) / drawn.shape[-1]
        return self.task.losses[which] - drawn.mean(axis=-1), believed, np.sqrt((noise**2).mean(axis=-1))

    @cached_property
    def weights(self) -> Float[np.ndarray, " law"]:
        """Of the laws: by stacking what they foresee, drawn towards equal ones."""
        said = np.stack([densities for _, densities in self.foreseen], axis=1)
        runs = len(self.bought)
        return (runs * stacking_weights(said) + EQUAL / said.shape[1]) / (runs + EQUAL)

    @cached_property
    def _chosen(self) -> list[np.ndarray]:
        """Which draws of every law count, as its weight says."""
        counts = np.diff(np.round(np.append(0.0, np.cumsum(self.weights)) * DRAWS).astype(int))
        rng = np.random.default_rng([self.seed, len(self.bought)])
        return [rng.choice(DRAWS, count, replace=False) for count in counts]

    def drawn(self, which: Int[np.ndarray, " run"], noisy: bool) -> Float[np.ndarray, "run domain draw"]:
        """Losses of these runs by draw, joint over all: those expected, or with the noise of single new runs."""
        rng = np.random.default_rng([self.seed, len(self.bought), len(which)])
        parts = []
        for member, (width, _), chosen in zip(self.members, self.foreseen, self._chosen, strict=True):
            each = [self._of(member, domain, which, slice(None)) for domain in self.task.domains]
            mean, scale = (np.stack(values, axis=1) for values in zip(*each, strict=True))
            centre = mean.mean(axis=-1, keepdims=True)
            mean, scale = centre + width * (mean[..., chosen] - centre), width * scale[..., chosen]
            heavy = np.sqrt(rng.chisquare(DF, mean.shape) / DF)
            parts.append(mean + scale * rng.standard_normal(mean.shape) / heavy if noisy else mean)
        return np.concatenate(parts, axis=-1)

    def _of(
        self, member: Member, domain: str, which: np.ndarray, chosen: np.ndarray | slice
    ) -> tuple[Float[np.ndarray, "run draw"], Float[np.ndarray, "run draw"]]:
        """Expected losses and the scale of a run's noise, as bayescpt.ask.predict has them, all places at once."""
        fit, task = member.fit, self.task
        draws, runs = fit.draws(domain), task.runs.iloc[which]
        centre = member.centre[task.domains.index(domain)]
        # everywhere: one shape a task
        every = task.points(domain, np.arange(len(task.runs)))
        value, slope = (np.asarray(v)[which] for v in _linear(fit.model.law, fit.reference, jnp.asarray(centre), every))
        posterior = fit.posterior["coordinates"].sel(target=DOMAIN, domain=domain).to_numpy()[0][chosen]
        size, tokens = (runs[name].to_numpy(float) for name in ("size", "tokens"))
        different, code = np.unique(size, return_inverse=True)
        effect = np.stack([base_effect(fit, draws, domain, DOMAIN, float(one)) for one in different])[:, 1, chosen]
        # with one checkpoint a run, what a law misses shows as a run's noise as well as a base's
        missed = np.linalg.norm([values[OWN] for values in (draws.base_sd, draws.run_sd, draws.noise_sd)], axis=0)
        way = drift(fit, draws, domain, DOMAIN) / draws.base_sd[OWN] * missed
        astray = drift_scale(fit, size, tokens)[:, None] * way[chosen]
        mean = value[:, None] + slope @ (posterior - centre).T
        noise = np.hypot(draws.run_sd[OWN], draws.noise_sd[OWN])[chosen]
        return mean + effect[code] + astray, np.broadcast_to(noise, mean.shape)

    def chosen(self, budget: float, left: float, most: int) -> list[int]:
        """Runs of most worth for their cost, one after another: V-optimal for the region, by draws of the average.

        Args:
            budget: after which no more are taken.
            left: that no run may exceed.
            most: that are taken.
        """
        task = self.task
        offers = np.setdiff1d(task.pool, self.bought)
        seen = self.drawn(offers, noisy=True)[..., ::BRIEF]
        quantities = self.drawn(task.region, noisy=False)[..., ::BRIEF].reshape(-1, seen.shape[-1])
        taken: list[int] = []
        cost = task.cost[offers]
        while len(taken) < most and budget > 0 and (cost <= left).any():
            gain = VarianceReduction(quantities).gain(quantities, seen) / cost**POWER
            best = int(np.argmax(np.where(cost <= left, gain, -1.0)))
            taken.append(int(offers[best]))
            budget, left = budget - cost[best], left - cost[best]
            quantities, seen = given(quantities, seen[best]), given(seen, seen[best])
            offers, cost, seen = (np.delete(values, best, axis=0) for values in (offers, cost, seen))
        return taken

"""NUTS on a model, in coordinates whose posterior is round, from a Laplace start."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from numpyro.infer.hmc_util import IntegratorState, build_tree, dual_averaging, velocity_verlet
from numpyro.infer.util import constrain_fn, potential_energy

from bayescpt.fit.adapt import Map, rounder, stretches
from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.laplace import found_mode
from bayescpt.fit.start import first_map, starts
from bayescpt.fit.tree import UNTOLD
from bayescpt.laws import Reference
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model
from bayescpt.settings import SamplerSettings

FIRST_STEP = 0.2
LEAST_STRETCH = 10
"""Draws from which a step can be learnt."""
UNKNOWN = 1e10
"""Potential energy of a start: the first step is accepted wherever it leads, and from there on it is known. To know it
before would mean another copy of the gradient, whose compilation takes longer than many fits."""

_, tuned = dual_averaging()
Steps = tuple[Array, Array, Array, Array, Array]
"""Of dual averaging: log step, its average, average gradient, count, centre."""


class Place(NamedTuple):
    """Where chains are, and what they have adapted to: enough to go on from there."""

    flat: Float[np.ndarray, "chain flat"]
    map: Map
    log_step: Float[np.ndarray, " chain"]


@dataclass(frozen=True)
class Samples:
    """Raw draws (chain, draw, ...) by site, and sampler statistics by name."""

    sites: dict[str, Float[np.ndarray, "chain draw *site"]]
    stats: dict[str, Float[np.ndarray, "chain draw"]]


class _State(NamedTuple):
    """Of one chain."""

    key: PRNGKeyArray
    flat: Float[Array, " flat"]
    energy: Float[Array, ""]
    """potential"""
    slope: Float[Array, " flat"]
    steps: Steps
    draws: Float[Array, "draw flat"]
    stats: dict[str, Array]


class Sampler:
    """NUTS for one model, compiled once for the shapes of its rows; call it again with other rows of the same shapes.

    A stretch of a chain is one jitted function of rows and start, so a refit costs no compilation. Between stretches of
    the warm-up all chains get the map that makes the draws of all of them round: what one chain has seen is too little
    to tell, and the chain with the worst map would keep the others waiting. The tree builder is NumPyro's; its driver
    is not, because it compiles anew on every call, adapts chain by chain, and takes far longer to compile
    (fit/adapt.py).
    """

    def __init__(self, model: Model, settings: SamplerSettings) -> None:
        self.model = model
        self.settings = settings
        self.end: Place | None = None
        """where the last run ended"""
        self._last: Rows | None = None
        self._refits = 0
        axes = (0, None, None, None, 0, None, 0, None, None)
        chains = jax.vmap(self._stretch, in_axes=axes)
        # A device per chain lets chains run on several cores; otherwise they advance together on one.
        if jax.local_device_count() >= settings.chains > 1:
            mesh = Mesh(np.array(jax.local_devices()[: settings.chains]), ("chain",))
            split = tuple(PartitionSpec() if axis is None else PartitionSpec("chain") for axis in axes)
            chains = jax.shard_map(chains, mesh=mesh, in_specs=split, out_specs=PartitionSpec("chain"), check_vma=False)
        self._chains = quick_jit(chains)
        self._sites = quick_jit(jax.vmap(self._told, in_axes=(None, None, None, 0)), brief=True)
        self._room = max([settings.draws + 1, *stretches(settings.warmup), settings.refit_warmup])

    def run(self, rows: Rows, reference: Reference, key: PRNGKeyArray, go_on: bool = False) -> Samples:
        """Sample the posterior given ``rows``.

        Args:
            go_on: start where the last run ended, with its maps and steps and a short warm-up: for a refit to rows that
                hardly differ. The posterior of rows of other shapes has other coordinates, and starts anew.

        Raises ValueError where no mode is found to start from.
        """
        settings = self.settings
        place = self.end if go_on else None
        if place is not None and place.map.whitening.root.shape[:-1] != self._shape(rows):
            place = None
        if place is None:
            first = first_map(self.model, found_mode(self.model, rows, reference), rows, reference)
            rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
            steps = np.full(settings.chains, math.log(FIRST_STEP))
            place, windows = Place(starts(first, settings.chains, rng), first, steps), stretches(settings.warmup)
        else:
            windows = [min(settings.refit_warmup, settings.warmup)]
            self._refits += 1
            key = jax.random.fold_in(key, self._refits)  # refits with one seed are not to share their chances

        def advance(place: Place, number: int, draws: int, warming: bool) -> tuple[Place, np.ndarray, dict[str, Array]]:
            part = jax.random.fold_in(key, number)
            chains = np.arange(settings.chains)
            where = (jnp.asarray(place.flat), place.map, jnp.asarray(place.log_step))
            flat, steps, found, stats = self._chains(
                jnp.asarray(chains), part, rows, reference, *where, jnp.asarray(warming), jnp.asarray(draws)
            )
            return Place(np.asarray(flat), place.map, np.asarray(steps)), np.asarray(found)[:, :draws], stats

        for number, window in enumerate(windows):
            known_step = place.log_step.mean()
            place, found, _ = advance(place, number, window, warming=True)
            if 0 < number < len(windows) - 1:
                new, flat = rounder(place.map, found, place.flat)
                place = place._replace(map=new, flat=flat)
            # what a single chain finds is mostly chance, and what a very short stretch finds is nothing else
            found_step = place.log_step.mean() if window >= LEAST_STRETCH else known_step
            place = place._replace(log_step=np.full_like(place.log_step, found_step))
        # a stretch begins without knowing its energy, so that its first draw is accepted wherever it is: it is dropped
        self.end, flat, stats = advance(place, len(windows), settings.draws + 1, warming=False)
        flat = flat[:, 1:]
        sites = self._sites(rows, reference, self.end.map, jnp.asarray(flat))
        return Samples(
            sites={name: np.asarray(value) for name, value in sites.items()},
            stats={name: np.asarray(value)[:, 1 : settings.draws + 1] for name, value in stats.items()},
        )

    def settled(self, rows: Rows) -> Rows:
        """``rows`` in the shapes of the last call, so that nothing is compiled again, where they fit into these.

        Compact rows (model/layout.py) of a run more may be more compact: its tokens complete a grid, for example. Only
        what ``compact`` cuts is widened, and only if everything else has the shape it had.
        """
        last, self._last = self._last, rows
        kind: Any = jax.tree.structure(rows)
        if last is None or kind != jax.tree.structure(last):
            return rows
        cut = {"point": rows.point, "progress": rows.progress, "gap": rows.gap}
        whole = {name: value for name, value in rows._asdict().items() if name not in cut}
        before = last._asdict()
        same = jax.tree.map(lambda own, old: own.shape == old.shape, whole, {name: before[name] for name in whole})
        fits = jax.tree.map(_fits, cut, {name: before[name] for name in cut})
        if not all(jax.tree.leaves((same, fits))):
            return rows
        wider = jax.tree.map(
            lambda own, old: jnp.asarray(np.broadcast_to(own, old.shape)), cut, {name: before[name] for name in cut}
        )
        self._last = rows._replace(**wider)
        return self._last

    def _shape(self, rows: Rows) -> tuple[int, ...]:
        """Of the latent vectors: target, group, latent."""
        return (*rows.base_mask.shape[:2], len(self.model.law.coordinates) + 2 * rows.base_mask.shape[2])

    def _potential(self, flat: Float[Array, " flat"], map: Map, rows: Rows, reference: Reference) -> Array:
        return potential_energy(self.model, (rows, reference, map.whitening), {}, map.sites(flat))

    def _told(
        self, rows: Rows, reference: Reference, map: Map, flat: Float[Array, "draw flat"]
    ) -> dict[str, Float[Array, " draw *site"]]:
        """Constrained and deterministic sites of one chain's draws."""

        def one(flat: Float[Array, " flat"]) -> dict[str, Array]:
            arguments = (rows, reference, map.whitening)
            return constrain_fn(self.model, arguments, {}, map.sites(flat), return_deterministic=True)

        sites = jax.vmap(one)(flat)
        return {name: value for name, value in sites.items() if name not in UNTOLD}

    def _stretch(
        self,
        number: Int[Array, ""],
        key: PRNGKeyArray,
        rows: Rows,
        reference: Reference,
        flat: Float[Array, " flat"],
        map: Map,
        log_step: Float[Array, ""],
        warming: Bool[Array, ""],
        draws: Int[Array, ""],
    ) -> tuple[Array, Array, Float[Array, "room flat"], dict[str, Array]]:
        """Draws of one chain: where it ended, its log step, the draws in flat coordinates, and statistics by draw.

        ``warming`` looks for the step. Draws and warm-up are one program, because two would take twice as long to
        compile, which is longer than most fits.
        """
        kept = {name: jnp.zeros(self._room) for name in ("acceptance_rate", "energy", "lp", "step_size")}
        kept |= {"diverging": jnp.zeros(self._room, bool), "n_steps": jnp.zeros(self._room, int)}
        begin = _State(
            key=jax.random.fold_in(key, number),
            flat=flat,
            energy=jnp.asarray(UNKNOWN),
            slope=jnp.zeros(flat.shape),
            steps=_search(log_step),
            draws=jnp.zeros((self._room, *flat.shape)),
            stats=kept,
        )
        potential = partial(self._potential, map=map, rows=rows, reference=reference)
        _, leap = velocity_verlet(potential, _kinetic)
        end = jax.lax.fori_loop(0, draws, partial(self._draw, leap=leap, warming=warming), begin)
        return end.flat, end.steps[1], end.draws, end.stats

    def _draw(
        self, number: Int[Array, ""], state: _State, leap: Callable[..., IntegratorState], warming: Array
    ) -> _State:
        """One draw more."""
        key, kick, choose = jax.random.split(state.key, 3)
        log_step = jnp.where(warming, state.steps[0], state.steps[1])
        momentum = jax.random.normal(kick, state.flat.shape)
        tree = build_tree(
            leap,
            _kinetic,
            IntegratorState(state.flat, momentum, state.energy, state.slope),
            jnp.ones_like(momentum),
            jnp.exp(log_step),
            choose,
            max_tree_depth=self.settings.max_tree_depth,
        )
        accepted = tree.sum_accept_probs / tree.num_proposals
        moved = tuned(self.settings.target_accept - accepted, state.steps)
        steps = jax.tree.map(lambda new, old: jnp.where(warming, new, old), moved, state.steps)
        stats = {
            "diverging": tree.diverging,
            "acceptance_rate": accepted,
            "n_steps": tree.num_proposals,
            "energy": tree.z_proposal_energy,
            "lp": -tree.z_proposal_pe,
            "step_size": jnp.exp(log_step),
        }
        kept = {name: values.at[number].set(stats[name]) for name, values in state.stats.items()}
        draws = state.draws.at[number].set(tree.z_proposal)
        return _State(key, tree.z_proposal, tree.z_proposal_pe, tree.z_proposal_grad, steps, draws, kept)


def _fits(own: Array, old: Array) -> bool:
    """Whether one array can be spread over the shape of another."""
    return own.ndim == old.ndim and all(n in (1, wide) for n, wide in zip(own.shape, old.shape, strict=True))


def _kinetic(inverse_mass: Array, momentum: Array) -> Array:
    """Of unit mass: the maps do what a mass matrix would."""
    del inverse_mass
    return 0.5 * jnp.sum(momentum**2)


def _search(log_step: Array) -> Steps:
    """Dual averaging about to begin at a step; it is drawn towards ten times as much (Hoffman and Gelman 2014)."""
    zero = jnp.zeros(())
    return log_step, log_step, zero, jnp.asarray(0), log_step + math.log(10)

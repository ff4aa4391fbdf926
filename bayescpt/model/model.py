"""law x hierarchy x noise: calling the model is the NumPyro program."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import constraints

from bayescpt.data.learnability import EARLY, early_rows, traits_of
from bayescpt.data.table import Table
from bayescpt.laws import Law, Point, Reference
from bayescpt.model.hierarchy import PartialPooling
from bayescpt.model.layout import BASE_SHARE, Layout, Rows, compacted, layout_of, reference_of
from bayescpt.model.noise import NOISES, Noise, NoiseDraw, RunDistribution, loudness_of
from bayescpt.model.population import Hierarchy, Population
from bayescpt.model.whiten import Whitening, sample_whitened
from bayescpt.schema import TARGETS


@dataclass(frozen=True)
class Model:
    """A generative program for the loss of every row: which law, how domains share it, what noise lies on top."""

    law: Law
    hierarchy: Hierarchy = field(default_factory=PartialPooling)
    noise: Noise = NOISES["student"]
    use_se: bool = False
    """whether the table's standard errors are those of single rows and add to their noise, in quadrature; rows measured
    on one validation set share that error, and then it does not"""

    def on(self, table: Table) -> Model:
        """The model with its law bound to the sources of ``table``."""
        return replace(self, law=self.law.on(table.sources))

    def __call__(
        self, rows: Rows, reference: Reference, whitening: Whitening | None = None, observed: bool = True
    ) -> None:
        """Run the program on grouped rows; with ``observed=False`` the losses are drawn, not conditioned on.

        ``whitening`` changes the coordinates that are sampled, never the density.
        """
        groups, bases = rows.base_root.shape[:2]
        noise = self.noise.sample(groups)
        population = self.hierarchy.sample(self.law, rows)
        prior = LatentPrior(population, noise.base_sd, rows)
        if whitening is None:
            latent = numpyro.sample("latent", prior.to_event(2))
        else:
            latent = sample_whitened(prior, population.mean, noise.base_sd, whitening)
        count = len(self.law.coordinates)
        coordinates = numpyro.deterministic("coordinates", latent[..., :count])
        effect = numpyro.deterministic("base_effect", ends_of(latent[..., count:], bases))
        losses = self.likelihood(coordinates, effect, noise, rows, reference)
        numpyro.sample("loss", losses.to_event(3), obs=rows.loss if observed else None)

    def layout(self, table: Table) -> Layout:
        """The rows of ``table`` grouped as the program needs them.

        A hierarchy that reads early statistics has those rows in them and not in the likelihood: no row counts twice.
        Raises ValueError where the rows cannot carry the law or the hierarchy.
        """
        groups = self.hierarchy.groups(table)
        if not self.hierarchy.early:
            return compacted(layout_of(table, self.law, groups, self.use_se))
        traits, late = traits_of(table), table.select(~early_rows(table))
        if not len(late):
            raise ValueError(
                f"pooling {self.hierarchy.name} reads the first {EARLY:.1%} of the longest run as statistics, and "
                "there are no other rows: add later checkpoints, or fit with another pooling (--pooling partial)"
            )
        return compacted(layout_of(late, self.law, groups, self.use_se, reference_of(table), table, traits))

    def likelihood(
        self,
        coordinates: Float[Array, "target group coordinate"],
        base_effect: Float[Array, "target group base end"],
        noise: NoiseDraw,
        rows: Rows,
        reference: Reference,
    ) -> RunDistribution:
        """Distribution of the losses of every run for one draw: batch (target, group, slot)."""
        mean = self.expected(coordinates, rows.point, reference)
        mean = jnp.broadcast_to(mean + base_deviation(base_effect, noise, rows), rows.loss.shape)
        return RunDistribution(mean, noise, rows, self.noise.heavy)

    def natural(
        self, coordinates: Float[Array, "target group coordinate"], reference: Reference
    ) -> dict[str, Float[Array, "target group"]]:
        """Natural parameters of every target and group for one draw."""

        def one(coordinates: Array, base_share: Array) -> dict[str, Array]:
            return self.law.natural(coordinates, reference, base_share)

        return jax.vmap(jax.vmap(one, in_axes=(0, None)))(coordinates, jnp.asarray(BASE_SHARE))

    def expected(
        self, coordinates: Float[Array, "target group coordinate"], point: Point, reference: Reference
    ) -> Float[Array, "target group #slot #checkpoint"]:
        """Loss of grouped points by the law for one draw."""
        return self.losses(self.natural(coordinates, reference), point)

    def losses(
        self, theta: dict[str, Float[Array, "target group"]], point: Point
    ) -> Float[Array, "target group #slot #checkpoint"]:
        """The same from natural parameters. An axis along which no field of ``point`` varies has length 1."""
        return over_rows(self.law.loss, theta, point)

    def slopes(
        self, theta: dict[str, Float[Array, "target group"]], point: Point
    ) -> tuple[Array, dict[str, Float[Array, "target group #slot #checkpoint"]]]:
        """Losses and their derivatives by every natural parameter."""
        return over_rows(jax.value_and_grad(self.law.loss), theta, point)

    def describe(self) -> str:
        """The model in words: equation, priors with units and sources, noise."""
        lines = [f"law {self.law.name}: {self.law.equation}", f"  {self.law.reference}"]
        for coordinate in self.law.coordinates:
            lines.append(f"  {coordinate.name} [{coordinate.unit}]: {coordinate.meaning}; {coordinate.source}")
            for target in TARGETS:
                p = coordinate.prior(target)
                lines.append(f"    {target:<8} loc {p.loc:.3g}, scale {p.scale:g}, spread {p.spread:g}")
        lines.append(f"pooling {self.hierarchy.name}: {self.hierarchy.meaning}, per target")
        lines.append(f"  coordinate of a domain ~ {self.hierarchy.prior}")
        lines.append(self.noise.describe())
        if self.use_se:
            lines.append("  standard errors of rows (loss_se) are their own and add to it in quadrature")
        return "\n".join(lines)


def over_rows(function: Callable[..., Any], theta: dict[str, Float[Array, "target group"]], point: Point) -> Any:
    """``function(theta, point)`` of one draw at one point, at all points of grouped rows.

    An axis of length 1 of a field is not mapped over: what depends on no other field is computed once.
    """
    mapped = function
    varied = [axis < 2 or any(v.shape[axis] > 1 for v in jax.tree.leaves(point)) for axis in range(4)]
    for axis in (3, 2, 1, 0):
        over = jax.tree.map(lambda values, axis=axis: 0 if values.shape[axis] > 1 else None, point)
        if varied[axis]:
            mapped = jax.vmap(mapped, in_axes=(0 if axis < 2 else None, over))
    squeezed = jax.tree.map(lambda v: v.reshape([n for n in v.shape[:4] if n > 1] + list(v.shape[4:])), point)
    lost = [axis for axis in range(4) if not varied[axis]]
    return jax.tree.map(lambda found: jnp.expand_dims(found, lost), mapped(theta, squeezed))


def ends_of(latent: Float[Array, "*group both"], bases: int) -> Float[Array, "*group base end"]:
    """The part of latent vectors that is the effects of bases: at the first and at the last checkpoint."""
    return jnp.stack([latent[..., :bases], latent[..., bases:]], axis=-1)


def scores_under(root: Float[Array, "*roots n n"], values: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """root^-1 values; root lower triangular.

    The solver is written out: batched ones of LAPACK have hung inside loops on busy machines.
    """
    found: list[Array] = []
    for i in range(values.shape[-1]):
        known = sum((root[..., i, j] * found[j] for j in range(i)), jnp.zeros(()))
        found.append((values[..., i] - known) / root[..., i, i])
    return jnp.stack(found, axis=-1)


class LatentPrior(dist.Distribution):
    """Prior of the latent vectors (target, group): the law's coordinates, then the effects of the group's bases at
    either end of a run.

    A level and the effects of a domain's bases are correlated in the posterior, so they are whitened together. The
    effects are in nats, not in units of base_sd: a base has dozens of rows, which pin its effect, not its score.
    """

    support = constraints.real_vector

    def __init__(
        self,
        population: Population,
        base_sd: Float[Array, "target group"],
        rows: Rows,
    ) -> None:
        targets, groups, count = population.mean.shape
        self.population, self.base_sd = population, base_sd
        self.base_root, self.base_inverse = rows.base_root, rows.base_inverse
        width = count + 2 * rows.base_root.shape[-1]
        self.loc = jnp.zeros((targets, groups, width)).at[..., :count].set(population.mean)
        super().__init__((targets, groups), (width,))

    @property
    def scale_tril(self) -> Float[Array, "target group latent latent"]:
        """Cholesky factor of the covariance."""
        count, bases = self.population.mean.shape[-1], self.base_root.shape[-1]
        own = self.base_sd[:, :, None, None] * self.base_root
        root = (
            jnp.zeros((*self.loc.shape, self.loc.shape[-1])).at[..., :count, :count].set(self.population.root[:, None])
        )
        first = slice(count, count + bases), slice(count, count + bases)
        last = slice(count + bases, None), slice(count + bases, None)
        return root.at[..., *first].set(own).at[..., *last].set(own)

    def log_prob(self, value: Array) -> Array:
        count, bases = self.population.mean.shape[-1], self.base_root.shape[-1]
        away = value[..., :count] - self.population.mean
        if self.population.scale is not None:
            score, volume = away / self.population.scale[:, None], jnp.log(self.population.scale).sum(-1)
        else:
            root = self.population.root
            score = scores_under(root[:, None], away)
            volume = jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)).sum(-1)
        ends = value[..., count:].reshape(*value.shape[:-1], 2, bases) / self.base_sd[..., None, None]
        effects = jnp.einsum("gij,tgej->tgei", self.base_inverse, ends)
        fixed = jnp.log(jnp.diagonal(self.base_root, axis1=-2, axis2=-1)).sum(-1)
        volumes = volume[:, None] + 2 * (bases * jnp.log(self.base_sd) + fixed)
        distance = jnp.sum(score**2, -1) + jnp.sum(effects**2, (-1, -2))
        return -0.5 * (distance + value.shape[-1] * math.log(2 * math.pi)) - volumes

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Array:
        assert sample_shape == ()
        bases = self.base_root.shape[-1]
        own = jnp.einsum("tij,tgj->tgi", self.population.root, jax.random.normal(key, self.population.mean.shape))
        scores = jax.random.normal(jax.random.fold_in(key, 1), (*self.batch_shape, 2, bases))
        effects = self.base_sd[..., None, None] * jnp.einsum("gij,tgej->tgei", self.base_root, scores)
        return jnp.concatenate([self.population.mean + own, effects.reshape(*self.batch_shape, -1)], axis=-1)


def base_deviation(
    base_effect: Float[Array, "target group base end"], noise: NoiseDraw, rows: Rows
) -> Float[Array, "target group slot checkpoint"]:
    """What the law misses at the base of every row's run: a line in progress, times the loudness."""
    # a product with zeros and ones: its gradient is another, where that of an index would be a scatter
    chosen = (rows.base[..., None] == jnp.arange(base_effect.shape[-2])).astype(base_effect.dtype)
    start, end = (jnp.sum(chosen * base_effect[:, :, None, :, e], -1)[..., None] for e in (0, 1))
    return loudness_of(noise, rows) * ((1 - rows.progress) * start + rows.progress * end)

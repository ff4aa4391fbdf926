"""law x hierarchy x noise: calling the model is the NumPyro program."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from bayescpt.data.learnability import EARLY, early_rows, traits_of
from bayescpt.data.table import Table
from bayescpt.laws import Law, Point, Reference
from bayescpt.model.hierarchy import PartialPooling
from bayescpt.model.layout import BASE_SHARE, Layout, Rows, layout_of, reference_of
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

    def __call__(
        self, rows: Rows, reference: Reference, whitening: Whitening | None = None, observed: bool = True
    ) -> None:
        """Run the program on grouped rows; with ``observed=False`` the losses are drawn, not conditioned on.

        ``whitening`` changes the coordinates that are sampled, never the density.
        """
        groups, bases = rows.base_root.shape[:2]
        noise = self.noise.sample(groups)
        population = self.hierarchy.sample(self.law, rows)
        prior = latent_prior(population, noise.base_sd, rows.base_root)
        if whitening is None:
            latent = numpyro.sample("latent", prior.to_event(2))
        else:
            latent = sample_whitened(prior, population.mean, whitening)
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
            return layout_of(table, self.law, groups)
        traits, late = traits_of(table), table.select(~early_rows(table))
        if not len(late):
            raise ValueError(
                f"pooling {self.hierarchy.name} reads the first {EARLY:.1%} of the longest run as statistics, and "
                "there are no other rows: add later checkpoints, or fit with another pooling (--pooling partial)"
            )
        return layout_of(late, self.law, groups, reference=reference_of(table), known=table, traits=traits)

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
        mean = mean + base_deviation(base_effect, noise, rows)
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
    ) -> Float[Array, "target group slot checkpoint"]:
        """Loss of grouped points by the law for one draw."""
        return self.losses(self.natural(coordinates, reference), point)

    def losses(
        self, theta: dict[str, Float[Array, "target group"]], point: Point
    ) -> Float[Array, "target group slot checkpoint"]:
        """The same from natural parameters."""
        over_rows = jax.vmap(jax.vmap(self.law.loss, in_axes=(None, 0)), in_axes=(None, 0))
        return jax.vmap(jax.vmap(over_rows))(theta, point)

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
        return "\n".join(lines)


def ends_of(latent: Float[Array, "*group both"], bases: int) -> Float[Array, "*group base end"]:
    """The part of latent vectors that is the effects of bases: at the first and at the last checkpoint."""
    return jnp.stack([latent[..., :bases], latent[..., bases:]], axis=-1)


def latent_prior(
    population: Population, base_sd: Float[Array, "target group"], base_root: Float[Array, "group base base"]
) -> dist.Distribution:
    """Prior of the latent vectors (target, group): the law's coordinates, then the effects of the group's bases at
    either end of a run.

    A level and the effects of a domain's bases are correlated in the posterior, so they are whitened together. The
    effects are in nats, not in units of base_sd: a base has dozens of rows, which pin its effect, not its score.
    """
    targets, groups, count = population.mean.shape
    bases = base_root.shape[-1]
    first, last = count + bases, count + 2 * bases
    mean = jnp.zeros((targets, groups, last)).at[..., :count].set(population.mean)
    root = jnp.zeros((targets, groups, last, last)).at[..., :count, :count].set(population.root[:, None])
    own = base_sd[:, :, None, None] * base_root
    root = root.at[..., count:first, count:first].set(own).at[..., first:, first:].set(own)
    return dist.MultivariateNormal(mean, scale_tril=root)


def base_deviation(
    base_effect: Float[Array, "target group base end"], noise: NoiseDraw, rows: Rows
) -> Float[Array, "target group slot checkpoint"]:
    """What the law misses at the base of every row's run: a line in progress, times the loudness."""
    of_run = jax.vmap(lambda effect: jnp.take_along_axis(effect, rows.base[..., None], axis=-2))(base_effect)
    start, end = of_run[..., :1], of_run[..., 1:]
    return loudness_of(noise, rows) * ((1 - rows.progress) * start + rows.progress * end)

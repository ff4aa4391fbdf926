"""law x hierarchy x noise: calling the model is the NumPyro program."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from bayescpt.laws import Law, Point, Reference
from bayescpt.model.hierarchy import SPREAD_SD, PartialPooling
from bayescpt.model.layout import BASE_SHARE, Rows
from bayescpt.model.noise import NoiseDraw, StudentTNoise, run_deviation, share_scale
from bayescpt.model.whiten import Whitening
from bayescpt.schema import TARGETS


@dataclass(frozen=True)
class Model:
    """A generative program for the loss of every row: which law, how domains share it, what noise lies on top."""

    law: Law
    hierarchy: PartialPooling = field(default_factory=PartialPooling)
    noise: StudentTNoise = field(default_factory=StudentTNoise)

    def __call__(
        self, rows: Rows, reference: Reference, whitening: Whitening | None = None, observed: bool = True
    ) -> None:
        """Run the program on grouped rows; with ``observed=False`` the losses are drawn, not conditioned on.

        ``whitening`` changes the coordinates that are sampled, never the density.
        """
        targets, domains, width = rows.loss.shape
        noise = self.noise.sample(domains)
        latent = self.hierarchy.sample(self.law, domains, 2 * rows.run_mask.shape[-1], whitening)
        count = len(self.law.coordinates)
        coordinates = numpyro.deterministic("coordinates", latent[..., :count])
        offsets = numpyro.deterministic("run_offset", noise.run_sd[:, None, None] * latent[..., count:])
        likelihood = self.likelihood(coordinates, offsets, noise, rows, reference)
        assert likelihood.batch_shape == (targets, domains, width)
        numpyro.sample("loss", likelihood.mask(rows.mask).to_event(3), obs=rows.loss if observed else None)

    def likelihood(
        self,
        coordinates: Float[Array, "target domain coordinate"],
        offsets: Float[Array, "target domain ends"],
        noise: NoiseDraw,
        rows: Rows,
        reference: Reference,
    ) -> dist.StudentT:
        """Distribution of the loss of every row for one draw: (target, domain, row)."""
        louder = share_scale(rows.point.share, noise.share_exponent[:, None, None])
        deviation = louder * run_deviation(offsets, rows.run, rows.progress)
        mean = self.expected(coordinates, rows.point, reference) + deviation
        return dist.StudentT(noise.df[:, None, None], mean, louder * noise.sd[:, :, None])

    def natural(
        self, coordinates: Float[Array, "target domain coordinate"], reference: Reference
    ) -> dict[str, Float[Array, "target domain"]]:
        """Natural parameters of every target and domain for one draw."""

        def one(coordinates: Array, base_share: Array) -> dict[str, Array]:
            return self.law.natural(coordinates, reference, base_share)

        return jax.vmap(jax.vmap(one, in_axes=(0, None)))(coordinates, jnp.asarray(BASE_SHARE))

    def expected(
        self, coordinates: Float[Array, "target domain coordinate"], point: Point, reference: Reference
    ) -> Float[Array, "target domain row"]:
        """Expected loss of grouped points for one draw."""
        theta = self.natural(coordinates, reference)
        return jax.vmap(jax.vmap(jax.vmap(self.law.loss, in_axes=(None, 0))))(theta, point)

    def describe(self) -> str:
        """The model in words: equation, priors with units and sources, noise."""
        lines = [f"law {self.law.name}: {self.law.equation}", f"  {self.law.reference}"]
        for coordinate in self.law.coordinates:
            lines.append(f"  {coordinate.name} [{coordinate.unit}]: {coordinate.meaning}; {coordinate.source}")
            for target in TARGETS:
                p = coordinate.prior(target)
                lines.append(
                    f"    {target:<8} domain ~ N(mu, tau), mu ~ N({p.loc:.3g}, {p.scale:g}), "
                    f"tau ~ LogNormal(log {p.spread:g}, {SPREAD_SD:g})"
                )
        lines.append(f"hierarchy: {self.hierarchy.name} pooling over domains, per target")
        lines.append(
            f"noise: {self.noise.name}, run_sd ~ HalfNormal({self.noise.run_scale:g}), "
            f"sd ~ HalfNormal({self.noise.residual_scale:g}) nats at an even mix, df ~ 2 + Gamma(2, 0.1), "
            f"both scales times ((share + 0.1)/0.6)^-k, k ~ N({self.noise.share_exponent:g}, 0.3)"
        )
        return "\n".join(lines)

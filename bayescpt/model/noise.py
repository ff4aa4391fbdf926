"""What separates a measured loss from the law: the run it belongs to, and a residual with heavy tails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int

from bayescpt.schema import TARGETS


def run_deviation(
    offsets: Float[Array, "*group ends"], run: Int[Array, "*group row"], progress: Float[Array, "*group row"]
) -> Float[Array, "*group row"]:
    """Deviation of every row from the law by its run: between the run's first and last offset, linear in progress.

    ``offsets`` holds the first offsets of all runs of the group, and then the last ones.
    """
    first, last = jnp.split(offsets, 2, axis=-1)
    at_first, at_last = (jnp.take_along_axis(end, run, axis=-1) for end in (first, last))
    return (1 - progress) * at_first + progress * at_last


def deviation_scale(progress: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Standard deviation of a run's deviation in units of run_sd: 1 at both ends, less between them."""
    return jnp.sqrt((1 - progress) ** 2 + progress**2)


def share_scale(share: Float[Array, "*shape"], exponent: Float[Array, "*kind"]) -> Float[Array, "*joint"]:
    """How much louder noise is than at an even mix: ((share + 0.1)/0.6)^-exponent.

    A corpus that a run hardly reads is where its loss wanders: nothing pulls it back.
    """
    return jnp.exp(-exponent * jnp.log((share + 0.1) / 0.6))


class NoiseDraw(NamedTuple):
    """Noise parameters of one draw."""

    run_sd: Float[Array, " target"]
    """standard deviation of a run's offset at either end, nats per token at an even mix"""
    sd: Float[Array, "target domain"]
    """scale of the residual, nats per token at an even mix"""
    df: Float[Array, " target"]
    """degrees of freedom of the residual"""
    share_exponent: Float[Array, " target"]
    """how noise grows as the share of the target's own corpus falls: see share_scale"""


@dataclass(frozen=True)
class StudentTNoise:
    """loss = law + share_scale (run deviation + residual), residual ~ StudentT(df, 0, sd), per target.

    Checkpoints of one run are not independent: a run leaves the law by offsets ~ N(0, run_sd) at the table's first and
    at its last checkpoint, and in between by what lies between them, linearly in log tokens. Scales are known to be a
    few thousandths of a nat at 100M parameters (sd 0.0015 over 20 seeds of a 124M model; wiggles of 0.001 to 0.005
    along public CPT runs, single outliers ten times that), more for the smallest proxies: half-normal priors with
    0.02 nats at an even mix. At a share of a tenth both scales are 3^k times that, k ~ N(0.4, 0.3): 2.4 times in the
    general and 1.4 times in the domain losses of the quickstart. ``df`` is 2 plus Gamma(2, 0.1) (Juarez and Steel
    2010), which reaches from outliers to the normal.
    """

    name: ClassVar[str] = "student-t with run deviations"
    run_scale: float = 0.02
    residual_scale: float = 0.02
    domain_spread: float = 0.4
    """standard deviation over domains of log sd"""
    share_exponent: float = 0.4
    """prior mean of how noise grows as the own share falls; its standard deviation is 0.3"""

    def sample(self, domains: int) -> NoiseDraw:
        """NumPyro sites of the noise for ``domains`` domains."""
        targets = len(TARGETS)
        run_sd = numpyro.sample("run_sd", dist.HalfNormal(self.run_scale).expand([targets]).to_event(1))
        typical = numpyro.sample("noise_typical", dist.HalfNormal(self.residual_scale).expand([targets]).to_event(1))
        # centred: dozens of rows a domain pin log sd far better than its population does
        around = dist.Normal(jnp.log(typical)[:, None], self.domain_spread).expand([targets, domains])
        log_sd = numpyro.sample("log_noise_sd", around.to_event(2))
        excess = numpyro.sample("df_excess", dist.Gamma(2.0, 0.1).expand([targets]).to_event(1))
        around = dist.Normal(self.share_exponent, 0.3).expand([targets]).to_event(1)
        share_exponent = numpyro.sample("noise_share_exponent", around)
        sd = numpyro.deterministic("noise_sd", jnp.exp(log_sd))
        df = numpyro.deterministic("noise_df", 2.0 + excess)
        return NoiseDraw(run_sd=run_sd, sd=sd, df=df, share_exponent=share_exponent)

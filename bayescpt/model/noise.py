"""What separates a measured loss from the law: the run it belongs to, and a residual with heavy tails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from bayescpt.schema import TARGETS


class NoiseDraw(NamedTuple):
    """Noise parameters of one draw."""

    run_sd: Float[Array, " target"]
    """standard deviation of a run's common offset, nats per token"""
    sd: Float[Array, "target domain"]
    """scale of the residual, nats per token"""
    df: Float[Array, " target"]
    """degrees of freedom of the residual"""


@dataclass(frozen=True)
class StudentTNoise:
    """loss = law + run offset + residual; offset ~ N(0, run_sd), residual ~ StudentT(df, 0, sd), both per target.

    The offset is one number for a run and target: checkpoints of one run are not independent. Scales are known to be a
    few thousandths of a nat at 100M parameters (sd 0.0015 over 20 seeds of a 124M model; wiggles of 0.001 to 0.005
    along public CPT runs, single outliers ten times that), more for the smallest proxies: half-normal priors with
    0.02 nats. ``df`` is 2 plus Gamma(2, 0.1) (Juarez and Steel 2010), which reaches from outliers to the normal.
    """

    name: ClassVar[str] = "student-t with run offsets"
    run_scale: float = 0.02
    residual_scale: float = 0.02
    domain_spread: float = 0.4
    """standard deviation over domains of log sd"""

    def sample(self, domains: int) -> NoiseDraw:
        """NumPyro sites of the noise for ``domains`` domains."""
        targets = len(TARGETS)
        run_sd = numpyro.sample("run_sd", dist.HalfNormal(self.run_scale).expand([targets]).to_event(1))
        typical = numpyro.sample("noise_typical", dist.HalfNormal(self.residual_scale).expand([targets]).to_event(1))
        # centred: dozens of rows a domain pin log sd far better than its population does
        around = dist.Normal(jnp.log(typical)[:, None], self.domain_spread).expand([targets, domains])
        log_sd = numpyro.sample("log_noise_sd", around.to_event(2))
        excess = numpyro.sample("df_excess", dist.Gamma(2.0, 0.1).expand([targets]).to_event(1))
        sd = numpyro.deterministic("noise_sd", jnp.exp(log_sd))
        df = numpyro.deterministic("noise_df", 2.0 + excess)
        return NoiseDraw(run_sd=run_sd, sd=sd, df=df)

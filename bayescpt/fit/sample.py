"""NUTS on a model, in whitened coordinates, from a Laplace start."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.infer import MCMC, NUTS

from bayescpt.fit.laplace import Mode, laplace
from bayescpt.laws import Reference
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model
from bayescpt.model.whiten import Whitening, white_site

KEPT_STATS = ("diverging", "accept_prob", "num_steps", "energy", "potential_energy", "adapt_state.step_size")
RENAMED = {
    "accept_prob": "acceptance_rate",
    "num_steps": "n_steps",
    "potential_energy": "lp",
    "adapt_state.step_size": "step_size",
}


@dataclass(frozen=True)
class SamplerSettings:
    """How to sample. The defaults reach an effective sample size above 400 on tables of a few domains."""

    chains: int = 4
    warmup: int = 700
    draws: int = 1000
    target_accept: float = 0.9
    progress: bool = False


@dataclass(frozen=True)
class Samples:
    """Raw draws (chain, draw, ...) by site, sampler statistics by name, and the mode they started from."""

    sites: dict[str, Float[np.ndarray, "chain draw *site"]]
    stats: dict[str, Float[np.ndarray, "chain draw"]]
    mode: Mode


class Sampler:
    """Compiled once for a model and the shapes of its rows; call it again with other rows of the same shapes."""

    def __init__(self, model: Model, settings: SamplerSettings) -> None:
        self.model = model
        self.settings = settings
        self._compiled: dict[tuple[int, int], MCMC] = {}

    def _mcmc(self, targets: int, domains: int) -> MCMC:
        """The compiled sampler for this many targets and domains; JAX compiles again where other shapes change."""
        if (targets, domains) not in self._compiled:
            settings = self.settings
            # A device per chain lets chains run on several cores; otherwise they advance together on one.
            parallel = jax.local_device_count() >= settings.chains > 1
            self._compiled[targets, domains] = MCMC(
                NUTS(
                    self._program,
                    target_accept_prob=settings.target_accept,
                    dense_mass=[(white_site(t, d),) for t in range(targets) for d in range(domains)],
                ),
                num_warmup=settings.warmup,
                num_samples=settings.draws,
                num_chains=settings.chains,
                chain_method="parallel" if parallel else "vectorized",
                progress_bar=settings.progress,
                jit_model_args=not parallel,
            )
        return self._compiled[targets, domains]

    def _program(self, rows: Rows, reference: Reference, whitening: Whitening) -> None:
        self.model(rows, reference, whitening)

    def run(self, rows: Rows, reference: Reference, key: PRNGKeyArray) -> Samples:
        """Sample the posterior given ``rows``."""
        start_key, run_key = jax.random.split(key)
        rows = jax.tree.map(jnp.asarray, rows)
        mode = laplace(self.model, rows, reference)
        mcmc = self._mcmc(*rows.loss.shape[:2])
        mcmc.run(
            run_key,
            rows,
            reference,
            mode.whitening,
            init_params=starts(mode, self.settings.chains, start_key),
            extra_fields=KEPT_STATS,
        )
        sites = mcmc.get_samples(group_by_chain=True)
        stats = mcmc.get_extra_fields(group_by_chain=True)
        return Samples(
            sites={name: np.asarray(value) for name, value in sites.items()},
            stats={RENAMED.get(name, name): np.asarray(value) for name, value in stats.items()},
            mode=mode,
        )


def starts(mode: Mode, chains: int, key: PRNGKeyArray) -> dict[str, Array]:
    """Unconstrained starting values, spread over about the posterior so that R-hat can see a chain go astray."""
    targets, domains, width = mode.latent.shape
    keys = iter(jax.random.split(key, 5 + targets * domains))

    def jitter(value: Array, scale: Array | float) -> Array:
        draws = value + scale * jax.random.normal(next(keys), (chains, *value.shape))
        return draws if chains > 1 else draws[0]

    typical = jnp.exp(jnp.log(mode.noise_sd).mean(1))
    values = {
        "population": jitter(mode.population, mode.spread / jnp.sqrt(domains)),
        "spread": jitter(jnp.log(mode.spread), 0.3),
        "run_sd": jitter(jnp.log(mode.run_sd), 0.3),
        "noise_typical": jitter(jnp.log(typical), 0.3),
        "log_noise_sd": jitter(jnp.log(mode.noise_sd), 0.1),
        "df_excess": jnp.full((chains, typical.size) if chains > 1 else (typical.size,), jnp.log(4.0)),
    }
    for t in range(targets):
        for d in range(domains):
            values[white_site(t, d)] = jitter(jnp.zeros(width), 1.0)
    return values

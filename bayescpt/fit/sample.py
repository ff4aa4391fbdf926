"""NUTS on a model, in whitened coordinates, from a Laplace start."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.infer import NUTS
from numpyro.infer.hmc import HMCState

from bayescpt.fit.laplace import Mode, laplace
from bayescpt.laws import Reference
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model
from bayescpt.model.whiten import Whitening, white_site
from bayescpt.settings import SamplerSettings


@dataclass(frozen=True)
class Samples:
    """Raw draws (chain, draw, ...) by site, sampler statistics by name, and the mode they started from."""

    sites: dict[str, Float[np.ndarray, "chain draw *site"]]
    stats: dict[str, Float[np.ndarray, "chain draw"]]
    mode: Mode


class Sampler:
    """NUTS for one model, compiled once for the shapes of its rows; call it again with other rows of the same shapes.

    The whole chain is one jitted function of rows, whitening and start, so a refit costs no compilation; NumPyro's own
    driver compiles anew on every call.
    """

    def __init__(self, model: Model, settings: SamplerSettings) -> None:
        self.model = model
        self.settings = settings
        # A device per chain lets chains run on several cores; otherwise they advance together on one.
        parallel = jax.local_device_count() >= settings.chains > 1
        axes = (0, None, None, None, 0)
        self._chains = jax.pmap(self._chain, in_axes=axes) if parallel else jax.jit(jax.vmap(self._chain, in_axes=axes))

    def _program(self, rows: Rows, reference: Reference, whitening: Whitening) -> None:
        self.model(rows, reference, whitening)

    def _chain(
        self, key: PRNGKeyArray, rows: Rows, reference: Reference, whitening: Whitening, start: dict[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """One chain: constrained and deterministic sites, and statistics, by draw."""
        targets, domains, _ = rows.loss.shape
        kernel = NUTS(
            self._program,
            target_accept_prob=self.settings.target_accept,
            max_tree_depth=self.settings.max_tree_depth,
            dense_mass=[("population",), *((white_site(t, d),) for t in range(targets) for d in range(domains))],
        )
        arguments = (rows, reference, whitening)
        state = kernel.init(key, self.settings.warmup, start, model_args=arguments, model_kwargs={})

        def advance(state: HMCState, _: None) -> tuple[HMCState, None]:
            return kernel.sample(state, arguments, {}), None

        def draw(state: HMCState, _: None) -> tuple[HMCState, tuple[dict[str, Array], dict[str, Array]]]:
            state = kernel.sample(state, arguments, {})
            stats = {
                "diverging": state.diverging,
                "acceptance_rate": state.accept_prob,
                "n_steps": state.num_steps,
                "energy": state.energy,
                "lp": -state.potential_energy,
                "step_size": state.adapt_state.step_size,
            }
            return state, (state.z, stats)

        state, _ = jax.lax.scan(advance, state, None, length=self.settings.warmup)
        _, (unconstrained, stats) = jax.lax.scan(draw, state, None, length=self.settings.draws)
        return jax.vmap(kernel.postprocess_fn(arguments, {}))(unconstrained), stats

    def run(self, rows: Rows, reference: Reference, key: PRNGKeyArray) -> Samples:
        """Sample the posterior given ``rows``."""
        start_key, run_key = jax.random.split(key)
        mode = laplace(self.model, rows, reference)
        keys = jax.random.split(run_key, self.settings.chains)
        begin = starts(mode, self.model.noise.share_exponent, self.settings.chains, start_key)
        sites, stats = self._chains(keys, rows, reference, mode.whitening, begin)
        return Samples(
            sites={name: np.asarray(value) for name, value in sites.items()},
            stats={name: np.asarray(value) for name, value in stats.items()},
            mode=mode,
        )


def starts(mode: Mode, share_exponent: float, chains: int, key: PRNGKeyArray) -> dict[str, Array]:
    """Unconstrained starting values, spread over about the posterior so that R-hat can see a chain go astray."""
    targets, domains, width = mode.latent.shape
    keys = iter(jax.random.split(key, 6 + targets * domains))

    def jitter(value: Array, scale: Array | float) -> Array:
        return value + scale * jax.random.normal(next(keys), (chains, *value.shape))

    typical = jnp.exp(jnp.log(mode.noise_sd).mean(1))
    values = {
        "population": jitter(mode.population, mode.spread / jnp.sqrt(domains)),
        "spread": jitter(jnp.log(mode.spread), 0.3),
        "run_sd": jitter(jnp.log(mode.run_sd), 0.3),
        "noise_typical": jitter(jnp.log(typical), 0.3),
        "log_noise_sd": jitter(jnp.log(mode.noise_sd), 0.1),
        "df_excess": jnp.full((chains, typical.size), jnp.log(4.0)),
        "noise_share_exponent": jitter(jnp.full(typical.size, share_exponent), 0.1),
    }
    for t in range(targets):
        for d in range(domains):
            values[white_site(t, d)] = jitter(jnp.zeros(width), 1.0)
    return values

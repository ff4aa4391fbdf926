"""NUTS on a model, in whitened coordinates, from a Laplace start."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.handlers import seed
from numpyro.infer import NUTS
from numpyro.infer.hmc import HMCState
from numpyro.infer.util import unconstrain_fn

from bayescpt.fit.laplace import Mode, laplace
from bayescpt.laws import Reference
from bayescpt.model.layout import Rows
from bayescpt.model.model import Model
from bayescpt.model.whiten import Whitening, white_site
from bayescpt.settings import SamplerSettings

JITTER = 0.2
"""Standard deviation of starting values of population and noise, in unconstrained units."""


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
        targets, groups = rows.loss.shape[:2]
        whole = [(name,) for name in ("population",) if name in start]
        kernel = NUTS(
            self._program,
            target_accept_prob=self.settings.target_accept,
            max_tree_depth=self.settings.max_tree_depth,
            dense_mass=[*whole, *((white_site(t, g),) for t in range(targets) for g in range(groups))],
        )
        arguments = (rows, reference, whitening)
        state = kernel.init(key, self.settings.warmup, start, model_args=arguments, model_kwargs={})

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

        # one loop over warm-up and draws: two would be compiled twice, which takes longer than most fits
        warmup = self.settings.warmup
        _, drawn = jax.lax.scan(draw, state, None, length=warmup + self.settings.draws)
        unconstrained, stats = jax.tree.map(lambda values: values[warmup:], drawn)
        return jax.vmap(kernel.postprocess_fn(arguments, {}))(unconstrained), stats

    def run(self, rows: Rows, reference: Reference, key: PRNGKeyArray) -> Samples:
        """Sample the posterior given ``rows``."""
        start_key, run_key = jax.random.split(key)
        mode = laplace(self.model, rows, reference)
        keys = jax.random.split(run_key, self.settings.chains)
        begin = starts(self.model, mode, rows, reference, self.settings.chains, start_key)
        sites, stats = self._chains(keys, rows, reference, mode.whitening, begin)
        return Samples(
            sites={name: np.asarray(value) for name, value in sites.items()},
            stats={name: np.asarray(value) for name, value in stats.items()},
            mode=mode,
        )


def starts(
    model: Model, mode: Mode, rows: Rows, reference: Reference, chains: int, key: PRNGKeyArray
) -> dict[str, Array]:
    """Unconstrained starting values, spread over about the posterior so that R-hat can see a chain go astray."""
    targets, groups, width = mode.latent.shape
    white = {white_site(t, g): jnp.zeros(width) for t in range(targets) for g in range(groups)}
    arguments = (rows, reference, mode.whitening)
    values = unconstrain_fn(seed(model, 0), arguments, {}, mode.sites | white)
    keys = jax.random.split(key, len(values))
    return {
        name: value + (1.0 if name in white else JITTER) * jax.random.normal(each, (chains, *value.shape))
        for each, (name, value) in zip(keys, values.items(), strict=True)
    }

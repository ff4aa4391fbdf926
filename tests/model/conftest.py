"""Models of every law, hierarchy and noise, their rows, and parameters drawn from the prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from numpyro import handlers
from numpyro.infer.util import log_density

from bayescpt.data.table import Table
from bayescpt.laws import LAWS, Reference
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.model.layout import Rows, reference_of
from bayescpt.model.model import Model
from bayescpt.model.noise import NOISES
from bayescpt.model.whiten import WHITE, Whitening, unwhitened
from bayescpt.schema import TARGETS

Params = dict[str, Array]

PAIRS = (
    ("partial", "normal"),
    ("correlated", "student"),
    ("learnability", "normal"),
    ("none", "normal"),
    ("complete", "student"),
)
MODELS = [
    Model(LAWS["memory"]),
    *(Model(LAWS["dcpt_l5"], HIERARCHIES[name], NOISES[noise]) for name, noise in PAIRS),
]
"""The default, and every hierarchy and either noise under the law that compiles fastest; all of them are tried by
tests/model/test_every_model.py, which takes minutes."""


def _log_density(model: Model, params: Params, rows: Rows, reference: Reference, whitening: Whitening | None) -> Array:
    return log_density(model, (rows, reference, whitening), {}, params)[0]


@cache
def _density(model: Model) -> jax.stages.Wrapped:
    return jax.jit(partial(_log_density, model))


@cache
def _density_and_gradient(model: Model) -> jax.stages.Wrapped:
    return jax.jit(jax.value_and_grad(partial(_log_density, model)))


class Forward(NamedTuple):
    """One run of the generative program."""

    params: Params
    """what is sampled, the losses aside"""
    derived: Params
    """deterministic sites"""
    loss: Array
    mean: Array
    """expected loss of every row, base effect included"""
    latent_mean: Array
    """prior mean of the latent vectors"""
    base_sd: Array


@cache
def _forward(model: Model) -> Callable[..., Forward]:
    def forward(key: Array, excess: Array, rows: Rows, reference: Reference) -> Forward:
        given = {"df_excess": excess} if model.noise.heavy else {}
        program = handlers.substitute(handlers.seed(model, key), given)
        trace = handlers.trace(program).get_trace(rows, reference, observed=False)

        def values(kind: str) -> Params:
            sites = trace.items()
            return {name: site["value"] for name, site in sites if site["type"] == kind and name != "loss"}

        return Forward(
            values("sample"),
            values("deterministic"),
            trace["loss"]["value"],
            trace["loss"]["fn"].base_dist.mean_loss,
            trace["latent"]["fn"].base_dist.loc,
            trace["latent"]["fn"].base_dist.base_sd,
        )

    return jax.jit(forward)


@dataclass(frozen=True)
class Program:
    """A model on the small study."""

    model: Model
    rows: Rows
    reference: Reference

    def forward(self, seed: int, rows: Rows | None = None) -> Forward:
        """One run of the program; losses are drawn too."""
        # a generator that compiles in half the time; the one gamma variate is drawn here for the same reason
        key = jax.random.key(seed, impl="unsafe_rbg")
        excess = jnp.asarray(np.random.default_rng(seed).gamma(2.0, 10.0, len(TARGETS)))
        return _forward(self.model)(key, excess, rows or self.rows, self.reference)

    def params(self, seed: int, rows: Rows | None = None) -> Params:
        """A draw from the prior of everything that is sampled."""
        return self.forward(seed, rows).params

    def log_density(self, params: Params, rows: Rows | None = None, whitening: Whitening | None = None) -> float:
        """Log joint density of parameters and observed losses."""
        return float(_density(self.model)(params, rows or self.rows, self.reference, whitening))

    def with_gradient(self, params: Params, rows: Rows | None = None) -> tuple[float, Params]:
        """The same, and its gradient."""
        value, gradient = _density_and_gradient(self.model)(params, rows or self.rows, self.reference, None)
        return float(value), gradient

    def whitened(self, forward: Forward, whitening: Whitening) -> tuple[Params, float]:
        """The same parameters in white coordinates, and the log Jacobian of the map from there."""
        params = forward.params
        shape, count = whitening.centre.shape, whitening.mean.shape[-1]

        def latent(white: Array) -> Array:
            return unwhitened(white, forward.latent_mean[..., :count], forward.base_sd, whitening)[0]

        # an affine map: its value at 0 and its derivative are all of it
        origin = latent(jnp.zeros(shape)).reshape(-1)
        slope = jax.jacfwd(lambda flat: latent(flat.reshape(shape)).reshape(-1))(jnp.zeros(origin.shape))
        white = jnp.linalg.solve(slope, params["latent"].reshape(-1) - origin)
        rest = {name: value for name, value in params.items() if name != "latent"}
        return rest | {WHITE: white.reshape(shape)}, float(jnp.linalg.slogdet(slope)[1])


def _name(model: Model) -> str:
    return f"{model.law.name}-{model.hierarchy.name}-{model.noise.name}"


def program_of(model: Model, table: Table) -> Program:
    """The model on a table."""
    return Program(model, spread(model.layout(table).rows), reference_of(table))


def spread(rows: Rows) -> Rows:
    """Rows with every field in full, as tests that look at single rows want them."""
    shape = rows.mask.shape

    def whole(values: Array) -> Array:
        return jnp.broadcast_to(values, (*shape, *values.shape[len(shape) :]))

    return rows._replace(
        point=jax.tree.map(whole, rows.point),
        se=jnp.zeros(shape) if rows.se is None else rows.se,
        progress=whole(rows.progress),
        gap=whole(rows.gap),
    )


@pytest.fixture(params=MODELS, ids=_name)
def program(request: pytest.FixtureRequest, study_table: Table) -> Program:
    """Every model on the small study."""
    return program_of(request.param, study_table)


@pytest.fixture(params=NOISES.values(), ids=list(NOISES))
def noisy(request: pytest.FixtureRequest, study_table: Table) -> Program:
    """Either noise on the small study."""
    return program_of(Model(LAWS["dcpt_l5"], noise=request.param), study_table)

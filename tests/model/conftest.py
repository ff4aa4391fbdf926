"""Models of every law, their rows, and parameters drawn from the prior."""

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
from bayescpt.laws import ALL, Reference
from bayescpt.model.layout import Rows, layout_of, reference_of
from bayescpt.model.model import Model
from bayescpt.model.whiten import Whitening, white_site
from bayescpt.schema import TARGETS

Params = dict[str, Array]


def _log_density(model: Model, params: Params, rows: Rows, reference: Reference, whitening: Whitening | None) -> Array:
    return log_density(model, (rows, reference, whitening), {}, params)[0]


@cache
def _density(model: Model) -> jax.stages.Wrapped:
    return jax.jit(partial(_log_density, model))


@cache
def _gradient(model: Model) -> jax.stages.Wrapped:
    return jax.jit(jax.grad(partial(_log_density, model)))


class Forward(NamedTuple):
    """One run of the generative program."""

    params: Params
    """what is sampled, the losses aside"""
    derived: Params
    """deterministic sites"""
    loss: Array
    mean: Array
    """expected loss of every row, run offset included"""
    latent_prior: Array
    """log prior density of every entry of the latent vectors"""


@cache
def _forward(model: Model, observed: bool) -> Callable[..., Forward]:
    def forward(key: Array, excess: Array, rows: Rows, reference: Reference) -> Forward:
        program = handlers.substitute(handlers.seed(model, key), {"df_excess": excess})
        trace = handlers.trace(program).get_trace(rows, reference, observed=observed)
        latent = trace["latent"]

        def values(kind: str) -> Params:
            sites = trace.items()
            return {name: site["value"] for name, site in sites if site["type"] == kind and name != "loss"}

        return Forward(
            values("sample"),
            values("deterministic"),
            trace["loss"]["value"],
            trace["loss"]["fn"].base_dist.base_dist.loc,
            latent["fn"].base_dist.log_prob(latent["value"]),
        )

    return jax.jit(forward)


@dataclass(frozen=True)
class Program:
    """A model on the small study."""

    model: Model
    rows: Rows
    reference: Reference

    def forward(self, seed: int, rows: Rows | None = None, observed: bool = True) -> Forward:
        """One run of the program; with ``observed=False`` losses are drawn too."""
        # a generator that compiles in half the time; the one gamma variate is drawn here for the same reason
        key = jax.random.key(seed, impl="unsafe_rbg")
        excess = jnp.asarray(np.random.default_rng(seed).gamma(2.0, 10.0, len(TARGETS)))
        return _forward(self.model, observed)(key, excess, rows or self.rows, self.reference)

    def params(self, seed: int, rows: Rows | None = None) -> Params:
        """A draw from the prior of everything that is sampled."""
        return self.forward(seed, rows).params

    def log_density(self, params: Params, rows: Rows | None = None, whitening: Whitening | None = None) -> float:
        """Log joint density of parameters and observed losses."""
        return float(_density(self.model)(params, rows or self.rows, self.reference, whitening))

    def gradient(self, params: Params, rows: Rows | None = None) -> Params:
        """Its gradient."""
        return _gradient(self.model)(params, rows or self.rows, self.reference, None)

    def whitened(self, params: Params, whitening: Whitening) -> Params:
        """The same parameters in white coordinates."""
        moved = whitening.follow @ (params["population"] - whitening.population)[:, None, :, None]
        centre = whitening.centre + moved[..., 0]
        white = jnp.linalg.solve(whitening.root, (params["latent"] - centre)[..., None])[..., 0]
        rest = {name: value for name, value in params.items() if name != "latent"}
        targets, domains, _ = white.shape
        return rest | {white_site(t, d): white[t, d] for t in range(targets) for d in range(domains)}


@pytest.fixture(params=ALL, ids=[law.name for law in ALL])
def program(request: pytest.FixtureRequest, study_table: Table) -> Program:
    """Every law of the registry on the small study."""
    rows = jax.tree.map(jnp.asarray, layout_of(study_table, request.param).rows)
    return Program(Model(request.param), rows, reference_of(study_table))

"""Models of every law, their rows, and parameters drawn from the prior."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpyro
import pytest
from jaxtyping import Array
from numpyro import handlers
from numpyro.infer.util import log_density

from bayescpt.data.table import Table
from bayescpt.laws import ALL, Reference
from bayescpt.model.layout import Rows, layout_of, reference_of
from bayescpt.model.model import Model
from bayescpt.model.whiten import Whitening, white_site

Params = dict[str, Array]


@dataclass(frozen=True)
class Program:
    """A model on the small study."""

    model: Model
    rows: Rows
    reference: Reference

    def simulate(self, seed: int, rows: Rows | None = None) -> dict[str, numpyro.primitives.Message]:
        """One run of the generative program: every site by name."""
        seeded = handlers.seed(self.model, jax.random.key(seed))
        return handlers.trace(seeded).get_trace(rows or self.rows, self.reference, observed=False)

    def params(self, seed: int, rows: Rows | None = None) -> Params:
        """A draw of everything that is sampled from the prior."""
        sites = self.simulate(seed, rows).items()
        return {name: site["value"] for name, site in sites if site["type"] == "sample" and name != "loss"}

    def log_density(self, params: Params, rows: Rows | None = None, whitening: Whitening | None = None) -> Array:
        """Log joint density of parameters and observed losses."""
        return log_density(self.model, (rows or self.rows, self.reference, whitening), {}, params)[0]

    def whitened(self, params: Params, whitening: Whitening) -> Params:
        """The same parameters in white coordinates."""
        white = jnp.linalg.solve(whitening.root, (params["latent"] - whitening.centre)[..., None])[..., 0]
        rest = {name: value for name, value in params.items() if name != "latent"}
        targets, domains, _ = white.shape
        return rest | {white_site(t, d): white[t, d] for t in range(targets) for d in range(domains)}


@pytest.fixture(params=ALL, ids=[law.name for law in ALL])
def program(request: pytest.FixtureRequest, study_table: Table) -> Program:
    """Every law of the registry on the small study."""
    rows = jax.tree.map(jnp.asarray, layout_of(study_table, request.param).rows)
    return Program(Model(request.param), rows, reference_of(study_table))

"""Every law with every hierarchy and either noise, as the command line offers them (`make contracts`, minutes).

`make test` takes every hierarchy with either noise, each pair with a law of its own.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.handlers import seed, trace
from numpyro.infer.util import log_density

from bayescpt.data.table import Table
from bayescpt.laws import LAWS
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.model.layout import reference_of
from bayescpt.model.model import Model
from bayescpt.model.noise import NOISES
from tests.tables import with_every_column

PAIRS = list(itertools.product(HIERARCHIES, NOISES))
COMBINATIONS = [
    pytest.param(law, *pair, marks=() if place == 2 * number else pytest.mark.slow)
    for place, law in enumerate(LAWS)
    for number, pair in enumerate(PAIRS)
]


@pytest.fixture(scope="module")
def table() -> Table:
    return with_every_column()


@pytest.mark.parametrize(("law", "pooling", "noise"), COMBINATIONS)
def test_a_draw_of_the_model_has_a_density_a_gradient_and_words(
    table: Table, law: str, pooling: str, noise: str
) -> None:
    model = Model(LAWS[law], HIERARCHIES[pooling], NOISES[noise]).on(table)
    rows, reference = model.layout(table).rows, reference_of(table)
    drawn = trace(seed(model, jax.random.key(1))).get_trace(rows, reference, observed=False)
    losses = drawn["loss"]["value"]
    assert np.isfinite(np.where(rows.mask, losses, 0.0)).all()
    params = {n: s["value"] for n, s in drawn.items() if s["type"] == "sample" and n != "loss"}
    own = rows._replace(loss=jnp.where(rows.mask, losses, 1.0))
    moved = [name for name in params if name != "correlation_root"]

    def density(values: dict[str, jax.Array]) -> jax.Array:
        return log_density(model, (own, reference, None), {}, params | values)[0]

    value, slope = jax.value_and_grad(density)({name: params[name] for name in moved})
    assert np.isfinite(value)
    assert all(np.isfinite(part).all() for part in slope.values())
    assert any(np.abs(part).max() > 0 for part in slope.values())
    told = model.describe()
    assert all(name in told for name in (f"law {law}", f"pooling {pooling}", f"noise: {noise}"))

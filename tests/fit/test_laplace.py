"""The fit at the mode: finite for every model, close to the truth of simulations, and labelled as what it is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.handlers import seed, trace

from bayescpt.data.table import Table
from bayescpt.fit import SamplerSettings, fit
from bayescpt.fit.laplace import laplace, mode_draws
from bayescpt.laws import LAWS
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.model.layout import layout_of, reference_of
from bayescpt.model.model import Model
from bayescpt.model.noise import NOISES

LAW = LAWS["dcpt_l5"]
PAIRS = (
    ("partial", "normal"),
    ("correlated", "student"),
    ("learnability", "student"),
    ("none", "normal"),
    ("complete", "student"),
)
MODELS = [
    Model(LAWS["memory"]),
    Model(LAWS["dcpt"]),
    *(Model(LAW, HIERARCHIES[name], NOISES[noise]) for name, noise in PAIRS),
]
SIMULATIONS = 24
"""With 12 coordinates of either domain, 576 intervals, of which 77 % held when this was written: the approximation
leaves out what it says it leaves out. Outside 68 to 93 % something else is wrong: the share has a standard error of at
most 3 % even if coordinates of a simulation hold or fail in threes: a false alarm in fewer than one of 100 seeds."""


def _name(model: Model) -> str:
    return f"{model.law.name}-{model.hierarchy.name}-{model.noise.name}"


@pytest.mark.parametrize("model", MODELS, ids=_name)
def test_a_mode_is_found_and_is_likelier_than_where_the_search_began(model: Model, study_table: Table) -> None:
    layout = model.layout(study_table)
    reference = reference_of(study_table)
    mode = laplace(model, layout.rows, reference)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(mode))
    draws = mode_draws(model, mode, jax.random.key(0), 50)
    begin = model.hierarchy.maximised(model.law, layout.rows, None)
    population = model.hierarchy.population(model.law, begin, int(layout.group.max()) + 1)
    expected = jax.jit(lambda c: model.expected(c, layout.rows.point, reference))

    def error(coordinates: jax.Array) -> float:
        return float(jnp.sum(layout.rows.mask * (expected(coordinates) - layout.rows.loss) ** 2))

    assert error(draws["coordinates"].mean(0)) < 0.5 * error(population.mean)


def test_intervals_hold_the_truth_of_simulations(study_table: Table) -> None:
    model = Model(LAW, noise=NOISES["normal"])
    layout, reference = layout_of(study_table, LAW), reference_of(study_table)
    inside = []
    for number in range(SIMULATIONS):
        truth = trace(seed(model, jax.random.key(number))).get_trace(layout.rows, reference, observed=False)
        losses = jnp.where(layout.rows.mask, truth["loss"]["value"], 1.0)
        mode = laplace(model, layout.rows._replace(loss=losses), reference)
        drawn = np.asarray(mode_draws(model, mode, jax.random.key(number), 400)["coordinates"])
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        value = np.asarray(truth["coordinates"]["value"])
        inside.append((low <= value) & (value <= high))
    share = np.mean(inside)
    assert 0.68 < share < 0.93


def test_a_fit_by_laplace_says_so_and_answers(study_table: Table) -> None:
    found = fit(study_table, LAW, method="laplace", settings=SamplerSettings(chains=2, draws=100))
    assert found.method == "laplace"
    assert found.checks == ()
    assert found.size == 200
    assert "sample_stats" not in found.tree.children
    again = fit(study_table, LAW, method="laplace", settings=SamplerSettings(chains=2, draws=100))
    np.testing.assert_array_equal(again.posterior["coordinates"], found.posterior["coordinates"])
    for name in ("base_sd", "noise_sd", "spread"):
        assert float(found.posterior[name].std("draw").max()) == pytest.approx(0)  # held at the mode
    assert (found.posterior["population"].std("draw") > 0).all()

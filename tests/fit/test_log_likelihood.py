"""The pointwise log-likelihood of a fit against SciPy's Student t, row by row from the table."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import t as student_t

from bayescpt.fit import Fit
from bayescpt.laws import BILLION, Point
from bayescpt.model.layout import BASE_SHARE


def test_it_is_the_student_t_density_of_every_row(prior: Fit) -> None:
    table, law = prior.table, prior.model.law
    draws = prior.posterior.isel(chain=0, draw=slice(5))
    kept = prior.tree["log_likelihood"]["loss"].isel(chain=0, draw=slice(5)).values
    assert kept.shape == (5, len(table))

    def of_row(name: str) -> np.ndarray:
        """A parameter of every row's target and domain: (draw, row)."""
        return draws[name].transpose("draw", "target", "domain").values[:, table.target, table.domain]

    shape = (5, len(table))
    columns = (table.size / BILLION, table.tokens / BILLION, table.share, table.base_loss, BASE_SHARE[table.target])
    point = Point(*(jnp.asarray(np.broadcast_to(column, shape)) for column in columns))
    theta = {param.name: jnp.asarray(of_row(param.name)) for param in law.params}
    mean = np.asarray(jax.jit(jax.vmap(jax.vmap(law.loss)))(theta, point))
    ends = draws["run_offset"].transpose("draw", "target", "end", "run").values[:, table.target, :, table.run]
    along = np.log(table.tokens / table.tokens.min()) / np.log(table.tokens.max() / table.tokens.min())
    offset = (1 - along) * ends[..., 0].T + along * ends[..., 1].T
    df = draws["noise_df"].transpose("draw", "target").values[:, table.target]
    exponent = draws["noise_share_exponent"].transpose("draw", "target").values[:, table.target]
    louder = ((table.share + 0.1) / 0.6) ** -exponent
    density = student_t.logpdf(table.loss, df, loc=mean + louder * offset, scale=louder * of_row("noise_sd"))
    np.testing.assert_allclose(kept, density, rtol=1e-9)


def test_the_observed_data_are_the_rows(prior: Fit) -> None:
    np.testing.assert_array_equal(prior.tree["observed_data"]["loss"].values, prior.table.loss)

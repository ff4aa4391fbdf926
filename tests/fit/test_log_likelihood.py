"""The log likelihood of a fit, run by run, against SciPy's multivariate t on the rows of the table."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import multivariate_t

from bayescpt.fit import Fit
from bayescpt.laws import BILLION, Point
from bayescpt.model.base import usual_losses
from bayescpt.model.layout import BASE_SHARE

DRAWS = 3


def test_it_is_the_density_of_every_run(prior: Fit) -> None:
    table, law = prior.table, prior.model.law
    draws = prior.posterior.isel(chain=0, draw=slice(DRAWS))
    kept = prior.tree["log_likelihood"]["run_loss"].isel(chain=0, draw=slice(DRAWS))
    assert kept.sizes == {"draw": DRAWS, "run": len(table.runs)}
    along = np.log(table.tokens / table.tokens.min()) / np.log(table.tokens.max() / table.tokens.min())
    for draw in range(DRAWS):
        drawn = draws.isel(draw=draw)
        for code, name in enumerate(table.runs):
            total = 0.0
            for target, label in enumerate(("general", "domain")):
                rows = np.flatnonzero((table.run == code) & (table.target == target))
                own = drawn.sel(target=label, domain=table.domains[table.domain[rows[0]]])
                columns = (table.size / BILLION, table.tokens / BILLION, table.share, table.base_loss)
                point = Point(
                    *(jnp.asarray(column[rows]) for column in columns),
                    jnp.full(len(rows), BASE_SHARE[target]),
                    jnp.asarray(usual_losses(table)[table.base, table.domain, table.target][rows]),
                )
                theta = {param.name: jnp.asarray(float(own[param.name])) for param in law.params}
                mean = np.asarray(jax.vmap(law.loss, in_axes=(None, 0))(theta, point))
                progress = along[rows]
                louder = ((table.share[rows] + 0.01) / 0.51) ** -float(own["noise_share_exponent"])
                louder = louder * np.exp(float(own["noise_early"]) * (1 - progress))
                start, end = own["base_effect"][table.base[rows[0]]].values
                mean = mean + louder * ((1 - progress) * start + progress * end)
                apart = np.abs(np.subtract.outer(np.log(table.tokens[rows]), np.log(table.tokens[rows])))
                shape = float(own["noise_sd"]) ** 2 * np.exp(-apart / float(own["noise_memory"]))
                ends = np.outer(1 - progress, 1 - progress) + np.outer(progress, progress)
                shape = np.outer(louder, louder) * (shape + float(own["run_sd"]) ** 2 * ends)
                total += float(
                    multivariate_t.logpdf(table.loss[rows], loc=mean, shape=shape, df=float(own["noise_df"]))
                )
            np.testing.assert_allclose(float(kept.sel(run=name)[draw]), total, rtol=1e-8)


def test_the_observed_data_are_the_rows(prior: Fit) -> None:
    np.testing.assert_array_equal(prior.tree["observed_data"]["loss"].values, prior.table.loss)

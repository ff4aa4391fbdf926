"""The density of a run against the dense covariance it stands for, and its simulations against the density."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayescpt.model.layout import Rows
from bayescpt.model.noise import NOISES, Noise, NoiseDraw, RunDistribution

if TYPE_CHECKING:
    from conftest import Program

FALSE_ALARM = 1e-3
"""Probability that a distribution test fails for another seed although nothing is wrong."""

DRAW = NoiseDraw(
    base_sd=jnp.array([[0.02, 0.01], [0.03, 0.05]]),
    run_sd=jnp.array([0.04, 0.02]),
    sd=jnp.array([[0.03, 0.05], [0.02, 0.06]]),
    memory=jnp.array([0.7, 2.0]),
    share_exponent=jnp.array([0.6, -0.2]),
    early=jnp.array([0.5, 1.5]),
    df=jnp.array([5.0, 9.0]),
)


def with_errors(rows: Rows) -> Rows:
    return rows._replace(se=jnp.where(rows.mask, 0.01 + 0.02 * rows.progress, 0.0))


def covariance(rows: Rows, target: int, group: int, slot: int) -> np.ndarray:
    """Of the checkpoints of one run, written out from what ``Noise`` says."""
    at = (target, group, slot)
    real = np.asarray(rows.mask[at])
    share, progress, se, tokens = (
        np.asarray(values[at])[real] for values in (rows.point.share, rows.progress, rows.se, rows.point.tokens)
    )
    louder = ((share + 0.01) / 0.51) ** -float(DRAW.share_exponent[target])
    louder = louder * np.exp(float(DRAW.early[target]) * (1 - progress))
    width = np.sqrt((louder * float(DRAW.sd[target, group])) ** 2 + se**2)
    apart = np.abs(np.subtract.outer(np.log(tokens), np.log(tokens)))
    wander = np.outer(width, width) * np.exp(-apart / float(DRAW.memory[target]))
    ends = np.outer(1 - progress, 1 - progress) + np.outer(progress, progress)
    return wander + np.outer(louder, louder) * ends * float(DRAW.run_sd[target]) ** 2


@pytest.mark.parametrize("errors", [False, True])
def test_the_density_of_a_run_is_that_of_its_covariance(noisy: Program, errors: bool) -> None:
    rows = with_errors(noisy.rows) if errors else noisy.rows
    mean = rows.loss + 0.03 * jnp.sin(7 * rows.progress + rows.point.share)
    noise = noisy.model.noise
    found = np.asarray(RunDistribution(mean, DRAW, rows, noise.heavy).log_prob(rows.loss))
    seen = 0
    for at in np.ndindex(found.shape):
        real = np.asarray(rows.mask[at])
        if not real.any():
            assert found[at] == 0
            continue
        shape = covariance(rows, *at)
        away = np.asarray(rows.loss - mean)[at][real]
        if noise.heavy:
            wanted = stats.multivariate_t.logpdf(away, shape=shape, df=float(DRAW.df[at[0]]))
        else:
            wanted = stats.multivariate_normal.logpdf(away, cov=shape)
        assert found[at] == pytest.approx(float(wanted), rel=1e-9)
        seen += 1
    assert seen == 24


def test_simulated_runs_have_that_covariance(noisy: Program) -> None:
    """Distances of 3,000 simulated runs in units of the covariance: chi-squared, or F for a Student t."""
    rows, noise = with_errors(noisy.rows), noisy.model.noise
    distribution = RunDistribution(jnp.zeros_like(rows.loss), DRAW, rows, noise.heavy)
    draws = np.asarray(jax.vmap(distribution.sample)(jax.random.split(jax.random.key(0), 3000)))
    for target in (0, 1):
        at = (target, 1, 2)
        real = np.asarray(rows.mask[at])
        away = draws[(slice(None), *at)][:, real]
        distance = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance(rows, *at)), away)
        count = int(real.sum())
        df = float(DRAW.df[target])
        wanted = stats.f(count, df).cdf if noise.heavy else stats.chi2(count).cdf
        assert stats.kstest(distance / count if noise.heavy else distance, wanted).pvalue > FALSE_ALARM


def test_the_noises_on_offer() -> None:
    assert list(NOISES) == ["normal", "student"]
    assert "Student t" in Noise(heavy=True).describe()
    assert "Student" not in Noise(heavy=False).describe()

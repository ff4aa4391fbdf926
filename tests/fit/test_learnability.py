"""Fits that know domains by their early rows: what they keep, how they answer, what they are not asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

from bayescpt.ask import ratio_under_budget, summary
from bayescpt.ask.losses import Losses
from bayescpt.data.learnability import TRAITS, early_rows
from bayescpt.data.table import Table
from bayescpt.fit import Fit, prior_fit
from bayescpt.fit.foresight import run_densities
from bayescpt.fit.held_out import check_foresight
from bayescpt.fit.run import model_of
from bayescpt.schema import TARGETS


@pytest.fixture(scope="module")
def pooled(study_table: Table) -> Fit:
    """300 draws of the prior with learnability."""
    return prior_fit(study_table, "dcpt_l5", "learnability", "normal", seed=2, draws=300)


@pytest.fixture(scope="module")
def crossed(study_table: Table) -> Fit:
    """50 draws of the prior of the Cross-Domain law, one for all domains, on rows whose losses fall by domain data."""
    fall = 0.6 * study_table.ratio * (study_table.target == TARGETS.index("domain"))
    falling = replace(study_table, loss=study_table.loss - fall)
    return prior_fit(falling, "dcpt_cross", "complete", "normal", seed=2, draws=50)


def test_draws_of_learnability_are_named_and_follow_the_statistics(pooled: Fit) -> None:
    drawn = pooled.posterior["learnability"]
    assert drawn.dims == ("chain", "draw", "domain", "trait")
    assert list(drawn["trait"].values) == list(TRAITS)
    assert pooled.posterior["loading"].dims == ("chain", "draw", "target", "coordinate", "trait")
    rows = pooled.model.layout(pooled.table).rows
    weight = 1 / (1 + np.asarray(rows.trait_se) ** 2)
    error = (drawn.mean(("chain", "draw")).values - weight * np.asarray(rows.traits)) / np.sqrt(1 - weight)
    assert np.abs(error).max() < 5 / np.sqrt(300)
    # every run has later rows, and its likelihood is theirs
    assert np.isfinite(pooled.tree["log_likelihood"]["run_loss"].values).all()


def test_a_domain_never_seen_has_a_learnability_of_its_own(pooled: Fit) -> None:
    theta = pooled.draws("never seen").theta
    again = pooled.draws("never seen").theta
    for name, values in theta.items():
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values, again[name])
    assert not np.array_equal(theta["beta"], pooled.draws("another").theta["beta"])


def test_it_survives_its_file(pooled: Fit, tmp_path: Path) -> None:
    pooled.save(tmp_path / "fit.nc")
    loaded = Fit.load(tmp_path / "fit.nc")
    assert loaded.model == pooled.model
    xr.testing.assert_identical(loaded.posterior, pooled.posterior)
    for domain in ("law", "never seen"):
        one, other = (summary(ratio_under_budget(f, domain, 6e5, 2e5, 0.05)) for f in (pooled, loaded))
        assert one == other


def test_runs_whose_rows_are_all_early_have_no_likelihood(study_table: Table) -> None:
    mine = study_table.domain == 0
    seen = early_rows(study_table) & (study_table.run == study_table.run[mine & (study_table.ratio > 0)][0])
    fit = prior_fit(study_table.select(~mine | seen), "dcpt_l5", "learnability", "normal", draws=20)
    named = fit.tree["log_likelihood"]["run_loss"]
    assert np.isfinite(named.values).all()
    assert {str(run).split("-")[0] for run in named["run"].values} == {study_table.domains[1]}
    assert np.isfinite(fit.draws(study_table.domains[0]).noise_sd).all()


def test_it_is_not_compared_run_by_run() -> None:
    check_foresight(model_of("dcpt", "partial"), "run")
    check_foresight(model_of("dcpt", "learnability"), "size")
    with pytest.raises(ValueError, match="no density of whole runs by importance sampling: hold out otherwise"):
        check_foresight(model_of("dcpt", "learnability"), "run")


def test_the_cross_domain_law_foresees_late_rows_by_the_learnability_of_its_own_rows(crossed: Fit) -> None:
    """Rows to be foreseen need no early checkpoint: what is known of a domain is known from the rows of the fit."""
    table = crossed.table
    late = table.select(table.tokens > 1e5)
    assert np.isfinite(run_densities(crossed, late)).all()
    whole = run_densities(crossed, table)
    np.testing.assert_allclose(whole, crossed.tree["log_likelihood"]["run_loss"].values[0], rtol=1e-6)


def test_domains_of_the_cross_domain_law_differ_by_their_learnability_alone(crossed: Fit) -> None:
    law = crossed.model.law

    def apart(ratio: float, tokens: float) -> np.ndarray:
        """Difference of the two domains' losses by the law alone, without what it misses at a base."""
        found = []
        for domain in ("code", "law"):
            losses = Losses(crossed, domain, 6e5, tokens)
            theta = {name: values[TARGETS.index("domain")] for name, values in losses.draws.theta.items()}
            found.append(np.asarray(jax.vmap(law.loss)(theta, losses.point("domain", np.array(ratio)))))
        return found[1] - found[0]

    assert np.abs(apart(0.1, 5e4)).min() > 0
    np.testing.assert_allclose(apart(0.1, 5e4), apart(0.8, 2e5), rtol=1e-9)
    with pytest.raises(ValueError, match="k1, k2 of poetry cannot be told from these rows"):
        Losses(crossed, "poetry", 6e5, 2e5).at("domain", np.array(0.3))
    stated = Losses(crossed, "poetry", 6e5, 2e5, stated={"learnability": (4.0, 0.5)})
    assert np.isfinite(stated.at("domain", np.array(0.3))).all()

"""Held-out densities, folds and stacking, without sampling a posterior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.data.table import Table
from bayescpt.fit import Fit, Sampler, SamplerSettings, fit, prior_fit
from bayescpt.fit import compare as module
from bayescpt.fit.compare import Held, comparison, leave_folds_out, leave_one_run_out, stacking_weights
from bayescpt.fit.folds import FOLDS, folds_of, planned_ratio
from bayescpt.fit.foresight import expected_density, foreseen, run_densities


@pytest.mark.parametrize("by", FOLDS)
def test_folds_hold_out_every_row_once_and_leave_others(study_table: Table, by: str) -> None:
    folds = folds_of(study_table, by)
    held = np.sum([fold.held for fold in folds], axis=0)
    if by == "tokens":
        assert set(held) == {0, 1}
    else:
        assert (held == 1).all()
    assert len({fold.name for fold in folds}) == len(folds)
    wanted = {"run": 12, "ratio": 3, "size": 2, "domain": 2, "tokens": 1}
    assert len(folds) == wanted[by]


def test_the_ratio_of_a_run_is_the_one_it_ends_with(study_table: Table) -> None:
    drifting = study_table.ratio.copy()
    first = study_table.tokens == study_table.tokens.min()
    drifting[first] += 0.004
    moved = replace(study_table, ratio=drifting)
    np.testing.assert_array_equal(planned_ratio(moved), planned_ratio(study_table))
    assert set(planned_ratio(moved)) == {0.0, 0.25, 0.75}


def test_what_cannot_be_held_out_is_refused(study_table: Table) -> None:
    with pytest.raises(ValueError, match="no folds are called 'seed'; on offer: run, ratio, size, domain, tokens"):
        folds_of(study_table, "seed")
    one = study_table.select(study_table.domain == 0)
    with pytest.raises(ValueError, match="cannot be held out by domain: domain code is all there is"):
        folds_of(one, "domain")


def test_densities_of_the_rows_of_a_fit_are_its_own(prior: Fit) -> None:
    found = run_densities(prior, prior.table)
    kept = prior.tree["log_likelihood"]["run_loss"].isel(chain=0).to_numpy()
    np.testing.assert_allclose(found, kept, rtol=1e-8)


def test_a_run_by_itself_has_the_density_it_has_among_others(prior: Fit) -> None:
    table = prior.table
    mine = table.run == 4
    alone = run_densities(prior, table.select(mine))
    np.testing.assert_allclose(alone[:, 4], run_densities(prior, table)[:, 4], rtol=1e-8)
    assert np.isnan(np.delete(alone, 4, axis=1)).all()


def test_of_a_base_never_seen_the_effect_is_drawn(prior: Fit) -> None:
    seen = prior.table
    known = run_densities(prior, seen)
    renamed = replace(seen, bases=("other 1", "other 2"))
    assert not np.allclose(run_densities(prior, renamed), known)


def test_the_expected_density_averages_over_draws() -> None:
    densities = np.log(np.array([[0.1, 4.0], [0.3, 2.0]]))
    np.testing.assert_allclose(np.exp(expected_density(densities)), [0.2, 3.0])


def sampler_of(fit: Fit) -> Sampler:
    return Sampler(fit.model, SamplerSettings(chains=1))


def test_runs_whose_weights_cannot_be_trusted_are_fitted_again(prior: Fit) -> None:
    """Draws of a prior know nothing of the runs, so that hardly any weight holds."""
    asked: list[int] = []

    def refit(rows: Table, sampler: Sampler) -> Fit:
        asked.append(len(rows))
        return prior

    said: list[str] = []
    held = leave_one_run_out(prior, sampler_of(prior), refit, said.append)
    assert held.refits == len(asked) == len(said) > 0
    assert set(asked) == {len(prior.table) - 6}
    exact = expected_density(run_densities(prior, prior.table))
    again = [prior.table.runs.index(line.split()[1]) for line in said]
    np.testing.assert_allclose(held.density[again], exact[again], rtol=1e-8)


def test_folds_are_left_out_of_a_refit_and_scored_by_run(prior: Fit) -> None:
    asked: list[Table] = []

    def refit(rows: Table, sampler: Sampler) -> Fit:
        asked.append(rows)
        return prior

    held = leave_folds_out(prior.table, "size", sampler_of(prior), refit, lambda _: None)
    assert held.refits == 2
    assert [set(rows.size) for rows in asked] == [{6e5}, {1e5}]
    np.testing.assert_allclose(held.density, expected_density(run_densities(prior, prior.table)), rtol=1e-8)


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_no_mixture_beats_the_stacked_one(seed: int, models: int) -> None:
    rng = np.random.default_rng(seed)
    density = rng.normal(0, 2, (30, models))
    weights = stacking_weights(density)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()

    def score(mixture: np.ndarray) -> float:
        return float(np.log(np.exp(density) @ mixture).sum())

    for other in rng.dirichlet(np.ones(models), 20):
        assert score(weights) >= score(other) - 1e-3


def test_stacking_of_models_that_are_right_by_turns() -> None:
    density = np.where(np.arange(40)[:, None] % 2 == np.arange(2), 0.0, -20.0)
    np.testing.assert_allclose(stacking_weights(density), [0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(stacking_weights(np.stack([np.zeros(9), np.full(9, -5.0)], 1)), [1, 0], atol=1e-6)


def test_the_comparison_puts_the_best_first_with_errors_of_differences() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(10, 5, 50)
    noise = rng.normal(0, 0.1, 50)
    frame = comparison({"worse": Held(common - 1 + noise, 3), "better": Held(common, 0)})
    assert list(frame["model"]) == ["better", "worse"]
    best, other = frame.to_dict(orient="records")
    assert (best["difference"], best["difference_se"]) == (0, 0)
    assert other["difference"] == pytest.approx((noise - 1).sum())
    # what the models share cancels: the error of the difference is far below that of either sum
    assert other["difference_se"] == pytest.approx(np.sqrt(50) * noise.std(ddof=1))
    assert other["elpd_se"] > 20 * other["difference_se"]
    assert list(frame["refits"]) == [0, 3]
    assert frame["weight"].sum() == pytest.approx(1)
    assert isinstance(frame, pd.DataFrame)


def test_the_end_of_every_run_is_held_out_however_long_it_is(study_table: Table) -> None:
    shorter = np.where(study_table.size == study_table.size.min(), 0.1, 1.0)
    table = replace(study_table, tokens=study_table.tokens * shorter)
    (fold,) = folds_of(table, "tokens")
    np.testing.assert_array_equal(fold.held, folds_of(study_table, "tokens")[0].held)
    for run in np.unique(table.run):
        mine = table.run == run
        assert 0 < fold.held[mine].sum() < mine.sum()
        assert (
            table.tokens[mine & ~fold.held].max() <= table.tokens[mine].max() / 3 < table.tokens[fold.held & mine].min()
        )


def test_runs_of_one_planned_ratio_are_one_fold_wherever_it_lies(study_table: Table) -> None:
    """Realised ratios around 1/8 lie on both sides of where two digits are rounded."""
    near = np.where(study_table.ratio == 0.25, 0.125 + 3e-5 * (-1.0) ** study_table.run, study_table.ratio)
    table = replace(study_table, ratio=near)
    assert len(folds_of(table, "ratio")) == 3
    assert len(set(planned_ratio(table)[study_table.ratio == 0.25])) == 1


def test_errors_are_over_folds_whose_runs_hang_together() -> None:
    rng = np.random.default_rng(1)
    fold = np.repeat(np.arange(6), 5)
    shared = rng.normal(0, 3, 6)[fold]
    frame = comparison({name: Held(shared + rng.normal(0, 0.1, 30), 6, fold, 4.0, 2) for name in ("a", "b")})
    sums = np.bincount(fold, shared)
    np.testing.assert_allclose(frame["elpd_se"], np.sqrt(6) * sums.std(ddof=1), rtol=0.1)
    assert list(frame["folds"]) == [6, 6]
    assert list(frame["simulation_se"]) == [2.0, 2.0]
    assert list(frame["thin"]) == [2, 2]
    one = comparison({"a": Held(shared, 1, np.zeros(30, int))})
    assert np.isnan(one["elpd_se"]).all()


def test_what_is_new_is_drawn_again_until_enough_draws_carry_it(prior: Fit) -> None:
    table = prior.table
    known = foreseen(prior, table)
    np.testing.assert_allclose(known.density, expected_density(run_densities(prior, table)))
    renamed = replace(table, domains=("new 1", "new 2"))
    once, more = run_densities(prior, renamed), foreseen(prior, renamed)
    weights = np.exp(once - expected_density(once)) / len(once)
    single = 1 / (weights**2).sum(axis=0)
    assert np.median(more.effective / single) > 1.5
    assert more.variance > 0


@pytest.mark.parametrize("what", ["domain", "size"])
def test_what_a_fold_left_out_is_new_although_the_table_knows_its_name(what: str, prior: Fit) -> None:
    table = prior.table
    held = table.domain == 0 if what == "domain" else table.size == table.size.max()
    assert set(table.select(~held).domains) == set(table.domains)
    seen = prior_fit(table.select(~held), "memory", seed=3, draws=200)
    once, found = run_densities(seen, table.select(held)), foreseen(seen, table.select(held))
    there = ~np.isnan(once).all(axis=0)
    weights = np.exp(once[:, there] - once[:, there].max(axis=0))
    single = weights.sum(axis=0) ** 2 / (weights**2).sum(axis=0)
    assert np.median(found.effective[there] / single) > 1.3  # of one set of draws it is 1


def test_importance_sampling_has_an_error_of_simulation_too(
    study_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 20 sets of draws; one in 300 such ratios is outside 0.3 to 2.5."""
    monkeypatch.setattr(module, "K_BELOW", np.inf)
    settings = SamplerSettings(chains=1, draws=1000)
    held = []
    for seed in range(20):
        quick = fit(study_table, "dcpt", method="laplace", seed=seed, settings=settings)
        one = replace(quick, tree=quick.told, method="nuts")
        held.append(leave_one_run_out(one, sampler_of(one), never, lambda _: None))
    between = np.var([one.density.sum() for one in held], ddof=1)
    assert 0.3 < between / np.mean([one.variance for one in held]) < 2.5


def never(*_: object) -> Fit:
    raise AssertionError("nothing was to be fitted again")


def test_the_variance_of_simulation_is_that_between_sets_of_draws(study_table: Table) -> None:
    """Of sums over runs that hang together, by 24 sets of draws; one in 400 such ratios is outside 0.35 to 2.2."""
    few = study_table.select((study_table.tokens < 1e4) & (study_table.domain == 0))
    whole = prior_fit(study_table, "memory", seed=1, draws=24_000)
    found = []
    for number in range(24):
        drawn = whole.posterior.isel(draw=slice(1000 * number, 1000 * (number + 1)))
        found.append(foreseen(replace(whole, tree=xr.DataTree.from_dict({"posterior": drawn})), few))
    assert min(np.nanmin(one.effective) for one in found) > 5
    between = np.var([np.nansum(one.density) for one in found], ddof=1)
    assert 0.35 < between / np.mean([one.variance for one in found]) < 2.2


def test_after_laplace_every_run_is_left_out_by_a_refit(prior: Fit) -> None:
    quick = replace(prior, method="laplace")
    held = leave_one_run_out(quick, sampler_of(prior), lambda rows, sampler: prior, lambda _: None)
    assert held.refits == len(prior.table.runs)

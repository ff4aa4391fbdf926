"""Losses and slopes under a law that looks at learning rates: covariates move along the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayescpt.ask import critical_ratio, predict, ratio_under_budget
from bayescpt.ask.losses import Losses
from bayescpt.data import Table
from bayescpt.fit import Fit, prior_fit
from bayescpt.schema import TARGETS

N, D = 4e7, 2e9
LAST = 1e9
"""The table's last checkpoint."""
RATIO = np.array([[0.0], [0.3], [1.0]])


@pytest.fixture(scope="module")
def trajectory(table: Table, altered: Callable[..., Fit]) -> Fit:
    frame = table.frame()
    rated = frame.assign(lr_sum=frame["tokens"] * 3e-10, lr_anneal=0.0)
    return altered(prior_fit(Table.from_frame(rated), "trajectory", seed=8, draws=40), base_effect=0.0, base_sd=0.0)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("stated", [{}, {"lr_anneal": 0.05}])
def test_a_slope_is_the_change_of_the_loss_along_the_run(
    trajectory: Fit, target: str, stated: dict[str, float]
) -> None:
    step = 1e-3
    after, before = (
        Losses(trajectory, "code", N, D * np.exp(sign * step), stated=stated).at(target, RATIO) for sign in (1, -1)
    )
    slope = Losses(trajectory, "code", N, D, stated=stated).slope(target, RATIO)
    assert np.abs(slope).max() > 1e-3
    np.testing.assert_allclose(slope, (after - before) / (2 * step), rtol=1e-4, atol=1e-7)


def test_a_stated_sum_of_learning_rates_grows_with_the_tokens(trajectory: Fit) -> None:
    as_is = Losses(trajectory, "code", N, D)
    same = Losses(trajectory, "code", N, D, stated={"lr_sum": 3e-10 * D})
    np.testing.assert_allclose(same.at("general", RATIO), as_is.at("general", RATIO), rtol=1e-12)
    np.testing.assert_allclose(same.slope("general", RATIO), as_is.slope("general", RATIO), rtol=1e-5)
    faster = Losses(trajectory, "code", N, D, stated={"lr_sum": 6e-10 * D})
    longer = Losses(trajectory, "code", N, 2 * D)
    np.testing.assert_allclose(faster.at("domain", RATIO), longer.at("domain", RATIO), rtol=1e-12)


def test_tokens_of_every_ratio_are_those_of_as_many_questions(trajectory: Fit) -> None:
    tokens = np.array([[1e8], [1e9], [5e9]])
    together = Losses(trajectory, "code", N, D).at("domain", RATIO, tokens)
    for place in range(3):
        alone = Losses(trajectory, "code", N, float(tokens[place, 0])).at("domain", RATIO[[place]])
        np.testing.assert_allclose(together[[place]], alone, rtol=1e-12)


def test_annealing_makes_room_for_a_larger_ratio(trajectory: Fit) -> None:
    told = {"lr_anneal": 0.1}
    for question, rest in ((critical_ratio, ()), (ratio_under_budget, (0.05,))):
        without, annealed = (
            question(trajectory, "code", N, D, *rest, stated=stated)["value"].values for stated in (None, told)
        )
        assert (annealed >= without - 1e-9).all()
        assert annealed.mean() > without.mean()


def test_points_may_say_how_their_runs_were_trained(trajectory: Fit) -> None:
    points = pd.DataFrame(
        {"domain": "code", "size": N, "ratio": 0.5, "tokens": D, "target": "domain", "lr_anneal": [np.nan, 0.0, 0.1]}
    )
    losses = predict(trajectory, points)["expected"].values
    np.testing.assert_array_equal(losses[:, 0], losses[:, 1])
    np.testing.assert_array_equal(
        losses[:, [0]], predict(trajectory, points.drop(columns="lr_anneal").head(1))["expected"]
    )
    assert (losses[:, 2] < losses[:, 0]).all()
    with pytest.raises(ValueError, match="lr_anneal must be an annealing area of at least 0, got -1"):
        predict(trajectory, points.assign(lr_anneal=-1.0))


def test_a_saved_fit_keeps_the_learning_rates(trajectory: Fit, tmp_path: Path) -> None:
    trajectory.save(tmp_path / "fit.nc")
    again = Fit.load(tmp_path / "fit.nc")
    assert again.reference == trajectory.reference
    for target in TARGETS:
        before, after = (Losses(one, "law", N, D).slope(target, RATIO) for one in (trajectory, again))
        np.testing.assert_allclose(after, before, rtol=1e-9)


def test_a_law_without_covariates_is_told_none(memory: Fit) -> None:
    points = pd.DataFrame({"domain": ["code"], "size": N, "ratio": 0.5, "tokens": D, "target": "domain"})
    with pytest.raises(ValueError, match="'memory' does not look at domain_tokens, lr_anneal: leave the column out"):
        predict(memory, points.assign(lr_anneal=0.1, domain_tokens="many"))
    # a blank states nothing, and columns of the user's own are theirs
    more = predict(memory, points.assign(lr_anneal=np.nan, note="mine"))
    np.testing.assert_array_equal(predict(memory, points)["predictive"], more["predictive"])


@pytest.mark.parametrize("tokens", [3e7, 3e8, 9.9e8, 4e9])
def test_what_the_law_misses_has_a_slope_too(memory: Fit, tokens: float) -> None:
    """Before the first checkpoint, between the two, just before the last, and beyond: piecewise straight."""
    step = 1e-4
    for target, domain, size in (("general", "code", N), ("domain", "law", N), ("general", "art", 3 * N)):
        after, before = (Losses(memory, domain, size, tokens * np.exp(s * step)).at(target, RATIO) for s in (1, -1))
        losses = Losses(memory, domain, size, tokens)
        np.testing.assert_allclose(losses.slope(target, RATIO), (after - before) / (2 * step), rtol=1e-3, atol=1e-6)
        alike = np.allclose(losses.slope(target, RATIO), losses.slope(target, RATIO, of_law=True), atol=1e-9)
        assert alike == (tokens < 1e8)


def test_at_the_last_checkpoint_the_slope_is_that_by_which_it_was_reached(memory: Fit) -> None:
    at_the_end, inside = (Losses(memory, "code", N, at).slope("general", RATIO) for at in (LAST, LAST * (1 - 1e-7)))
    np.testing.assert_allclose(at_the_end, inside, rtol=1e-4, atol=1e-8)
    assert not np.allclose(at_the_end, Losses(memory, "code", N, LAST * 1.001).slope("general", RATIO), atol=1e-3)


def test_the_critical_ratio_counts_the_slope_of_what_the_law_misses(memory: Fit, altered: Callable[..., Fit]) -> None:
    """Where the tolerance binds nowhere, of a base at which the law misses more and more, or less and less."""
    kept = altered(memory, base_effect=0.0, base_sd=0.0, noise_early=0.0, noise_share_exponent=0.0)
    values = {}
    for end in (-50.0, 0.0, 50.0):
        tree = kept.tree.copy(deep=True)
        tree["posterior"]["base_effect"] = tree["posterior"]["base_effect"] + xr.DataArray([0.0, end], dims="end")
        moved = replace(kept, tree=tree)
        values[end] = critical_ratio(moved, "code", N, LAST, tolerance=1000.0)["value"].values
    assert (values[50.0] == 0).all()  # far more at the end than at the start: nothing has turned
    assert (values[-50.0] == 1).all()
    assert 0 < values[0.0].mean() < 1


def test_a_loss_that_is_no_number_is_refused(memory: Fit) -> None:
    point = pd.DataFrame({"domain": ["code"], "size": 1e300, "ratio": 0.5, "tokens": 1e300, "target": "general"})
    for ask in (
        lambda: ratio_under_budget(memory, "code", 1e300, 1e300, 0.05),
        lambda: critical_ratio(memory, "code", 1e300, 1e300),
        lambda: predict(memory, point),
    ):
        with pytest.raises(ValueError, match=r"general loss of 'code' at size 1e\+300 and 1e\+300 tokens is no number"):
            ask()


def test_a_base_that_is_stated_as_another_has_a_misfit_of_its_own(memory: Fit) -> None:
    measured = float(memory.base_loss("code", 1e7, "general")[0])
    of_table, same, other = (
        Losses(memory, "code", 1e7, LAST, stated)
        for stated in (None, {"general": measured}, {"general": measured + 0.3})
    )
    ends = [np.stack(one._misfit("general")[:2]) for one in (of_table, same, other)]
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not np.isclose(ends[0], ends[2]).any()
    unseen = np.stack(Losses(memory, "code", 2e7, LAST)._misfit("general")[:2])
    assert not np.isclose(ends[2], unseen).all()

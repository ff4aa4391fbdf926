"""The next runs: greedy, within budget, aware of what is pending, and ready to stop."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bayescpt.decide import ForgettingBudget, ratios
from bayescpt.design import Space, VarianceReduction, candidates, decision_values, next_runs
from bayescpt.design.observe import measured
from bayescpt.fit import Fit, Mixture, prior_fit

ACTIONS = ratios(1e7, 1e9, list(np.linspace(0, 1, 33)))


@pytest.fixture(scope="module")
def quiet(ramp: Fit, altered: Callable[..., Fit]) -> Fit:
    return altered(ramp, noise_sd=1e-3, run_sd=1e-3)


@pytest.fixture(scope="module")
def offered(quiet: Fit) -> pd.DataFrame:
    space = Space(["code", "law"], [1e7, 4e7], [0.2, 0.3, 0.7], [1e9, 2e9], seeds=[0, 1])
    return candidates(space, quiet.table)


@pytest.fixture(scope="module")
def values(quiet: Fit) -> np.ndarray:
    budget = ForgettingBudget(0.3 * float(np.median(quiet.draws("code").theta["a"][0])))
    return decision_values(quiet, "code", ACTIONS, budget, 0.8)


def test_a_run_of_the_domain_teaches_the_slope_and_regret_falls(
    quiet: Fit, offered: pd.DataFrame, values: np.ndarray
) -> None:
    """Under the ramp one quiet run at any positive ratio tells a of its domain, and less of another's population."""
    found = next_runs(quiet, offered, values, budget=1e30, count=2, least_gain=0.0)
    assert found.verdict == "run"
    first = found.chosen.iloc[0]
    assert first["domain"] == "code"
    assert 0 < first["regret_fall"] <= found.regret
    assert found.chosen.iloc[1]["regret_fall"] < 0.2 * first["regret_fall"]
    own = found.candidates[found.candidates["domain"] == "code"]["gain"]
    other = found.candidates[found.candidates["domain"] == "law"]["gain"]
    assert own.min() > 1.2 * other.max() > 0


def test_cost_counts_by_its_power(quiet: Fit, offered: pd.DataFrame, values: np.ndarray) -> None:
    found = next_runs(quiet, offered, values, budget=1e30, power=1.0)
    assert found.chosen.iloc[0]["cost"] == offered["cost"].min()
    np.testing.assert_allclose(
        found.candidates["score"], found.candidates["gain"] / offered["cost"] * offered["cost"].min()
    )


def test_the_budget_is_kept(quiet: Fit, offered: pd.DataFrame, values: np.ndarray) -> None:
    budget = 2.5 * offered["cost"].min()
    found = next_runs(quiet, offered, values, budget=budget, count=10, least_gain=0.0)
    assert 0 < found.chosen["cost"].sum() <= budget
    assert "rest of the budget" in found.reason
    with pytest.raises(ValueError, match="pays for no candidate: the cheapest costs"):
        next_runs(quiet, offered, values, budget=1.0)


def test_what_is_pending_counts(quiet: Fit, offered: pd.DataFrame, values: np.ndarray) -> None:
    first = next_runs(quiet, offered, values, budget=1e30)
    later = next_runs(quiet, offered, values, budget=1e30, pending=first.chosen, least_gain=0.0)
    both = next_runs(quiet, offered, values, budget=1e30, count=2, least_gain=0.0)
    assert later.chosen.iloc[0]["regret_fall"] < 0.2 * first.chosen.iloc[0]["regret_fall"]
    assert later.chosen.iloc[0]["regret_fall"] == pytest.approx(both.chosen.iloc[1]["regret_fall"])


def test_it_stops_where_nothing_is_worth_a_run(ramp: Fit, offered: pd.DataFrame, altered: Callable[..., Fit]) -> None:
    known = altered(ramp, coordinates=0.3)
    values = decision_values(known, "code", ACTIONS, ForgettingBudget(0.1), 0.8)
    found = next_runs(known, offered, values, budget=1e30)
    assert found.verdict == "stop"
    assert found.chosen.empty
    assert "is expected to lower the regret" in found.reason
    assert found.regret == pytest.approx(0.0, abs=1e-12)


def test_a_batch_never_holds_one_run_at_two_lengths(quiet: Fit, offered: pd.DataFrame, values: np.ndarray) -> None:
    found = next_runs(quiet, offered, values, budget=1e30, count=5, least_gain=0.0, acquisition=VarianceReduction)
    assert len(found.chosen) >= 2
    assert not found.chosen.duplicated(["domain", "size", "ratio", "seed"]).any()


def test_a_run_is_the_same_run_wherever_it_is_asked_for(quiet: Fit, offered: pd.DataFrame) -> None:
    whole = measured(quiet, offered)
    part = measured(quiet, offered.iloc[[7, 3]])
    np.testing.assert_allclose(part, whole[[7, 3]])
    seeds = offered[(offered["seed"] == 0)].index[0], offered[(offered["seed"] == 1)].index[0]
    assert (whole[seeds[0]] != whole[seeds[1]]).any()


def test_a_mixture_measures_what_its_members_expect(ramp: Fit, level: Fit, offered: pd.DataFrame) -> None:
    both = Mixture({"ramp": ramp, "level": level}, {"ramp": 0.5, "level": 0.5})
    assert measured(both, offered).shape == (len(offered), 2, both.size)
    thinned = both.thinned(20)
    assert thinned.size == 20
    assert measured(thinned, offered).shape[-1] == 20


@pytest.mark.parametrize("bad", [{"budget": -1.0}, {"budget": np.nan}, {"count": 0}, {"power": -1.0}])
def test_impossible_settings_are_refused(
    quiet: Fit, offered: pd.DataFrame, values: np.ndarray, bad: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        next_runs(quiet, offered, values, **({"budget": 1e30} | bad))  # type: ignore[arg-type]


def test_a_batch_promises_no_more_than_there_is(quiet: Fit, offered: pd.DataFrame, values: np.ndarray) -> None:
    found = next_runs(quiet, offered, values, budget=1e30, count=5, least_gain=0.0)
    assert 0 < found.chosen["regret_fall"].sum() <= found.regret * (1 + 1e-9)


def test_runs_that_have_nothing_to_do_with_a_decision_are_not_made(
    quiet: Fit, offered: pd.DataFrame, values: np.ndarray
) -> None:
    """Values shuffled over draws: what runs seem to teach is chance, as it is for a domain that nothing resembles."""
    shuffled = values[:, np.random.default_rng(2).permutation(values.shape[1])]
    true, chance = (next_runs(quiet, offered, v, budget=1e30, least_gain=0.0) for v in (values, shuffled))
    told = chance.chosen["regret_fall"].sum()
    assert told < 0.2 * true.chosen["regret_fall"].sum()


def test_a_pending_run_is_not_offered_at_another_length(quiet: Fit, offered: pd.DataFrame, values: np.ndarray) -> None:
    pending = offered.iloc[[0]].assign(tokens=7e9)
    found = next_runs(quiet, offered, values, budget=1e30, pending=pending)
    first = offered.iloc[0]
    same = found.candidates[["domain", "size", "ratio", "seed"]] == first[["domain", "size", "ratio", "seed"]]
    assert not same.all(axis=1).any()
    # one that the rows have by now is pending no longer
    done = pd.DataFrame({"domain": ["code"], "size": [1e7], "ratio": [0.1], "tokens": [1e9], "seed": [0]})
    alone, again = (next_runs(quiet, offered, values, budget=1e30, pending=p) for p in (None, done))
    pd.testing.assert_frame_equal(alone.chosen, again.chosen)


def test_a_run_that_the_law_does_not_reach_is_named(
    ramp: Fit, offered: pd.DataFrame, altered: Callable[..., Fit]
) -> None:
    with pytest.raises(ValueError, match="some draws are no number for a run on code"):
        measured(altered(ramp, coordinates=np.inf), offered)


def test_of_many_candidates_the_best_are_looked_at_closely(
    ramp: Fit, altered: Callable[..., Fit], offered: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By some of the draws first: runs of the domain itself stay in view, and the choice is that of a full look."""
    fit = altered(prior_fit(ramp.table, ramp.model.law, seed=1, draws=600), noise_sd=1e-3, run_sd=1e-3, base_effect=0.0)
    budget = ForgettingBudget(0.3 * float(np.median(fit.draws("code").theta["a"][0])))
    values = decision_values(fit, "code", ACTIONS, budget, 0.8)
    whole = next_runs(fit, offered, values, budget=1e30, power=0.0, least_gain=0.0)
    place = sys.modules["bayescpt.design.select"]
    own = int((offered["domain"] == "code").sum())
    monkeypatch.setattr(place, "SHORT_LIST", own)
    monkeypatch.setattr(place, "BRIEF", 200)
    found = next_runs(fit, offered, values, budget=1e30, power=0.0, least_gain=0.0)
    assert found.candidates["brief"].sum() == len(offered) - own
    kept = found.candidates[~found.candidates["brief"]]
    assert (kept["domain"] == "code").mean() > 0.8
    pd.testing.assert_frame_equal(found.chosen, whole.chosen)
    np.testing.assert_allclose(kept["gain"], whole.candidates.loc[kept.index, "gain"])
    stopped = next_runs(fit, offered, values, budget=1e30, least_gain=100.0)
    assert f"none of the {own} runs looked at closely" in stopped.reason


def test_what_some_draws_measure_is_what_all_of_them_do(ramp: Fit, level: Fit, offered: pd.DataFrame) -> None:
    """Noise aside: a part of the draws has their parameters, and in a mixture their members."""
    some = np.arange(0, ramp.size, 7)
    for fit in (ramp, Mixture({"ramp": ramp, "level": level}, {"ramp": 0.6, "level": 0.4})):
        every, part = measured(fit, offered), measured(fit, offered, some)
        assert part.shape == (*every.shape[:2], len(some))
        spread = every.std(axis=-1)
        difference = (part - every[..., some]).std(axis=-1)
        assert (difference < spread).all()

"""Share vectors on the simplex: all of them, each once, and none elsewhere; and plans that choose among them."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.decide import WeightedLoss, on_simplex, plan
from bayescpt.fit import Fit

SOURCES = ["general", "law", "code"]


@given(st.integers(2, 5), st.integers(1, 6))
def test_every_mixture_is_there_once(count: int, steps: int) -> None:
    names = [f"s{i}" for i in range(count)]
    found = on_simplex(1e6, 1e8, names, "s1", steps)
    shares = found[[f"share_{name}" for name in names]].to_numpy()
    assert len(found) == comb(steps + count - 1, count - 1)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares * steps, np.round(shares * steps), atol=1e-9)
    assert len(np.unique(np.round(shares * steps), axis=0)) == len(found)
    np.testing.assert_array_equal(found["ratio"], found["share_s1"])


def test_limits_leave_what_lies_within() -> None:
    found = on_simplex(1e6, 1e8, SOURCES, "law", 10, {"code": (0.1, 0.3)})
    assert found["share_code"].between(0.1, 0.3 + 1e-9).all()
    assert len(found) == sum(11 - parts for parts in (1, 2, 3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sources": ["law"]}, "at least two sources"),
        ({"sources": ["law", "law"]}, "two sources are called 'law'"),
        ({"domain": "music"}, "'music' is no source"),
        ({"steps": 0}, "at least one step"),
        ({"steps": 1000}, "more than 20,000"),
        ({"limits": {"music": (0, 1)}}, "'music' is no source"),
        ({"limits": {"code": (0.5, 0.2)}}, "expected 0 <= least <= largest <= 1"),
        ({"limits": {"code": (0.42, 0.48)}, "steps": 10}, "widen them"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, object], message: str) -> None:
    asked = {"sources": SOURCES, "domain": "law"} | settings
    with pytest.raises(ValueError, match=message):
        on_simplex(1e6, 1e8, **asked)  # type: ignore[arg-type]


def test_a_plan_chooses_the_shares_of_all_sources(sourced: Fit) -> None:
    fit = sourced
    actions = on_simplex(float(fit.table.size[0]), float(fit.table.tokens.max()), fit.table.sources, "law", 10)
    found = plan(fit, "law", actions, WeightedLoss(0, 1))
    utility = found.actions["utility"].to_numpy()
    assert found.best == int(np.argmax(utility))
    # other shares at one ratio are other actions with other losses
    same = found.actions[np.isclose(found.actions["ratio"], 0.2)]
    assert len(same) > 2
    assert same["utility"].nunique() > 1
    assert found.runner_up is not None
    columns = [f"share_{source}" for source in fit.table.sources]
    rival = found.actions.iloc[found.runner_up][columns].to_numpy(float)
    assert np.abs(rival - found.action[columns].to_numpy(float)).max() >= 0.05


def test_mixtures_that_are_as_good_are_told_by_the_range_of_every_share(sourced: Fit) -> None:
    size, tokens = float(sourced.table.size[0]), float(sourced.table.tokens.max())
    actions = on_simplex(size, tokens, sourced.table.sources, "law", 10)
    found = plan(sourced, "law", actions, WeightedLoss(1, 1))
    tied = found.actions[found.actions["tied"]]
    for source, (low, high) in found.tied_shares.items():
        assert (low, high) == (tied[f"share_{source}"].min(), tied[f"share_{source}"].max())
    assert found.status == ("flat" if len(tied) >= 0.5 * len(actions) else "chosen")
    assert set(found.summary()["equally_good"]["shares"]) == set(sourced.table.sources)

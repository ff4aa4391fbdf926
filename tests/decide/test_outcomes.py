"""Outcomes are the expected losses of predict, and the spread of a run is that of its predictive."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayescpt.ask import predict
from bayescpt.ask.horizon import horizon
from bayescpt.decide import outcomes, pareto_front, under_compute
from bayescpt.decide.trust import MEASURED, trust
from bayescpt.fit import Fit


def test_outcomes_are_what_predict_says(memory: Fit) -> None:
    actions = under_compute(6 * 1e7 * 8e8, memory.table, [1e7, 2e7], [0.0, 0.4, 1.0])
    found = outcomes(memory, "code", actions)
    for target in ("general", "domain"):
        points = actions.assign(domain="code", target=target)
        answer = predict(memory, points)
        np.testing.assert_allclose(found[target].values, answer["expected"].values.T)
        # the spread of predictive draws around the expectation; 60 heavy-tailed draws: within a factor of two
        scores = (answer["predictive"] - answer["expected"]).values.T / found[f"{target}_run"].values
        assert 0.5 < np.sqrt((scores**2).mean()) < 2


def test_everything_under_the_ramp_is_a_trade(ramp: Fit) -> None:
    front = pareto_front(ramp, "code", 1e7, 1e9)
    assert (front["p_efficient"] == 1).all()
    assert (np.diff(front["general"].sel(quantile=0.5)) > 0).all()
    assert (np.diff(front["domain"].sel(quantile=0.5)) < 0).all()


def test_what_loses_twice_is_no_trade(hump: Fit) -> None:
    """Under the hump both losses have a maximum inside: ratios around it are beaten by others."""
    front = pareto_front(hump, "code", 1e7, 1e9)
    assert front["p_efficient"].min() < 0.5
    assert front["p_efficient"].max() > 0.5


def test_trust_says_what_was_measured_and_where_that_ends(ramp: Fit) -> None:
    table = ramp.table
    assert trust(horizon(table, "code", 1e7, 1e9)) == []
    near, far = (trust(horizon(table, "code", factor * 4e7, 1e9)) for factor in (2, 10))
    assert len(near) == len(far) == 1
    assert "nothing was measured" not in near[0]
    assert "nothing was measured" in far[0]
    assert "85%" in near[0]
    everywhere = trust(horizon(table, "poetry", 1e9, 1e12))
    assert len(everywhere) == len(MEASURED) == 3


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_losses_that_are_no_numbers_are_refused(ramp: Fit, altered, bad: float) -> None:  # type: ignore[no-untyped-def]
    broken = altered(ramp, coordinates=bad)
    actions = pd.DataFrame({"size": [1e7], "tokens": [1e9], "ratio": [0.5]})
    with pytest.raises(ValueError, match=r"some draws are no number at ratio|is no number in some draws"):
        outcomes(broken, "code", actions)


def test_sizes_that_are_nearly_one_agree(memory: Fit) -> None:
    """Of two sizes never run, each with a base of its own to be guessed."""
    actions = pd.DataFrame({"size": [2e7, 2e7 * (1 + 1e-6)], "tokens": 1e9, "ratio": 0.5})
    found = outcomes(memory, "code", actions)
    for name in ("general", "base"):
        np.testing.assert_allclose(found[name][0], found[name][1], rtol=1e-4)

"""A mixture answers in the words of a fit, from draws of its members that belong together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayescpt.ask import critical_ratio, predict, ratio_under_budget, summarise, summary
from bayescpt.fit import Fit, Mixture, SamplerSettings, average

N, D = 4e7, 1e9
WEIGHTS = {"ramp": 0.25, "hump": 0.75}
POINTS = pd.DataFrame(
    [("code", 4e7, 0.1, 1e9, "general"), ("code", 4e7, 0.6, 1e9, "general"), ("art", 8e7, 0.6, 2e9, "domain")],
    columns=["domain", "size", "ratio", "tokens", "target"],
)


@pytest.fixture(scope="module")
def mixture(ramp: Fit, hump: Fit) -> Mixture:
    return Mixture({"ramp": ramp, "hump": hump}, WEIGHTS, seed=4, made="a test")


def test_the_only_member_answers_as_itself(memory: Fit) -> None:
    alone = Mixture({"memory": memory}, {"memory": 1.0})
    for question, settings in (
        (ratio_under_budget, ("code", N, D, 0.05)),
        (critical_ratio, ("art", 2 * N, D)),
        (predict, (POINTS,)),
    ):
        mixed, own = question(alone, *settings), question(memory, *settings)
        xr.testing.assert_equal(mixed.drop_vars("member"), own)
        assert mixed.attrs == own.attrs | {"weights": {"memory": 1.0}, "weights_by": "stated"}
    pd.testing.assert_frame_equal(summarise(alone, POINTS), summarise(memory, POINTS))


def test_every_draw_is_one_of_a_member_and_they_are_as_many_as_it_weighs(
    mixture: Mixture, ramp: Fit, hump: Fit
) -> None:
    answer = ratio_under_budget(mixture, "code", N, D, 0.3)
    assert answer.sizes["sample"] == mixture.size == 60
    for name, fit, count in (("ramp", ramp, 15), ("hump", hump, 45)):
        mine = answer.isel(sample=answer["member"].values == name)
        own = ratio_under_budget(fit, "code", N, D, 0.3)
        assert mine.sizes["sample"] == count
        np.testing.assert_array_equal(mine["value"], own["value"][mixture.chosen[name]])


def test_draws_stay_together_over_points_and_questions(mixture: Mixture, ramp: Fit) -> None:
    """Under the ramp L_g = L0 + a r: two points of one draw give its a, and its a gives the ratio of another question.

    The hump's draws are none of that, so what is joined must not mix rows of the members.
    """
    losses = predict(mixture, POINTS)["expected"].values
    slope = (losses[:, 1] - losses[:, 0]) / 0.5
    ratio = ratio_under_budget(mixture, "code", N, D, 0.3)
    mine = ratio["member"].values == "ramp"
    np.testing.assert_allclose(ratio["value"].values[mine], np.minimum(0.3 / slope[mine], 1), atol=1e-7)
    assert not np.allclose(ratio["value"].values[~mine], np.minimum(0.3 / slope[~mine], 1), atol=1e-3)
    np.testing.assert_allclose(
        slope[mine], np.asarray(ramp.draws("code").theta["a"][0])[mixture.chosen["ramp"]], rtol=1e-9
    )


def test_what_is_said_of_a_mixture_lies_between_its_members(mixture: Mixture, ramp: Fit, hump: Fit) -> None:
    told = summary(critical_ratio(mixture, "code", N, D, 0.2))
    parts = [summary(critical_ratio(fit, "code", N, D, 0.2)) for fit in (ramp, hump)]
    assert (told["weights"], told["weights_by"]) == (WEIGHTS, "a test")
    for key in ("q05", "q50", "q95", "p_none", "p_all"):
        low, high = sorted(part[key] for part in parts)
        # quantiles of 15 and 45 of the 60 draws lie beside those of all by a few draws
        assert low - 0.15 <= told[key] <= high + 0.15
    assert told["note"] == parts[0]["note"]
    assert "the law 'ramp' cannot rise" in told["note"]
    assert told["domain"] == "code"


def test_a_member_without_draws_is_not_asked(ramp: Fit, level: Fit) -> None:
    both = Mixture({"ramp": ramp, "level": level}, {"ramp": 1.0, "level": 0.0})
    assert set(ratio_under_budget(both, "code", N, D, 0.1)["member"].values) == {"ramp"}


def test_laws_that_take_part_are_weighed_by_what_they_foresee(ramp: Fit, level: Fit) -> None:
    """The rows fall with the tokens, which neither law knows; but only the ramp starts at the base."""
    found = average(
        ramp.table,
        [ramp.model.law, level.model.law],
        method="laplace",
        seed=3,
        settings=SamplerSettings(chains=1, draws=100),
    )
    assert found.comparison is not None
    assert set(found.comparison["model"]) == {"ramp/partial/student", "level/partial/student"}
    assert found.weights["ramp/partial/student"] > 0.9
    assert found.method == "laplace"
    assert summary(ratio_under_budget(found, "code", N, D, 0.05))["weights"] == found.weights

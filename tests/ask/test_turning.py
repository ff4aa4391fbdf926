"""The turning time: closed forms, and one meaning with the critical mixture ratio."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.ask import critical_ratio, turning_summary, turning_time
from bayescpt.ask.losses import Losses
from bayescpt.data import Table
from bayescpt.fit import Fit, prior_fit
from bayescpt.laws import Point
from bayescpt.laws.two_term import turning_tokens

N, D = 4e7, 1e9
UNBOUNDED = 1e3
"""A tolerance, in nats, that binds nowhere."""
TOKENS = np.geomspace(1e5, 0.99e10, 15)


@pytest.fixture(scope="module")
def two_term(table: Table) -> Fit:
    return prior_fit(table, "two_term", seed=5, draws=200)


@pytest.mark.parametrize("domain", ["code", "poetry"])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_closed_form_of_the_hump(hump: Fit, domain: str, ratio: float) -> None:
    turn = 1e9 * np.asarray(hump.draws(domain).theta["k"][0]) * ratio
    answer = turning_time(hump, domain, N, ratio, horizon=D)
    late = turn > D
    np.testing.assert_array_equal(answer["none"], late)
    np.testing.assert_allclose(answer["value"], np.where(late, np.inf, turn), rtol=1e-7)
    assert not answer["start"].any()
    assert turning_summary(answer)["p_none"] == late.mean()


def test_the_horizon_is_the_longest_run_unless_stated(hump: Fit) -> None:
    answer = turning_time(hump, "code", N, 0.5)
    assert answer.attrs["horizon"] == hump.table.tokens.max() == D
    beyond = turning_time(hump, "code", N, 0.5, horizon=100 * D)
    assert not beyond["none"].any()
    known = ~answer["none"].values
    np.testing.assert_allclose(beyond["value"][known], answer["value"][known], rtol=1e-9)


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8])
def test_closed_form_of_the_two_term_law(two_term: Fit, ratio: float) -> None:
    theta = {name: values[0] for name, values in two_term.draws("code").theta.items()}
    base = two_term.base_loss("code", N, "general")[0]
    point = Point(*map(jnp.asarray, (N / 1e9, 1.0, 1 - ratio, base, 1.0, base)))
    closed = 1e9 * np.asarray(jax.vmap(lambda one: turning_tokens(one, point))(theta))
    horizon = 10 * D
    answer = turning_time(two_term, "code", N, ratio, horizon=horizon)
    none, start = closed > horizon, closed < horizon / 1e6
    np.testing.assert_array_equal(answer["none"], none)
    np.testing.assert_array_equal(answer["start"], start)
    between = ~none & ~start
    assert none.any()
    assert start.any()
    assert between.any()
    np.testing.assert_allclose(answer["value"][between], closed[between], rtol=1e-6)


@pytest.mark.parametrize("multiplier", [5.0, 1000.0, math.inf])
def test_it_has_turned_by_t_exactly_where_the_slope_at_t_is_not_positive(two_term: Fit, multiplier: float) -> None:
    """For the general loss of this law, which has one maximum; the sum with the domain loss need not."""
    time = turning_time(two_term, "law", N, 0.4, multiplier=multiplier, horizon=10 * D)["value"].values
    weight = 0.0 if math.isinf(multiplier) else 1 / multiplier
    for tokens in TOKENS:
        losses = Losses(two_term, "law", N, tokens)
        slope = losses.slope("general", np.array([0.4]), of_law=True)
        if weight:
            slope = slope + weight * losses.slope("domain", np.array([0.4]), of_law=True)
        clear = np.abs(time / tokens - 1) > 1e-6
        assert (slope <= 0)[(time <= tokens) & clear].all()
        if not weight:
            assert (slope > 0)[(time > tokens) & clear].all()


def test_the_slope_at_other_tokens_is_that_of_a_run_that_ends_there(two_term: Fit) -> None:
    losses = Losses(two_term, "code", N, 10 * D)
    shape = (len(TOKENS), two_term.size)
    there = losses.slope("domain", np.full(shape, 0.3), np.broadcast_to(TOKENS[:, None], shape))
    assert there.shape == (len(TOKENS), two_term.size)
    for row, tokens in zip(there, TOKENS, strict=True):
        np.testing.assert_allclose(row, Losses(two_term, "code", N, tokens).slope("domain", np.array([0.3])), rtol=1e-9)


@pytest.mark.parametrize("law", ["hump", "two_term"])
@pytest.mark.parametrize("tokens", [0.2 * D, 3 * D])
def test_a_ratio_below_the_critical_one_has_turned_by_then(
    law: str, tokens: float, altered: Callable[..., Fit], request: pytest.FixtureRequest
) -> None:
    """T0(r) <= T where r is the critical ratio at T without a tolerance, and the other way round for the hump."""
    fit: Fit = altered(request.getfixturevalue(law), base_effect=0.0, base_sd=0.0)
    critical = critical_ratio(fit, "code", N, tokens, tolerance=UNBOUNDED)
    for ratio in (0.25, 0.6):
        time = turning_time(fit, "code", N, ratio, horizon=tokens)
        assert (
            time["none"].values
            == ~(Losses(fit, "code", N, tokens).slope("general", np.array([ratio]), of_law=True) <= 0)
        ).all()
        if law == "hump":
            np.testing.assert_array_equal(time["none"], critical["value"].values < ratio)
        else:
            # where it has turned by T the ratio qualifies, so the largest one that does is no smaller
            assert (critical["value"].values[~time["none"].values] >= ratio - 1 / 128).all()


def test_the_domain_loss_brings_the_turn_forward(two_term: Fit) -> None:
    settings = {"domain": "code", "size": N, "ratio": 0.5, "horizon": 10 * D}
    times = [turning_time(two_term, multiplier=m, **settings)["value"].values for m in (1.0, 30.0, math.inf)]  # type: ignore[arg-type]
    tokens = np.broadcast_to(np.geomspace(1e4, 10 * D, 200)[:, None], (200, two_term.size))
    falls = Losses(two_term, "code", N, D).slope("domain", np.full(tokens.shape, 0.5), tokens, of_law=True).max(0) <= 0
    assert falls.mean() > 0.5
    assert (times[0] <= times[1] * (1 + 1e-9))[falls].all()
    assert (times[1] <= times[2] * (1 + 1e-9))[falls].all()
    assert (times[0] < times[2])[falls].any()


def test_a_law_that_cannot_rise_falls_from_the_start_and_says_so(ramp: Fit, hump: Fit) -> None:
    answer = turning_time(ramp, "code", N, 0.5)
    assert "'ramp' cannot rise" in answer.attrs["note"]
    assert (answer["value"] == 0).all()
    assert turning_summary(answer)["p_start"] == 1
    assert "note" not in turning_time(hump, "code", N, 0.5).attrs


def test_the_summary_has_quantiles_in_tokens_and_none_where_most_never_turn(hump: Fit) -> None:
    turn = np.sort(1e9 * np.asarray(hump.draws("code").theta["k"][0]) * 0.5)
    answer = turning_time(hump, "code", N, 0.5, multiplier=1e9, horizon=float(turn[len(turn) // 2 + 3]))
    told = turning_summary(answer)
    assert told["q50"] == pytest.approx(turn[(len(turn) + 1) // 2 - 1], rel=1e-6)
    assert told["q05"] < told["q50"]
    assert told["q95"] is None
    assert 0.3 < told["p_none"] < 0.5
    assert {k: told[k] for k in ("domain", "size", "ratio", "multiplier")} == {
        "domain": "code", "size": N, "ratio": 0.5, "multiplier": 1e9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"ratio": 1.1}, r"ratio must be a share of domain tokens within \[0, 1\], got 1.1"),
        ({"ratio": math.nan}, "ratio must be"),
        ({"multiplier": 0.0}, "multiplier lambda must be positive"),
        ({"size": -1.0}, "size must be a positive"),
        ({"horizon": 0.0}, "tokens must be a positive"),
        ({"horizon": math.inf}, "tokens must be a positive"),
    ],
)
def test_impossible_settings(hump: Fit, changes: dict[str, float], match: str) -> None:
    settings = {"domain": "code", "size": N, "ratio": 0.5} | changes
    with pytest.raises(ValueError, match=match):
        turning_time(hump, **settings)  # type: ignore[arg-type]

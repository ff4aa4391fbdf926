"""The ratio under limited domain data: the closed conditions of D-CPT, and bounds that repetition must keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.ask import ratio_under_limited_data, summary
from bayescpt.ask.limited import SEARCHED
from bayescpt.ask.search import AT_AN_END, least
from bayescpt.data import Table
from bayescpt.fit import Check, Fit, Mixture, UnreliableFit, prior_fit
from bayescpt.laws.dcpt import interior_domain_tokens

N, D = 4e7, 1e9
DRAWS = 60


@pytest.fixture(scope="module")
def dcpt(table: Table, altered: Callable[..., Fit]) -> Fit:
    return altered(prior_fit(table, "dcpt", seed=6, draws=DRAWS), base_effect=0.0, base_sd=0.0)


@pytest.fixture(scope="module")
def repeated(table: Table, altered: Callable[..., Fit]) -> Fit:
    frame = table.frame()
    read = frame["ratio"] * frame["tokens"] / 1e8
    told = Table.from_frame(frame.assign(domain_epochs=read))
    return altered(prior_fit(told, "repeated", seed=7, draws=DRAWS), base_effect=0.0, base_sd=0.0)


# ---- the search


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=10))
def test_the_least_loss_is_found_in_every_draw(places: list[float]) -> None:
    at = np.array(places)
    value, first, last = least(lambda ratio: (ratio - at) ** 2, SEARCHED)
    np.testing.assert_allclose(value, np.clip(at, SEARCHED[0], 1), atol=1e-6)
    np.testing.assert_array_equal(first, at < SEARCHED[0] + AT_AN_END)
    np.testing.assert_array_equal(last, at > 1 - AT_AN_END)


def test_of_two_valleys_the_deeper_one_counts() -> None:
    depth = np.array([0.9, 1.1])
    value, first, last = least(
        lambda ratio: -np.exp(-(((ratio - 0.2) / 0.05) ** 2)) - depth * np.exp(-(((ratio - 0.8) / 0.05) ** 2)), SEARCHED
    )
    np.testing.assert_allclose(value, [0.2, 0.8], atol=1e-6)
    assert not first.any()
    assert not last.any()


def test_a_loss_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no number"):
        least(lambda ratio: np.where(ratio > 0.5, np.nan, ratio) + np.zeros(3), SEARCHED)


# ---- each domain token once


def of_domain(fit: Fit) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Natural parameters of the domain loss by draw, and D-CPT's border of an interior optimum, in billions."""
    theta = {name: jnp.asarray(values[1]) for name, values in fit.draws("code").theta.items()}
    border = jax.vmap(interior_domain_tokens)(theta)
    return {name: np.asarray(values) for name, values in theta.items()}, np.asarray(border)


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_d_cpt_s_condition_decides_where_an_interior_optimum_is(dcpt: Fit, factor: float) -> None:
    theta, border = of_domain(dcpt)
    border = border * 1e9
    own = factor * float(np.median(border))
    answer = ratio_under_limited_data(dcpt, "code", N, own)
    clear = np.abs(own / border - 1) > 1e-4
    np.testing.assert_array_equal(answer["every"].values[clear], (own >= border)[clear])
    # B (eta + beta) r^(eta + beta - 1) / D_d^beta = gamma C / (r + eps)^(gamma + 1) inside (appendix G.2)
    inside = ~answer["every"].values & ~answer["none"].values
    assert inside.any() or factor > 1
    r = answer["value"].values[inside]
    B, C, beta, gamma, eta, eps = (theta[name][inside] for name in ("B", "C", "beta", "gamma", "eta", "eps"))
    gain = B * (eta + beta) * r ** (eta + beta - 1) / (own / 1e9) ** beta
    np.testing.assert_allclose(gain, gamma * C / (r + eps) ** (gamma + 1), rtol=1e-3)


def test_under_its_own_constraint_d_cpt_has_an_interior_optimum_for_very_little_data_only(dcpt: Fit) -> None:
    """C > C0 at D_min leaves D_d < D_min (1 + beta/eta)^(1/beta) < e D_min.

    That is 0.36B tokens for the D_min of the paper, whose own example has 5B and an optimum of 0.732.
    """
    theta, border = of_domain(dcpt)
    border = border / dcpt.reference.tokens_min
    assert (border < (1 + theta["beta"] / theta["eta"]) ** (1 / theta["beta"])).all()
    assert (border < np.e).all()


def test_a_law_without_repetition_answers_for_new_tokens_only(memory: Fit) -> None:
    answer = ratio_under_limited_data(memory, "code", N, 1e8)
    assert answer.sizes == {"sample": DRAWS}
    assert ((answer["value"] >= SEARCHED[0]) & (answer["value"] <= 1)).all()
    with pytest.raises(ValueError, match="'memory' does not know what repeated tokens are worth"):
        ratio_under_limited_data(memory, "code", N, 1e8, tokens=D)


def test_repetition_never_shows_where_each_token_is_read_once(repeated: Fit, altered: Callable[..., Fit]) -> None:
    harmless = repeated.tree.copy(deep=True)
    coordinates = harmless["posterior"]["coordinates"]
    coordinates.loc[{"coordinate": "log_harm"}] = 5.0
    harmful = replace(repeated, tree=harmless)
    answers = [ratio_under_limited_data(fit, "code", N, 1e8)["value"] for fit in (repeated, harmful)]
    np.testing.assert_array_equal(*answers)


# ---- a stated total


@pytest.mark.parametrize("domain", ["code", "poetry"])
def test_an_optimum_is_never_below_one_epoch(repeated: Fit, domain: str) -> None:
    # up to one epoch more of the domain only helps, so that no ratio below D_d / D can be the best
    for own in (1e6, 1e8, 4e8):
        answer = ratio_under_limited_data(repeated, domain, N, own, tokens=D)
        assert (answer["value"] >= min(own / D, 1) - 1e-6).all()


def test_with_enough_domain_data_all_of_the_run_is_domain(repeated: Fit) -> None:
    answer = ratio_under_limited_data(repeated, "code", N, 1.001 * D, tokens=D)
    assert (answer["value"] == 1).all()
    assert answer["every"].all()


def test_harm_by_repetition_makes_less_of_it_better(repeated: Fit) -> None:
    def with_harm(log_harm: float) -> Fit:
        tree = repeated.tree.copy(deep=True)
        tree["posterior"]["coordinates"].loc[{"coordinate": "log_harm"}] = log_harm
        return replace(repeated, tree=tree)

    values = [
        ratio_under_limited_data(with_harm(harm), "code", N, 2e7, tokens=D)["value"].values
        for harm in (-20.0, -3.0, 2.0)
    ]
    assert (np.diff(np.stack(values), axis=0) <= 1e-6).all()
    assert values[0].mean() > values[2].mean() + 0.1
    assert (values[0] > 0.999).mean() > 0.8  # without harm only the worth of a token is less


def test_the_summary_says_what_was_asked_and_how_often_the_end_is_best(repeated: Fit) -> None:
    answer = ratio_under_limited_data(repeated, "code", N, 1e8, tokens=D)
    told = summary(answer)
    keys = ["domain", "size", "tokens", "domain_tokens", "mean", "q05", "q50", "q95", "p_none", "p_all"]
    assert list(told) == keys
    assert (told["domain"], told["size"], told["tokens"], told["domain_tokens"]) == ("code", N, D, 1e8)
    assert told["p_all"] == (answer["value"] == 1).values.mean()
    assert summary(ratio_under_limited_data(repeated, "code", N, 1e8))["tokens"] is None


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"size": 0}, "size must be a positive"),
        ({"tokens": float("nan")}, "tokens must be a positive"),
        ({"domain_tokens": 0}, "domain_tokens must be a positive number of tokens, got 0"),
        ({"domain_tokens": float("inf")}, "domain_tokens must be a positive number of tokens, got inf"),
        ({"base_loss": -1.0}, "the base's domain loss must be a positive"),
        ({"stated": {"lr_sum": 1.0}}, "'repeated' does not look at lr_sum"),
    ],
)
def test_impossible_settings(repeated: Fit, changes: dict[str, float], match: str) -> None:
    settings = {"domain": "code", "size": N, "domain_tokens": 1e8, "tokens": D} | changes
    with pytest.raises(ValueError, match=match):
        ratio_under_limited_data(repeated, **settings)  # type: ignore[arg-type]


def test_a_fit_that_failed_does_not_answer(repeated: Fit) -> None:
    failed = replace(repeated, checks=(Check("r_hat", False, "1.2 at a"),))
    with pytest.raises(UnreliableFit):
        ratio_under_limited_data(failed, "code", N, 1e8)


def test_a_law_that_does_not_see_the_ratio_has_none_to_give(table: Table) -> None:
    blind = prior_fit(table, "chinchilla", seed=1, draws=20)
    with pytest.raises(ValueError, match="'chinchilla' does not see what a model is trained on"):
        ratio_under_limited_data(blind, "code", N, 2e8)


def test_a_mixture_of_laws_answers(dcpt: Fit, table: Table) -> None:
    other = prior_fit(table, "dcpt_l1", seed=2, draws=DRAWS)
    mixture = Mixture({"dcpt": dcpt, "dcpt_l1": other}, {"dcpt": 0.5, "dcpt_l1": 0.5})
    told = summary(ratio_under_limited_data(mixture, "code", N, 2e8))
    apart = [ratio_under_limited_data(fit, "code", N, 2e8)["every"].values.mean() for fit in (dcpt, other)]
    assert apart[0] != apart[1]
    assert min(apart) <= told["p_all"] <= max(apart)

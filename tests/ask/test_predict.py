from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayescpt.ask import predict, summarise
from bayescpt.fit import Fit
from bayescpt.model.layout import progress_of
from bayescpt.model.misfit import BEYOND_SIZE, BEYOND_TOKENS, inherited

FALSE_ALARM = 1e-3
"""Probability that a distribution test fails for another seed although nothing is wrong."""


def grid(*domains: str) -> pd.DataFrame:
    rows = [
        (domain, size, ratio, tokens, target)
        for domain in domains
        for size in (10_000_000, 40_000_000)
        for tokens in (1e8, 1e9)
        for target in ("domain", "general")
        for ratio in (0.2, 0.7)
    ]
    return pd.DataFrame(rows, columns=["domain", "size", "ratio", "tokens", "target"])


def test_expected_losses_are_the_law_at_every_point(ramp: Fit) -> None:
    points = grid("law", "code").sample(frac=1, random_state=0)
    expected = predict(ramp, points)["expected"].values
    for column, (domain, size, ratio, _, target) in zip(expected.T, points.to_numpy(), strict=True):
        slope = np.asarray(ramp.draws(domain).theta["a"][0 if target == "general" else 1])
        base = 3.0 - size / 1e9 + (0.5 if target == "domain" else 0.0)
        change = slope * ratio if target == "general" else -slope * ratio
        np.testing.assert_allclose(column, base + change, rtol=1e-12)


def test_without_noise_a_new_run_has_the_expected_loss(memory: Fit, altered: Callable[..., Fit]) -> None:
    answer = predict(altered(memory, run_sd=0.0, noise_sd=0.0), grid("code"))
    np.testing.assert_array_equal(answer["predictive"], answer["expected"])


@pytest.mark.parametrize(
    ("noise", "df", "distribution"),
    [
        ({"run_sd": 0.3, "noise_sd": 0.0}, np.inf, stats.norm(0, 0.3)),
        ({"run_sd": 0.0, "noise_sd": 0.3}, 1e9, stats.norm(0, 0.3)),
    ],
)
def test_noise_of_a_new_run(
    ramp: Fit, altered: Callable[..., Fit], noise: dict[str, float], df: float, distribution: stats.rv_continuous
) -> None:
    points = grid("code", "law")
    answer = predict(altered(ramp, noise_df=df, noise_share_exponent=0.5, noise_early=0.4, **noise), points)
    share = np.where(points["target"] == "domain", points["ratio"], 1 - points["ratio"])
    along = np.asarray(progress_of(jnp.asarray(points["tokens"].to_numpy(float) / 1e9), ramp.reference))
    # noise is louder where the own corpus is rare and early in a run
    errors = (answer["predictive"] - answer["expected"]).values * np.sqrt((share + 0.01) / 0.51)
    errors = errors / np.exp(0.4 * (1 - along))
    if noise["run_sd"] > 0:
        # between its ends a run's deviation is an average of two independent offsets
        errors = errors / np.sqrt((1 - along) ** 2 + along**2)
    assert stats.kstest(errors.ravel(), distribution.cdf).pvalue > FALSE_ALARM


def test_a_heavy_run_is_off_as_a_whole(ramp: Fit, altered: Callable[..., Fit]) -> None:
    heavy = altered(ramp, noise_df=3.0, noise_share_exponent=0.0, noise_early=0.0, run_sd=0.0, noise_sd=0.3)
    answer = predict(heavy, grid("code"))
    errors = (answer["predictive"] - answer["expected"]).values
    # ratios of one draw share its mixing: take one point of each run
    assert stats.kstest(errors[:, 0], stats.t(3, 0, 0.3).cdf).pvalue > FALSE_ALARM


def test_a_new_domain_is_drawn_from_the_population(ramp: Fit, altered: Callable[..., Fit]) -> None:
    points = pd.DataFrame({"domain": ["poetry"], "size": 1e7, "ratio": 0.5, "tokens": 1e9, "target": "general"})
    middle = ramp.posterior["population"].sel(target="general").values[0, :, 0]
    loss = predict(altered(ramp, spread=0.0), points)["expected"].values[:, 0]
    np.testing.assert_allclose(loss, 2.99 + 0.5 * np.exp(middle), rtol=1e-12)
    apart = predict(ramp, points)["expected"].values[:, 0]
    assert np.abs(apart - loss).max() > 0.01


def test_what_a_law_misses_at_a_base_is_expected_of_its_runs(ramp: Fit, altered: Callable[..., Fit]) -> None:
    points = grid("code").query("tokens == 1e9")
    base, scale = 0.2, {"noise_share_exponent": 0.5}
    off = predict(altered(ramp, base_effect=base, **scale), points)["expected"].values
    share = np.where(points["target"] == "domain", points["ratio"], 1 - points["ratio"])
    np.testing.assert_allclose(
        off - predict(ramp, points)["expected"].values,
        np.broadcast_to(base * ((share + 0.01) / 0.51) ** -0.5, off.shape),
        rtol=1e-9,
    )


LOUD = {"base_sd": 0.2, "noise_sd": 0.02, "noise_typical": 0.02, "noise_share_exponent": 0.0}


def test_a_base_that_was_never_run_inherits_and_is_off_besides(ramp: Fit, altered: Callable[..., Fit]) -> None:
    points = pd.DataFrame({"domain": ["code"], "size": 2e7, "ratio": 0.5, "tokens": 1e9, "target": "general"})
    quiet = predict(ramp, points)["expected"].values
    off = predict(altered(ramp, base_effect=0.1, **LOUD), points)["expected"].values - quiet
    weights, scale = inherited(np.log([1e7, 4e7]), float(np.log(2e7)))
    assert stats.kstest(off.ravel(), stats.norm(0.1 * weights.sum(), 0.2 * scale).cdf).pvalue > FALSE_ALARM
    # a domain that nothing is known of inherits nothing
    stranger = points.assign(domain="poetry")
    quiet = predict(ramp, stranger)["expected"].values
    loud = altered(ramp, base_effect=0.1, **LOUD)
    shape = (2, loud.size)
    spread = np.exp(loud.model.noise.group_spread * loud.rng("new domain's noise", "poetry").standard_normal(shape))
    off = (predict(loud, stranger)["expected"].values - quiet)[:, 0] / spread[0]
    assert stats.kstest(off, stats.norm(0, 0.2).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("size", "tokens", "away"),
    [(1e7, 1e9, 0.0), (1e7, 1e10, BEYOND_TOKENS), (1e7, 1e11, 2 * BEYOND_TOKENS), (1.6e8, 1e9, BEYOND_SIZE)],
)
def test_beyond_the_data_the_law_may_go_astray(
    ramp: Fit, altered: Callable[..., Fit], size: float, tokens: float, away: float
) -> None:
    """By a span of log tokens, two spans, a span of log size: the standard deviation in units of base_sd."""
    points = pd.DataFrame({"domain": ["code"], "size": size, "ratio": 0.5, "tokens": tokens, "target": "general"})
    off = (predict(altered(ramp, **LOUD), points)["expected"] - predict(ramp, points)["expected"]).values.ravel()
    _, scale = inherited(np.log([1e7, 4e7]), float(np.log(size)))
    own = 0.0 if size == 1e7 else scale
    assert off.std() == pytest.approx(0.2 * np.hypot(own, away), rel=0.3)  # 60 draws: sd 9 %, false alarm 1e-3
    if not away:
        assert (off == 0).all()


def test_summarise_adds_quantiles_to_the_points(memory: Fit) -> None:
    points = grid("law").assign(note="kept").set_index("note", drop=False)
    told, draws = summarise(memory, points), predict(memory, points)
    assert list(told.columns) == [
        *points.columns,
        "mean",
        "sd",
        "q05",
        "q50",
        "q95",
        "pred_q05",
        "pred_q50",
        "pred_q95",
    ]
    assert len(points.columns) == 6  # the caller's frame is left alone
    np.testing.assert_allclose(told["mean"], draws["expected"].mean("sample"))
    np.testing.assert_allclose(told["sd"], draws["expected"].std("sample", ddof=1))
    for name, level in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        np.testing.assert_allclose(told[name], draws["expected"].quantile(level, "sample"))
        np.testing.assert_allclose(told[f"pred_{name}"], draws["predictive"].quantile(level, "sample"))


def test_answers_repeat_for_the_same_seed_and_not_for_another(memory: Fit) -> None:
    points = grid("code", "poetry")
    first, second = predict(memory, points), predict(memory, points)
    assert first.equals(second)
    other = predict(replace(memory, seed=9), points)
    assert not np.array_equal(first["predictive"], other["predictive"])


def test_every_fault_of_the_points_is_named(memory: Fit) -> None:
    points = pd.DataFrame(
        {
            "domain": ["code", None, "code", "code"],
            "size": [1e7, 1e7, -1, "big"],
            "ratio": [0.5, 1.5, 0.5, np.nan],
            "tokens": [0, 1e9, np.inf, 1e9],
            "target": ["general", "General", "domain", "domain"],
        }
    )
    with pytest.raises(ValueError) as caught:
        predict(memory, points)
    for told in (
        "target must be one of general, domain: row 2",
        "domain must be a name: row 2",
        "size must be a positive, finite number: row 3, 4",
        "tokens must be a positive, finite number: row 1, 3",
        "ratio must be a number within [0, 1]: row 2, 4",
    ):
        assert told in str(caught.value)
    slips = points.assign(domain=["Code", "code", " new", "code"])
    with pytest.raises(ValueError, match=r"'Code', which looks like 'code'.*without space around it, got ' new'"):
        predict(memory, slips)
    with pytest.raises(ValueError, match="no column tokens, target"):
        predict(memory, points[["domain", "size", "ratio"]])


def test_a_law_that_runs_away_says_so_without_a_warning(monkeypatch: pytest.MonkeyPatch, memory: Fit) -> None:
    module = sys.modules["bayescpt.ask.predict"]
    huge = np.array([[1.0], [1e200]])
    drawn = xr.Dataset(dict.fromkeys(("expected", "predictive"), (("sample", "point"), huge)))
    monkeypatch.setattr(module, "predict", lambda fit, points: drawn)
    (said,) = summarise(memory, pd.DataFrame({"ratio": [1.0]})).to_dict("records")
    assert said["sd"] == np.inf
    assert np.isfinite(said["q50"])


def test_what_the_law_does_not_look_at_is_not_passed_over(memory: Fit) -> None:
    points = grid("code").head(2)
    with pytest.raises(ValueError, match="'memory' does not look at lr_sum, phase_part: leave the column out"):
        predict(memory, points.assign(phase_part=0.2, lr_sum=[1.0, None]))
    assert predict(memory, points.assign(phase_part=np.nan)).sizes["point"] == 2


def test_shares_of_sources_are_refused_where_the_law_does_not_look(memory: Fit) -> None:
    points = pd.DataFrame({"domain": ["code"], "size": 4e7, "ratio": 0.5, "tokens": 1e9, "target": "domain"})
    with pytest.raises(ValueError, match="'memory' does not look at share_code: leave the column out"):
        predict(memory, points.assign(share_code=0.5))
    blank = predict(memory, points.assign(share_code=np.nan))
    xr.testing.assert_equal(blank, predict(memory, points))


def test_runs_of_another_call_are_others(memory: Fit) -> None:
    def noise(ratio: float) -> np.ndarray:
        where = {"domain": ["code"], "size": 1e7, "tokens": 1e9, "target": "general", "ratio": ratio}
        found = predict(memory, pd.DataFrame(where))
        return (found["predictive"] - found["expected"]).values[:, 0]

    np.testing.assert_array_equal(noise(0.3), noise(0.3))
    # 5 standard errors of the correlation of independent values of any size, by their signs
    assert abs(np.mean(np.sign(noise(0.3)) * np.sign(noise(0.4)))) < 5 / np.sqrt(memory.size)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayescpt.ask import (
    critical_ratio,
    ratio_of_least_loss,
    ratio_under_budget,
    ratio_under_limited_data,
    summary,
)
from bayescpt.data import Table
from bayescpt.fit import Check, Fit, UnreliableFit, prior_fit

N, D = 4e7, 1e9
BASE = 3.0 - 0.04


@pytest.mark.parametrize("domain", ["code", "law", "poetry"])
@pytest.mark.parametrize("budget", [0.0, 0.2, 0.9])
def test_closed_form_in_nats(ramp: Fit, domain: str, budget: float) -> None:
    answer = ratio_under_budget(ramp, domain, N, D, budget)
    slope = np.asarray(ramp.draws(domain).theta["a"][0])
    np.testing.assert_allclose(answer["value"], np.minimum(budget / slope, 1), atol=1e-8)
    np.testing.assert_array_equal(answer["every"], slope <= budget)
    assert not answer["none"].any()


def test_closed_form_relative_to_the_base(ramp: Fit) -> None:
    answer = ratio_under_budget(ramp, "code", N, D, 0.1, relative=True)
    slope = np.asarray(ramp.draws("code").theta["a"][0])
    np.testing.assert_allclose(answer["value"], np.minimum(0.1 * BASE / slope, 1), atol=1e-8)
    stated = ratio_under_budget(ramp, "code", N, D, 0.1, relative=True, base_loss=2.0)
    np.testing.assert_allclose(stated["value"], np.minimum(0.2 / slope, 1), atol=1e-8)


def test_a_law_without_a_base_may_leave_no_ratio_at_all(level: Fit) -> None:
    answer = ratio_under_budget(level, "code", N, D, 0.05, base_loss=1.0)
    height = np.asarray(level.draws("code").theta["a"][0])
    np.testing.assert_allclose(answer["value"], np.clip(1.05 / height - 1, 0, 1), atol=1e-8)
    np.testing.assert_array_equal(answer["none"], height > 1.05)
    told = summary(answer)
    assert 0 < told["p_none"] < 1
    assert told["p_all"] == (2 * height <= 1.05).mean()


def test_more_budget_never_allows_less(memory: Fit) -> None:
    values = [ratio_under_budget(memory, "code", N, D, budget)["value"].values for budget in (0.0, 0.05, 0.3, 2.0)]
    assert (np.diff(np.stack(values), axis=0) >= -1e-9).all()
    assert values[-1].mean() > values[0].mean()


def test_the_answer_repeats_also_for_new_domains_and_sizes(memory: Fit) -> None:
    first, second = (ratio_under_budget(memory, "poetry", 3e9, 2 * D, 0.05)["value"].values for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"size": 0}, "size must be a positive"),
        ({"tokens": float("inf")}, "tokens must be a positive"),
        ({"max_forgetting": -0.1}, "max_forgetting must be at least 0, got -0.1"),
        ({"max_forgetting": float("nan")}, "max_forgetting must be at least 0, got nan"),
    ],
)
def test_impossible_settings(ramp: Fit, changes: dict[str, float], match: str) -> None:
    settings = {"domain": "code", "size": N, "tokens": D, "max_forgetting": 0.05} | changes
    with pytest.raises(ValueError, match=match):
        ratio_under_budget(ramp, **settings)  # type: ignore[arg-type]


def test_a_fit_that_failed_answers_only_when_accepted(ramp: Fit) -> None:
    failed = replace(ramp, checks=(Check("r_hat", False, "1.2 at a"),))
    with pytest.raises(UnreliableFit, match=r"r_hat: 1\.2 at a"):
        ratio_under_budget(failed, "code", N, D, 0.1)
    with pytest.raises(ValueError, match="for a reason"):
        failed.accept(" ")
    accepted = ratio_under_budget(failed.accept("a test"), "code", N, D, 0.1)
    np.testing.assert_array_equal(accepted["value"], ratio_under_budget(ramp, "code", N, D, 0.1)["value"])


def test_a_last_phase_is_a_question_for_a_plan(table: Table, memory: Fit) -> None:
    """Most ratios cannot be had with a given last phase, a small one first of all."""
    frame = table.frame()
    frame = frame.assign(phase_start=0.0, phase_ratio=frame["ratio"])
    phased = prior_fit(Table.from_frame(frame), "phased", draws=20, seed=5)
    late = {"phase_part": 0.2, "phase_ratio": 0.8}
    questions = (
        lambda fit, stated: ratio_under_budget(fit, "code", N, D, 0.1, stated=stated),
        lambda fit, stated: critical_ratio(fit, "code", N, D, stated=stated),
        lambda fit, stated: ratio_of_least_loss(fit, "code", N, D, 1, 1, stated=stated),
        lambda fit, stated: ratio_under_limited_data(fit, "code", N, D, stated=stated),
    )
    for ask in questions:
        with pytest.raises(ValueError, match=r"whose last 0\.2 is set .* plan --phase-ratios"):
            ask(phased, late)
        with pytest.raises(ValueError, match="'memory' does not look at phase_part, phase_ratio"):
            ask(memory, late)
        without = ask(phased, {"phase_part": 0.0, "phase_ratio": 0.8})
        np.testing.assert_array_equal(without["value"], ask(phased, None)["value"])

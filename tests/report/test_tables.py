from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bayescpt.ask import summary
from bayescpt.fit import Fit
from bayescpt.report import Answers, answers_at, answers_table
from bayescpt.report.units import percent


def shown(answers: list[Answers]) -> str:
    screen = io.StringIO()
    Console(width=80, file=screen).print(answers_table(answers))
    return screen.getvalue()


def test_a_row_says_both_ratios_with_intervals_and_borders(answers: list[Answers]) -> None:
    lines = [line for line in shown(answers).splitlines() if line.strip().startswith(("code", "law[s]"))]
    assert len(lines) == len(answers)
    for line, answer in zip(lines, answers, strict=True):
        cells = line.split()
        assert cells[0] == answer.domain
        assert cells[1] == {1e5: "100k", 6e5: "600k"}[answer.size]
        expected = []
        for asked in (answer.ratio, answer.critical):
            said = summary(asked)
            expected += [f"{said['q50']:.2f}", f"[{said['q05']:.2f},", f"{said['q95']:.2f}]"]
            expected += [percent(said["p_none"]), percent(said["p_all"])]
        assert cells[2:] == expected


def test_it_fits_a_terminal_of_80_columns_and_names_the_settings(answers: list[Answers]) -> None:
    text = shown(answers)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "budget of 0.05 nats" in text
    assert "200k tokens" in text
    assert "NOT RELIABLE" not in text


def test_different_lengths_of_run_get_a_column(answers: list[Answers]) -> None:
    text = shown([answers[0], replace(answers[0], tokens=1e5)])
    assert [line.split()[2] for line in text.splitlines() if line.strip().startswith("code")] == ["200k", "100k"]


def test_a_fit_that_failed_is_called_not_reliable_with_the_reason(unreliable: Fit) -> None:
    text = shown([answers_at(unreliable, "code", 1e5, 2e5, 0.05)])
    assert "NOT RELIABLE: wanted for a test" in text


def test_answers_that_do_not_belong_together_are_refused(answers: list[Answers]) -> None:
    with pytest.raises(ValueError, match=r"budgets \[0\.05, 0\.1\]"):
        answers_table([answers[0], replace(answers[0], max_forgetting=0.1)])
    with pytest.raises(ValueError, match="reasons of acceptance"):
        answers_table([answers[0], replace(answers[0], accepted="why not")])
    with pytest.raises(ValueError, match="got 0"):
        answers_table([])


@pytest.mark.parametrize(
    ("probability", "said"), [(0.0, "0%"), (0.001, "<1%"), (0.25, "25%"), (0.9995, ">99%"), (1.0, ">99%")]
)
def test_rare_is_told_from_never(probability: float, said: str) -> None:
    assert percent(probability) == said


def test_answers_as_json_hold_settings_and_both_summaries(answers: list[Answers], unreliable: Fit) -> None:
    said = answers[1].as_dict()
    assert (said["domain"], said["size"], said["tokens"], said["max_forgetting"]) == ("code", 6e5, 2e5, 0.05)
    assert said["ratio"] == summary(answers[1].ratio)
    assert said["critical_ratio"]["q50"] == np.median(answers[1].critical["value"])
    assert "accepted" not in said
    assert answers_at(unreliable, "code", 1e5, 2e5, 0.05).as_dict()["accepted"] == "wanted for a test"


def test_the_cmr_is_never_above_the_optimal_ratio_of_the_same_budget(answers: list[Answers]) -> None:
    for answer in answers:
        assert (answer.critical["value"].values <= answer.ratio["value"].values + 1e-6).all()

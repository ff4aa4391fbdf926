"""Plans that end with a phase of their own, on the study's branches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bayescpt import ForgettingBudget, Table
from bayescpt.decide import WeightedLoss, plan, ratios, with_phases
from bayescpt.decide.phases import cautions_of_phase, phased_domains, phases_of
from bayescpt.fit import Fit, prior_fit

SIZE, TOKENS = 922_720.0, 131_072.0


@pytest.fixture(scope="module")
def phased() -> Table:
    return Table.read(Path(__file__).parents[2] / "examples" / "data" / "study-phases.parquet")


@pytest.fixture(scope="module")
def prior(phased: Table) -> Fit:
    return prior_fit(phased, "phased", seed=3, draws=60)


def test_the_table_says_which_last_phases_were_run(phased: Table) -> None:
    share, part = phases_of(phased)
    assert len(share) == 108
    assert (share.min(), share.max()) == (pytest.approx(0.05, abs=0.02), pytest.approx(0.85, abs=0.01))
    assert sorted(set(part.round(3))) == [0.047, 0.203, 0.5]


def test_shares_of_trunk_and_phase_make_the_ratio(phased: Table) -> None:
    actions = with_phases(ratios(SIZE, TOKENS, [0.0, 0.1, 0.85]), phased, [0.4, 0.85], [0.2, 0.5])
    # 3 without a phase, and 2 x 2 of 3 but for those whose phase would change nothing
    assert len(actions) == 3 + 12 - 2
    part, late = actions["phase_part"], actions["phase_ratio"]
    np.testing.assert_allclose(actions["ratio"], (1 - part) * actions["trunk_ratio"] + part * late)
    plain = actions[part == 0]
    assert (plain["ratio"] == plain["trunk_ratio"]).all()


def test_an_action_without_a_phase_is_the_run_itself(phased: Table, prior: Fit) -> None:
    actions = ratios(SIZE, TOKENS, [0.2, 0.6])
    with_them = with_phases(actions, phased, [0.85], [0.2])
    alone = plan(prior, "code", actions, WeightedLoss(1, 1)).actions
    among = plan(prior, "code", with_them, WeightedLoss(1, 1)).actions
    np.testing.assert_allclose(among["utility"][:2], alone["utility"], rtol=1e-12)


def test_where_the_end_counts_for_more_a_budget_is_spent_in_another_order(phased: Table, prior: Fit) -> None:
    # the same text in the mean: late domain means less domain loss and more forgetting
    flat = ratios(SIZE, TOKENS, [0.24])
    late = with_phases(ratios(SIZE, TOKENS, [0.05]), phased, [0.8], [0.2533]).iloc[1:]
    assert late["ratio"].iloc[0] == pytest.approx(0.24, abs=1e-3)
    one, other = (plan(prior, "code", a, WeightedLoss(1, 1)).action for a in (flat, late))
    assert other["domain"] < one["domain"]
    assert other["general"] > one["general"]


def test_a_plan_tells_its_phase_and_compares_with_its_like(phased: Table, prior: Fit) -> None:
    actions = with_phases(ratios(SIZE, TOKENS), phased, [0.4, 0.85], [0.05, 0.2])
    chosen = plan(prior, "code", actions, ForgettingBudget(10.0), confidence=0.5)
    assert {"phase_part", "phase_ratio", "trunk_ratio"} <= set(chosen.summary()["action"])
    low, high = chosen.tied_ratios
    assert low <= chosen.action["trunk_ratio"] <= high


@pytest.mark.parametrize(
    ("late", "parts", "match"),
    [
        ([1.2], [0.2], r"shares within \[0, 1\] in the last phase, got 1.2"),
        ([0.4], [0.0, 1.0], r"parts of the run between 0 and 1, got 0.0; .*got 1.0"),
        ([], [0.2], "at least one share and one part"),
        ([1.0], [0.2], "shares from 0.0.* to 0.85.*: no row tells what 1 would do"),
        ([0.4], [0.8], "parts from 0.0469 to 0.5: no row tells what 0.8 would do"),
    ],
)
def test_what_no_row_tells(phased: Table, late: list[float], parts: list[float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        with_phases(ratios(SIZE, TOKENS), phased, late, parts)


def test_tables_without_phases(phased: Table) -> None:
    with pytest.raises(ValueError, match="needs phase_start and phase_ratio"):
        with_phases(ratios(SIZE, TOKENS), replace(phased, phase_start=None), [0.4], [0.2])
    assert phased.phase_start is not None
    with pytest.raises(ValueError, match="no run of the table changes its mixture"):
        with_phases(ratios(SIZE, TOKENS), phased.select(phased.phase_start == 0), [0.4], [0.2])


def test_a_share_that_only_short_phases_had_is_not_asked_of_long_ones(phased: Table) -> None:
    assert phased.phase_ratio is not None
    assert phased.phase_start is not None
    part = 1 - phased.phase_start / phased.tokens
    short = phased.select((phased.phase_start == 0) | (phased.phase_ratio < 0.6) | (part < 0.1))
    with pytest.raises(ValueError, match=r"last phases of 0.5 of a run or more had shares from .* what 0.85 would do"):
        with_phases(ratios(SIZE, TOKENS), short, [0.4, 0.85], [0.5])
    assert phased_domains(phased) == {"code", "german", "medical"}
    assert phased_domains(phased.select(phased.phase_start == 0)) == set()


def test_ratios_that_do_as_well_are_those_that_are_set(phased: Table, prior: Fit) -> None:
    actions = with_phases(ratios(SIZE, TOKENS), phased, [0.4], [0.2]).query("phase_part > 0")
    chosen = plan(prior, "code", actions, ForgettingBudget(10.0), confidence=0.5)
    low, high = chosen.tied_ratios
    assert low <= chosen.action["trunk_ratio"] <= high


def test_what_makes_a_last_phase_hard_to_foresee(phased: Table) -> None:
    assert phased.phase_start is not None
    assert phased.phase_ratio is not None
    up = {"ratio": 0.48, "phase_part": 0.2, "phase_ratio": 0.8}
    down = {"ratio": 0.72, "phase_part": 0.2, "phase_ratio": 0.4}
    assert cautions_of_phase({"phase_part": 0.0, "ratio": 0.3}, phased, "code") == []
    assert cautions_of_phase({"ratio": 0.3}, phased, "code") == []
    for action in (up, down):
        (held,) = cautions_of_phase(action, phased, "code")
        assert "81% of general and 89% of domain losses" in held
    assert "no run of 'law' changes its mixture" in cautions_of_phase(up, phased, "law")[1]
    start, late = phased.phase_start, phased.phase_ratio * (phased.tokens - phased.phase_start)
    before = (phased.ratio * phased.tokens - late) / np.maximum(start, 1.0)
    falling = phased.select((phased.phase_start == 0) | (phased.phase_ratio < before))
    assert len(cautions_of_phase(down, falling, "code")) == 1
    _, told = cautions_of_phase(up, falling, "code")
    assert told.startswith(
        "no last phase of the table has a share above that of its run before, and those below do not"
    )
    rising = phased.select((phased.phase_start == 0) | (phased.phase_ratio > before))
    assert "has a share below that of its run before" in cautions_of_phase(down, rising, "code")[1]
    for none in (phased.select(phased.phase_start == 0), replace(phased, phase_start=None)):
        held, untold = cautions_of_phase(up, none, "code")
        assert "no run of 'code' changes its mixture" in untold

"""Branches as candidates: from runs of the table, with their cost, to a file that the trainer takes and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from bayescpt import Table
from bayescpt.data.runs import phases_of_runs
from bayescpt.decide import WeightedLoss, ratios
from bayescpt.design import Branches, Cost, Space, candidates, decision_values, next_runs
from bayescpt.design.branches import SETTINGS, entry_of, trunk_entries
from bayescpt.design.files import read_pending, read_space, runs_file, write_runs
from bayescpt.fit import prior_fit
from trainer.study import read_study
from trainer.study_runs import TRAINING

ROOT = Path(__file__).parents[2]
SIZES = {96: 221_664.0, 160: 922_720.0}
WANTED = Branches(at=[65_536, 104_448], tokens=[26_624], ratios=[0.4, 0.85])


@pytest.fixture(scope="module")
def phased() -> Table:
    return Table.read(ROOT / "examples" / "data" / "study-phases.parquet")


def space(**changes: Any) -> Space:
    whole: dict[str, Any] = {"domains": ["code"], "sizes": [SIZES[96]], "ratios": [0.05], "tokens": [131_072.0]}
    return Space(**(whole | {"branches": WANTED} | changes))


def test_every_run_of_the_table_may_be_left_where_it_has_been(phased: Table) -> None:
    offered = candidates(space(), phased)
    # of the trunks at 0.05, 0.4 and 0.85 all of these were run, as long or longer; the other three were never left
    assert (offered["phase_part"] > 0).all()
    assert len(offered) == 3 * 4
    assert set(offered["trunk_ratio"].round(2)) == {0.15, 0.55, 0.7}
    assert set(offered["start"]) == {65_536.0, 104_448.0}
    runs = phases_of_runs(phased)
    assert (runs["phase_part"] > 0).sum() == 108
    assert sorted(runs.loc[runs["phase_part"] > 0, "trunk_ratio"].round(2).unique()) == [0.05, 0.4, 0.85]
    made = (1 - offered["phase_part"]) * offered["trunk_ratio"] + offered["phase_part"] * offered["phase_ratio"]
    np.testing.assert_allclose(offered["ratio"], made)
    beyond = candidates(space(branches=Branches([131_072, 200_000], [26_624], [0.4])), phased)
    assert set(beyond["start"]) == {131_072.0}


def test_what_was_run_is_not_offered_again(phased: Table) -> None:
    with pytest.raises(ValueError, match="no run that the table does not have"):
        candidates(space(branches=Branches([104_448], [26_624], [0.85]), domains=["german"]), without_others(phased))


def without_others(phased: Table) -> Table:
    """The trunks at 0.05 and 0.4 alone, with all branches."""
    runs = phases_of_runs(phased)
    names = np.array(phased.runs)[np.unique(phased.run)]
    kept = names[(runs["phase_part"] > 0) | runs["ratio"].round(2).isin([0.05, 0.4])]
    return phased.select(np.isin(np.array(phased.runs)[phased.run], kept))


def test_a_branch_costs_its_own_tokens_and_its_trunk_where_no_state_is_kept(phased: Table) -> None:
    cost = Cost()
    whole = candidates(space(), phased, cost)
    kept = candidates(space(branches=Branches(WANTED.at, WANTED.tokens, WANTED.ratios, kept=True)), phased, cost)
    np.testing.assert_allclose(kept["cost"], 6 * SIZES[96] * 26_624.0)
    np.testing.assert_allclose(whole["cost"], 6 * SIZES[96] * whole["tokens"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at": []}, "branches.at: expected at least one"),
        ({"tokens": [0]}, "branches.tokens: expected numbers from 1"),
        ({"ratios": [1.2, "much"]}, r"branches.ratios: expected numbers from 0 to 1, got 1.2; .*got 'much'"),
        ({"ratios": [0.5, 0.5]}, "branches.ratios: 0.5 stands twice"),
        ({"settings": {"tokens": 3}}, "branches.settings: unknown key 'tokens'"),
        ({"at": [[1]]}, r"branches.at: expected numbers from 1 to 1e\+18, got \[1\]"),
    ],
)
def test_impossible_branches_are_refused(change: dict[str, Any], message: str) -> None:
    whole: dict[str, Any] = {"at": [10.0], "tokens": [10.0], "ratios": [0.5]}
    with pytest.raises(ValueError, match=message):
        Branches(**(whole | change))


def test_branches_are_chosen_among_runs_and_counted_as_pending(phased: Table) -> None:
    fit = prior_fit(phased, "phased", seed=5, draws=100)
    values = decision_values(fit, "code", ratios(SIZES[160], 131_072), WeightedLoss(1, 1), 0.9)
    offered = candidates(space(ratios=[0.1]), phased)
    assert set(offered["phase_part"] > 0) == {True, False}
    chosen = next_runs(fit, offered, values, budget=1e20, count=3, least_gain=0).chosen
    assert len(chosen) == 3
    after = next_runs(fit, offered, values, budget=1e20, count=1, least_gain=0, pending=chosen)
    places = ["trunk_ratio", "phase_ratio", "start"]
    assert not (chosen[places] == after.chosen.iloc[0][places]).all(axis=1).any()
    assert len(after.candidates) == len(offered) - 3


def test_a_law_that_knows_no_phases_is_told_none(phased: Table) -> None:
    fit = prior_fit(phased, "memory", seed=5, draws=20)
    values = decision_values(fit, "code", ratios(SIZES[160], 131_072), WeightedLoss(1, 1), 0.9)
    with pytest.raises(ValueError, match="'memory' does not look at phase_part, phase_ratio"):
        next_runs(fit, candidates(space(), phased), values, budget=1e20)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study that trained the runs, with other text in its place."""
    for name in ("general", "code", "medical", "german"):
        (tmp_path / name).mkdir()
        for part in ("train", "val"):
            frame = pd.DataFrame({"text": [f"{name} {part} {i} " * 40 for i in range(20)]})
            frame.to_json(tmp_path / name / f"{part}.jsonl.gz", orient="records", lines=True)
    monkeypatch.setenv("CORPORA", str(tmp_path))
    content = (ROOT / "examples" / "study" / "phases.yaml").read_text()
    (tmp_path / "study.yaml").write_text(content)
    return tmp_path / "study.yaml"


def test_the_trainer_knows_the_trunk_and_reads_the_branch(study: Path, phased: Table) -> None:
    content = {
        "decision": {"domain": "code", "size": 922_720, "tokens": 131_072, "weights": [1, 1]},
        "domains": ["code"],
        "sizes": SIZES,
        "ratios": [0.05],
        "tokens": [131_072],
        "branches": {"at": [65_536], "tokens": [26_624], "ratios": [0.4], "settings": {"evaluations": 3}},
        "study": "study.yaml",
    }
    path = study.with_name("space.yaml")
    path.write_text(yaml.safe_dump(content))
    file = read_space(path)
    offered = candidates(file.space, phased)
    chosen = offered[offered["trunk_ratio"].round(2) == 0.15].assign(gain=1.0)
    assert len(chosen) == 2
    out = study.with_name("next.yaml")
    write_runs(out, runs_file(chosen, file))
    whole, found = read_study(study), read_study(out)
    trunks = [run for run in found.runs if run.trunk is None]
    branches = [run for run in found.runs if run.trunk is not None]
    # the very runs of the study, so that what is trained is not trained again
    assert {run.run_id for run in trunks} <= {run.run_id for run in whole.runs}
    assert {(b.at, b.training.tokens, round(b.ratio, 6)) for b in branches} == {(65_536, 26_624, 0.4)}
    assert {b.trunk.run_id for b in branches if b.trunk} == {run.run_id for run in trunks}
    again = read_pending(out, file.names)
    under_way = again[again["phase_part"] > 0].reset_index(drop=True)
    expected = chosen[under_way.columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(under_way, expected, check_dtype=False, atol=0.01)


def test_a_branch_needs_a_run_of_the_study(study: Path, phased: Table) -> None:
    entries = list(trunk_entries(yaml.safe_load(study.read_text())))
    assert len(entries) == 36
    row = {"trunk_ratio": 0.0497, "domain": "code", "seed": 0}
    row |= {"start": 104_448.0}
    assert entry_of(row, 96, entries) == {"size": 96, "domain": "code", "ratio": 0.05, "seed": 0, "tokens": 131_072}
    assert entry_of(row | {"start": 2e5}, 96, entries) is None
    short = {**entries[0], "tokens": 51_200}
    assert entry_of(row, 96, [short, *entries]) == entry_of(row, 96, entries)
    assert list(trunk_entries({"runs": 3, "grid": {"sizes": 3}})) == []
    assert entry_of(row | {"seed": 1}, 96, entries) is None
    assert entry_of(row | {"trunk_ratio": 0.3}, 96, entries) is None


def test_settings_are_those_of_the_trainer() -> None:
    assert set(SETTINGS) == set(TRAINING) - {"tokens", "batch"}


def test_of_runs_of_one_setting_the_longest_is_left(phased: Table) -> None:
    frame = phased.frame()
    plain = (frame["domain"] == "code") & (frame["phase_start"] == 0) & frame["ratio"].between(0.1, 0.2)
    again = frame[plain & (frame["tokens"] == 40_960) & (frame["size"] < 5e5)]
    longer = pd.concat([again.assign(run="a shorter one"), frame], ignore_index=True)
    assert len(candidates(space(), Table.from_frame(longer))) == len(candidates(space(), phased))


def test_where_no_run_can_be_left_that_is_said(phased: Table) -> None:
    for changes in ({"branches": Branches([9_000_000], [1_000], [0.4])}, {"seeds": [7]}):
        with pytest.raises(ValueError, match="branches: no run of the table has these domains, sizes and seeds"):
            candidates(space(**changes), phased)
    with pytest.raises(ValueError, match="continue_runs and branches exclude each other"):
        space(continue_runs=True)


def test_a_run_of_the_same_setting_beside_a_branch_is_refused(study: Path, phased: Table) -> None:
    content = {
        "decision": {"domain": "code", "size": 922_720, "tokens": 131_072, "weights": [1, 1]},
        "domains": ["code"],
        "sizes": SIZES,
        "ratios": [0.15],
        "tokens": [300_000],
        "branches": {"at": [65_536], "tokens": [26_624], "ratios": [0.4]},
        "study": "study.yaml",
    }
    path = study.with_name("space.yaml")
    path.write_text(yaml.safe_dump(content))
    file = read_space(path)
    offered = candidates(file.space, phased)
    both = offered[(offered["trunk_ratio"].round(2) == 0.15) & (offered["size"] == SIZES[96])]
    assert set(both["phase_part"] > 0) == {True, False}
    with pytest.raises(ValueError, match="the trainer would branch from both"):
        runs_file(both, file)


def test_branches_of_one_trunk_pay_for_it_once(phased: Table) -> None:
    """The first in full; those that leave it earlier their own tokens, later ones the rest of the way as well."""
    fit = prior_fit(phased, "phased", seed=5, draws=100)
    values = decision_values(fit, "code", ratios(SIZES[160], 131_072), WeightedLoss(1, 1), 0.9)
    offered = candidates(space(branches=Branches(WANTED.at, [26_624], [0.4, 0.85, 0.99])), phased, Cost())
    offered = offered[offered["phase_part"] > 0]
    chosen = next_runs(fit, offered, values, budget=1e20, count=9, least_gain=0).chosen
    assert chosen.duplicated("trunk_ratio").any()
    for _, branches in chosen.groupby("trunk_ratio"):
        trained = np.maximum.accumulate(branches["start"].to_numpy())
        paid = np.diff(trained, prepend=0.0) + 26_624
        np.testing.assert_allclose(branches["cost"], 6 * SIZES[96] * paid)
    first = offered[(offered["trunk_ratio"].round(2) == 0.15) & (offered["start"] == 65_536)]
    enough = 1.01 * (first["cost"].min() + 6 * SIZES[96] * 26_624)
    assert len(next_runs(fit, first, values, budget=enough, count=3, least_gain=0).chosen) == 2

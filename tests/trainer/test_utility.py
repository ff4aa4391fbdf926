"""The utility of a source: its sign, its interval, and what is compared with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.records import Record
from trainer.spec import RunSpec
from trainer.study import Study, parse_study
from trainer.utility import utilities

SHARES = {"general": 0.5, "code": 0.3, "notes": 0.2}


@pytest.fixture
def study(tmp_path: Path, study_content: dict[str, Any]) -> Study:
    study_content["corpora"]["notes"] = {"text": "general"}
    study_content["grid"].update(ratios=[0.3], seeds=[0, 1])
    study_content["branches"] = [
        {
            "at": [320],
            "tokens": 128,
            "schedule": {"kind": "wsd", "decay_tokens": 128},
            "mixes": [{"start": 0, "shares": SHARES}],
            "leave_one_out": True,
        }
    ]
    return parse_study(study_content, tmp_path)


def finish(out: Path, run: RunSpec, worth: dict[str, float], rng: np.random.Generator, noise: float) -> None:
    """A finished branch whose loss on the domain is 3 nats and more for every source that it lacks."""
    missing = set(SHARES) - {name for mix in run.mixes for name in mix.shares}
    loss = 3.0 + sum(worth[name] for name in missing) + noise * run.seed
    rows = np.random.default_rng(7).normal(0, 0.5, 64)  # of the validation set, alike in all runs
    record = Record(out, run)
    record.start({}, resumed=False)
    record.finish(1.0, {"general": rows + 2.0, "code": loss + rows + rng.normal(0, 0.01, 64)})


def test_a_useful_source_is_missed_and_a_useless_one_is_not(tmp_path: Path, study: Study) -> None:
    rng = np.random.default_rng(0)
    branches = [run for run in study.runs if run.trunk is not None]
    for run in branches:
        finish(tmp_path, run, {"general": 0.02, "code": 0.3, "notes": 0.0}, rng, 0.0)
    table = utilities(study, tmp_path).set_index(["target", "source"])
    assert len(table) == 6
    assert (table["seeds"] == 2).all()
    assert table.loc[("code", "code"), "utility"] == pytest.approx(0.3, abs=0.01)
    assert table.loc[("code", "code"), "se"] < 0.003  # by row: the validation set's own error cancels
    assert table.loc[("code", "code"), "clear"]
    assert not table.loc[("code", "notes"), "clear"]
    assert table.loc[("general", "code"), "utility"] == pytest.approx(0)


def test_seeds_that_disagree_widen_the_interval(tmp_path: Path, study: Study) -> None:
    rng = np.random.default_rng(0)
    for run in study.runs:
        if run.trunk is not None:
            full = set(SHARES) == {name for mix in run.mixes for name in mix.shares}
            finish(tmp_path, run, {"general": 0.0, "code": 0.3, "notes": 0.0}, rng, 0.0 if full else 0.2)
    table = utilities(study, tmp_path).set_index(["target", "source"])
    row = table.loc[("code", "code")]
    assert row["se"] == pytest.approx(0.1, rel=0.1)
    assert row["high"] - row["utility"] == pytest.approx(6.314 * row["se"], rel=1e-3)  # Student's, one degree
    assert not row["clear"]


def test_other_branches_are_no_seeds_and_one_seed_is_not_clear(tmp_path: Path, study_content: dict[str, Any]) -> None:
    study_content["corpora"]["notes"] = {"text": "general"}
    study_content["grid"].update(ratios=[0.3, 0.7], seeds=[0])
    branch = {"at": [320], "tokens": 128, "schedule": {"kind": "wsd", "decay_tokens": 128}, "leave_one_out": True}
    study_content["branches"] = [
        {**branch, "mixes": [{"start": 0, "shares": SHARES}]},
        {**branch, "mixes": [{"start": 0, "shares": {"general": 0.2, "code": 0.3, "notes": 0.5}}]},
    ]
    study = parse_study(study_content, tmp_path)
    rng = np.random.default_rng(0)
    for run in study.runs:
        if run.trunk is not None:
            finish(tmp_path, run, {"general": 0.02, "code": 0.3, "notes": 0.1}, rng, 0.0)
    table = utilities(study, tmp_path)
    assert (table["seeds"] == 1).all()
    assert not table["clear"].any()
    assert len(table) == 2 * 2 * 3 * 2  # trunks, mixes, sources, targets
    assert table.groupby("mix").size().tolist() == [12, 12]


def test_without_finished_branches_there_is_nothing_to_say(tmp_path: Path, study: Study) -> None:
    with pytest.raises(ValueError, match="no finished branches with and without a source"):
        utilities(study, tmp_path)

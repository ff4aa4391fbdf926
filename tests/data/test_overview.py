from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bayescpt.data.findings import Finding, Level
from bayescpt.data.overview import overview
from bayescpt.data.runs import distinct, runs_of
from bayescpt.data.table import Table

Sound = Callable[[], pd.DataFrame]


def findings(frame: pd.DataFrame) -> dict[str, Finding]:
    return {finding.code: finding for finding in overview(Table.from_frame(frame)).findings}


def only(frame: pd.DataFrame, **keep: object) -> pd.DataFrame:
    for column, values in keep.items():
        frame = frame[frame[column].isin(values) | (frame["tokens"] == 0)]
    return frame


def test_counts(sound: Sound) -> None:
    seen = overview(Table.from_frame(sound().assign(note="x")))
    assert (seen.rows, seen.base_losses, seen.runs, seen.bases) == (114, 12, 19, 3)
    assert seen.sizes == (1e7, 4e7, 1.6e8)
    assert seen.ratios == (0.1, 0.5, 0.9)
    assert [(d.name, d.rows, d.runs) for d in seen.domains] == [("code", 60, 10), ("law", 54, 9)]
    assert seen.domains[0].tokens == (5e6, 1e9)
    assert seen.given == ("loss_se", "seed", "flops", "lr", "lr_sum", "lr_anneal", "domain_epochs", "gpu_hours")
    assert seen.unused == ("note",)


def test_a_rich_table_has_little_to_review(sound: Sound) -> None:
    found = findings(sound())
    assert set(found) == {"ratio_range", "shared_validation_error"}
    assert {f.level for f in found.values()} == {Level.INFO}
    assert "0.1 to 0.9" in found["ratio_range"].message


def test_as_dict_is_json(sound: Sound) -> None:
    seen = overview(Table.from_frame(sound()))
    read = json.loads(json.dumps(seen.as_dict(), allow_nan=False))
    assert read["digest"] == seen.digest
    assert read["domains"][1]["name"] == "law"
    assert read["findings"][0] == {**seen.findings[0].as_dict(), "level": "INFO"}


def test_whatever_cannot_be_learned_comes_with_what_would_teach_it(sound: Sound) -> None:
    """Every finding that is not only to be known names a run, rows or a column."""
    frame = sound()
    broken = [
        only(frame, size=[10_000_000]),
        only(frame, size=[10_000_000, 40_000_000]),
        only(frame, ratio=[0.5]),
        only(frame, domain=["code"]),
        frame[(frame["tokens"] != 5_000_000) & (frame["run"] != "018")].query("tokens > 0"),
        frame.drop(index=0),
        frame.assign(lr=frame["lr"].where(frame["run"] != "003", 1e-4)),
        frame.assign(lr=frame["lr"].where((frame["run"] != "003") | (frame["tokens"] != 1_000_000_000), 3e-5)),
        frame.assign(domain_epochs=10 * frame["domain_epochs"]),
        frame.assign(size=frame["size"] / 1e9, tokens=frame["tokens"] / 1e9, base=""),
        frame.drop(columns="lr"),
    ]
    found = [one for table in broken for one in overview(Table.from_frame(table)).findings]
    assert len({one.code for one in found}) >= 15
    for one in found:
        told = one.remedy.startswith(("Train ", "In the next run ", "Write ", "No run is needed", "Evaluate ", "Fit "))
        assert told or one.code in ("repetition", "ratio_range", "shared_validation_error"), one
        assert str(one) == f"{one.code}: {one.message} {one.remedy}".rstrip()
    assert all(one.remedy for one in found if one.level is not Level.INFO)


def test_one_and_two_sizes(sound: Sound) -> None:
    one = findings(only(sound(), size=[10_000_000]))
    assert one["one_size"].level is Level.FAIL
    assert "at least 4x away: of at most 2.5e+06 or at least 4e+07 parameters" in one["one_size"].remedy
    two = findings(only(sound(), size=[10_000_000, 40_000_000]))
    assert two["two_sizes"].level is Level.REVIEW
    assert "one_size" not in two
    assert "prior" in two["two_sizes"].message
    assert "third size: of at most 2.5e+06 or at least 1.6e+08 parameters" in two["two_sizes"].remedy


def test_few_ratios(sound: Sound) -> None:
    one = findings(only(sound(), ratio=[0.5]))
    assert one["few_ratios"].level is Level.FAIL
    assert "runs of it at ratios 0.1 and 0.9" in one["few_ratios"].remedy
    assert "ratio_range" not in one
    frame = sound()
    two = findings(frame[(frame["domain"] == "code") | (frame["ratio"] != 0.9)])
    assert two["few_ratios"].level is Level.REVIEW
    assert "'law' was trained at ratio 0.1 and 0.5 only" in two["few_ratios"].message
    assert "one run of it at ratio 0.9" in two["few_ratios"].remedy


def test_ratios_that_cover_everything_leave_nothing_to_extrapolate(sound: Sound) -> None:
    frame = sound()
    assert "ratio_range" not in findings(frame.assign(ratio=frame["ratio"].replace({0.1: 0.0, 0.9: 1.0})))


def test_ratio_tied_to_size(sound: Sound) -> None:
    frame = sound()
    tied = frame["size"].map({10_000_000: 0.1, 40_000_000: 0.5, 160_000_000: 0.9}) == frame["ratio"]
    found = findings(frame[tied | (frame["tokens"] == 0)])
    assert found["ratio_tied_to_size"].level is Level.REVIEW
    assert "of 1e+07 parameters, which has 0.1, at 0.9" in found["ratio_tied_to_size"].remedy


def test_base_rows_missing(sound: Sound) -> None:
    none = findings(sound().query("tokens > 0"))
    assert none["no_base_rows"].level is Level.FAIL
    assert "--base-loss" in none["no_base_rows"].message
    assert "rows with tokens = 0 for every base, domain and target" in none["no_base_rows"].remedy
    some = findings(sound().drop(index=0))
    assert some["some_base_rows_missing"].level is Level.REVIEW
    assert "'base-10000000' on 'code', general: 12 of 114 rows" in some["some_base_rows_missing"].message


def test_late_checkpoints(sound: Sound) -> None:
    frame = sound()
    found = findings(frame[~((frame["tokens"] == 5_000_000) & (frame["run"] > "009"))])
    assert found["late_checkpoints"].level is Level.REVIEW
    assert found["late_checkpoints"].message.startswith("9 of 19 runs")
    assert "0.5%" in found["late_checkpoints"].message


def test_no_repeated_seeds(sound: Sound) -> None:
    once = findings(sound().query("run != '018'"))["no_repeated_seeds"]
    assert once.level is Level.REVIEW
    assert "'000' is the cheapest" in once.remedy
    same_seed = sound()
    same_seed["seed"] = same_seed["seed"].where(same_seed["seed"].isna(), 0)
    assert "no_repeated_seeds" in findings(same_seed)
    assert "no_repeated_seeds" not in findings(sound().drop(columns="seed"))
    other_lr = sound()
    other_lr.loc[other_lr["run"] == "018", "lr"] = 1e-4
    assert "no_repeated_seeds" in findings(other_lr)


def test_learning_rates(sound: Sound) -> None:
    assert findings(sound().drop(columns="lr"))["lr_unknown"].level is Level.INFO
    peak = sound()
    peak.loc[peak["run"] == "003", "lr"] = 1e-4
    assert set(findings(peak)) - set(findings(sound())) == {"lr_differs"}
    decay = sound()
    decay.loc[(decay["run"] == "003") & (decay["tokens"] == 1_000_000_000), "lr"] = 3e-5
    assert set(findings(decay)) - set(findings(sound())) == {"schedule_differs"}
    assert "10% to 100%" in findings(decay)["schedule_differs"].message
    frozen = sound()
    frozen.loc[frozen["lr"].notna(), "lr"] = 0.0
    assert set(findings(frozen)) == set(findings(sound()))


def test_repetition(sound: Sound) -> None:
    frame = sound()
    frame.loc[frame["ratio"] == 0.9, "domain_epochs"] *= 5
    assert findings(frame)["repetition"].level is Level.REVIEW
    assert "6 of 19 runs" in findings(frame)["repetition"].message
    assert "up to 4.5" in findings(frame)["repetition"].message


def test_standard_errors(sound: Sound) -> None:
    assert "shared_validation_error" not in findings(sound().drop(columns="loss_se"))


def test_one_domain_and_one_without_runs(sound: Sound) -> None:
    frame = sound()
    found = findings(frame[frame["domain"] == "code"])
    assert found["one_domain"].level is Level.REVIEW
    assert "untrained_domain" not in found
    found = findings(only(frame, domain=["code"]))
    assert {"one_domain", "untrained_domain"} <= set(found)
    assert "'law'" in found["untrained_domain"].message


def test_units(sound: Sound) -> None:
    frame = sound()
    found = findings(frame.assign(size=frame["size"] / 1e9, tokens=frame["tokens"] / 1e9, base=""))
    assert found["suspect_units"].level is Level.REVIEW


def test_an_empty_selection_is_refused(sound: Sound) -> None:
    table = Table.from_frame(sound())
    with pytest.raises(ValueError, match="training rows"):
        overview(table.select(np.zeros(len(table), dtype=bool)))


def test_overview_of_a_selection_counts_what_it_has(sound: Sound) -> None:
    table = Table.from_frame(sound())
    part = table.select(table.domain == 1)
    assert overview(part).runs == 9
    assert [run.name for run in runs_of(part)] == [f"{i:03d}" for i in range(9, 18)]


def test_distinct_values() -> None:
    assert distinct([0.5, 0.1, 0.105, 0.52], within=0.01) == (0.1, 0.5, 0.52)
    assert distinct([], within=0.01) == ()


def test_losses_that_are_none_and_counts_that_nobody_has(sound: Sound) -> None:
    frame = sound()
    assert "suspect_units" not in findings(frame)
    perplexed = frame.assign(loss=np.exp(frame["loss"]))
    said = findings(perplexed)["suspect_units"]
    assert said.level is Level.REVIEW
    assert "have a loss above 15" in said.message
    assert "perplexity?" in said.message
    assert "a tokens above 1e+17" in findings(frame.assign(tokens=frame["tokens"] * 1e10))["suspect_units"].message


def test_names_that_look_the_same(sound: Sound) -> None:
    frame = sound()
    assert "similar_names" not in findings(frame)
    for law in ("Code", "co\N{FULLWIDTH LATIN SMALL LETTER D}e"):
        said = findings(frame.assign(domain=frame["domain"].replace("law", law)))["similar_names"]
        assert said.level is Level.REVIEW
        assert "'code'" in said.message
        assert ascii(law) in said.message


def test_single_losses_that_stick_out(sound: Sound) -> None:
    frame = sound()
    of_run = frame.sort_values("tokens").groupby(["run", "target"]).cumcount()
    counts = frame.groupby(["run", "target"])["tokens"].transform("size")
    middle = frame.index[(of_run == 1) & (counts == 3)][[0, 5]]
    at, below = (frame.loc[row] for row in middle)
    frame.loc[middle, "loss"] *= [1.5, 0.7]
    said = findings(frame)["outlying_rows"]
    assert said.level is Level.REVIEW
    for row, loss in ((at, 1.5 * at["loss"]), (below, 0.7 * below["loss"])):
        assert f"'{row['run']}' at {row['tokens']:.4g} tokens, {row['target']} loss {loss:.4g} (" in said.message
    assert said.message.count("%") == 2
    # the last row of a run has one neighbour, and a noisy table sticks out everywhere
    last = sound()
    last.loc[last.index[(of_run == 2) & (counts == 3)][0], "loss"] *= 1.5
    assert "outlying_rows" not in findings(last)
    noisy = sound()
    noisy["loss"] *= np.exp(0.2 * np.random.default_rng(0).standard_normal(len(noisy)))
    start = noisy["tokens"] == 0
    noisy.loc[start, "loss"] = sound().loc[start, "loss"]
    assert "outlying_rows" not in findings(noisy)

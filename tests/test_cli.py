"""The command line, in process wherever the process itself is not what is tested."""

from __future__ import annotations

import gzip
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from bayescpt.ask import critical_ratio, ratio_under_budget, ratio_under_limited_data, summarise, summary
from bayescpt.cli import app
from bayescpt.data import Table
from bayescpt.fit import Check, Fit, prior_fit
from bayescpt.schema import TARGETS

KEYS = ["domain", "size", "tokens", "tolerance", "mean", "q05", "q50", "q95", "p_none", "p_all"]
FAILED = (Check("r_hat", False, "1.2 at beta; wanted below 1.01"), Check("divergences", True, "none"))
HERE = Path(__file__).parent.parent


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answer(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refusal(*arguments: object, status: int = 2) -> dict[str, Any]:
    """The error of a command that must fail: JSON and nothing else on stdout, words on stderr."""
    result = run(*arguments, "--json")
    assert result.exit_code == status, result.output
    told = json.loads(result.stdout)
    assert set(told) == {"error", "message", "faults"}
    assert told["message"].splitlines()[0] in result.stderr
    return told


def rows() -> pd.DataFrame:
    """Two domains, two bases, three ratios, two checkpoints."""
    found = []
    for domain, size in (("code", 1e5), ("code", 4e5), ("law", 1e5), ("law", 4e5)):
        for ratio, tokens in ((0.0, 0.0), *((r, t) for r in (0.1, 0.5, 0.9) for t in (5e3, 2e5))):
            for target in TARGETS:
                share = ratio if target == "domain" else 1 - ratio
                start = (3.0 if target == "general" else 4.5) - size / 4e6
                loss = start + (0 if tokens == 0 else (0.2 - 0.5 * share) * math.log1p(tokens / 2e4))
                name = f"{domain}-{size:g}-{ratio if tokens else 'base'}"
                found.append((name, domain, size, ratio, tokens, target, loss))
    return pd.DataFrame(found, columns=["run", "domain", "size", "ratio", "tokens", "target", "loss"])


POINTS = pd.DataFrame(
    [("code", 1e5, 0.5, 2e5, "general"), ("law", 4e5, 0.25, 2e5, "domain"), ("art", 8e5, 0.25, 2e6, "domain")],
    columns=["domain", "size", "ratio", "tokens", "target"],
)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "rows.csv"
    rows().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def prior(study: Path) -> Fit:
    return prior_fit(Table.read(study), "memory", seed=5, draws=40)


@pytest.fixture(scope="session")
def good(prior: Fit, study: Path) -> Path:
    path = study.with_name("good.nc")
    prior.save(path)
    return path


@pytest.fixture(scope="session")
def bad(prior: Fit, study: Path) -> Path:
    path = study.with_name("bad.nc")
    replace(prior, checks=FAILED).save(path)
    return path


@pytest.fixture
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    POINTS.to_csv(path, index=False)
    return path


@pytest.fixture(autouse=True)
def flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fit` sets XLA_FLAGS for its process, which is this one: put it back."""
    monkeypatch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))


# ---- malformed command lines


def test_usage_errors_are_json_too_and_exit_2() -> None:
    told = refusal("cmr", "fit.nc", "--domain", "code", "--size", "1M")
    assert "--tokens" in told["message"]
    assert told["faults"][0]["code"] == "usage"
    assert "No such command" in refusal("nonsense")["message"]
    plain = run("cmr", "fit.nc")
    assert (plain.exit_code, plain.stdout) == (2, "")
    assert "Missing option" in plain.stderr


# ---- check


def test_check(study: Path) -> None:
    told = answer("check", study)
    assert (told["rows"], told["runs"], told["base_losses"]) == (48, 12, 8)
    assert {finding["code"] for finding in told["findings"]} >= {"two_sizes", "ratio_range"}
    text = run("check", study)
    assert text.exit_code == 0
    assert "48 rows of 12 runs" in text.stdout
    assert "REVIEW two_sizes: " in text.stdout
    assert "Train one run at a third size: of at most 2.5e+04 or at least 1.6e+06 parameters." in text.stdout
    assert "code" in text.stdout


def test_check_names_every_fault_with_its_rows(tmp_path: Path) -> None:
    frame = rows()
    frame.loc[3, "loss"] = -1.0
    frame.loc[[5, 7], "target"] = "dom[ain]"
    path = tmp_path / "broken.csv"
    frame.to_csv(path, index=False)
    told = refusal("check", path)
    assert told["error"] == "unusable_input"
    assert {(f["code"], f["column"], tuple(f["rows"])) for f in told["faults"]} >= {
        ("out_of_bounds", "loss", (4,)),
        ("unknown_target", "target", (6, 8)),
    }
    text = run("check", path)
    assert (text.exit_code, text.stdout) == (2, "")
    assert "row 4" in text.stderr
    assert "rows 6, 8" in text.stderr


def test_check_without_a_file(tmp_path: Path) -> None:
    assert refusal("check", tmp_path / "none.csv")["faults"][0]["code"] == "file_missing"


def test_markup_in_names_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows().replace({"domain": {"code": "[red]code[/]"}}).to_csv(path, index=False)
    assert "[red]code[/]" in run("check", path).stdout


# ---- answers


def test_cmr_is_the_librarys(good: Path, prior: Fit) -> None:
    told = answer("cmr", good, "--domain", "code", "--size", "0.4M", "--tokens", "200k")
    assert list(told) == KEYS
    assert told == summary(critical_ratio(prior, "code", 4e5, 2e5))
    options = ("--tolerance", 0.2, "--multiplier", 10, "--base-loss", 2.5)
    told = answer("cmr", good, "--domain", "law", "--size", "4e5", "--tokens", "2e5", *options)
    assert told == summary(critical_ratio(prior, "law", 4e5, 2e5, 0.2, 10.0, 2.5))


def test_every_answer_from_a_normal_approximation_says_so(prior: Fit, tmp_path: Path, points: Path) -> None:
    path = tmp_path / "laplace.nc"
    replace(prior, method="laplace").save(path)
    place = ("--domain", "code", "--size", "0.4M", "--tokens", "200k")
    for asked in (("cmr", path, *place), ("ratio", path, *place, "--max-forgetting", "0.1")):
        told = run(*asked, "--json")
        assert "a normal approximation at the mode" in told.stderr
        assert json.loads(told.stdout)["method"] == "laplace"
    assert "a normal approximation at the mode" in run("predict", path, "--at", points, "--json").stderr


def test_ratio_is_the_librarys(good: Path, prior: Fit) -> None:
    place = ("--domain", "code", "--size", "400k", "--tokens", "200k")
    told = answer("ratio", good, *place, "--max-forgetting", "0.1")
    assert told == summary(ratio_under_budget(prior, "code", 4e5, 2e5, 0.1))
    told = answer("ratio", good, *place, "--max-forgetting", "3%", "--base-loss", 2.5)
    relative = summary(ratio_under_budget(prior, "code", 4e5, 2e5, 0.03, True, 2.5))
    assert told == relative | {"relative": True}


@pytest.fixture(scope="session")
def repeated(study: Path) -> Fit:
    frame = rows()
    told = frame.assign(domain_epochs=frame["ratio"] * frame["tokens"] / 2e4)
    return prior_fit(Table.from_frame(told), "repeated", seed=6, draws=40)


def test_ratio_under_limited_domain_data_is_the_librarys(good: Path, prior: Fit, repeated: Fit, tmp_path: Path) -> None:
    place = ("--domain", "code", "--size", "400k", "--domain-tokens", "50k")
    told = answer("ratio", good, *place)
    expected = summary(ratio_under_limited_data(prior, "code", 4e5, 5e4))
    assert {key: told[key] for key in expected} == expected
    assert told["tokens"] is None
    # a run in which 50k domain tokens are so small a share is longer than the table's longest
    longest = 5e4 / told["q05"] / 2e5
    assert told.get("extrapolation") == ({"tokens": longest} if longest > 1 else None)
    path = tmp_path / "repeated.nc"
    repeated.save(path)
    told = answer("ratio", path, *place, "--tokens", "200k")
    assert told == summary(ratio_under_limited_data(repeated, "code", 4e5, 5e4, 2e5))
    text = run("ratio", path, *place, "--tokens", "200k").stdout
    assert "code, size 400,000, tokens 200,000, 50,000 domain tokens" in text
    assert f"probability that all of the run is best domain data {told['p_all']:.3f}" in text
    assert "50,000 domain tokens, each read once" in run("ratio", path, *place).stdout
    assert "'memory' does not know" in refusal("ratio", good, *place, "--tokens", "200k")["message"]


def test_ratio_takes_exactly_one_question(good: Path) -> None:
    place = ("--domain", "code", "--size", "400k")
    both = ("--max-forgetting", "0.1", "--domain-tokens", "50k")
    assert "exactly one of" in refusal("ratio", good, *place, "--tokens", "200k")["message"]
    assert (
        "got --max-forgetting and --domain-tokens"
        in refusal("ratio", good, *place, "--tokens", "200k", *both)["message"]
    )
    assert "state its --tokens" in refusal("ratio", good, *place, "--max-forgetting", "0.1")["message"]
    assert "--base-loss is the general" in refusal("ratio", good, *place, *both[2:], "--base-loss", 2.5)["message"]
    told = refusal("ratio", good, "--domain", "code", "--size", "big", "--domain-tokens", "few", "--tokens", "0")
    assert [fault["message"].split(":")[0] for fault in told["faults"]] == ["--size", "--tokens", "--domain-tokens"]


def test_answers_in_words(good: Path) -> None:
    place = ("--domain", "code", "--size", "400k", "--tokens", "200k")
    text = run("ratio", good, *place, "--max-forgetting", "3%")
    assert text.exit_code == 0
    assert text.stderr == ""
    assert "code, size 400,000, tokens 200,000, within 3% of the base's loss" in text.stdout
    assert "90% interval" in text.stdout
    assert "within 0.05 nats" in run("cmr", good, *place).stdout


def test_what_lies_beyond_the_table_is_said(good: Path) -> None:
    result = run("cmr", good, "--domain", "art", "--size", "4M", "--tokens", "4M", "--json")
    told = json.loads(result.stdout)
    assert list(told) == [*KEYS, "extrapolation", "new_domain"]
    assert told["extrapolation"] == {"size": 10, "tokens": 20}
    assert told["new_domain"] is True
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == [" extrapolation", " new domain"]


def test_every_fault_of_a_question_is_named_at_once(tmp_path: Path) -> None:
    missing = tmp_path / "none.nc"
    place = ("--domain", "code", "--size", "big", "--tokens", "0")
    told = refusal("cmr", missing, *place, "--tolerance", "-1", "--multiplier", "0", "--base-loss", "nan")
    for part in ("--size", "--tokens", "--tolerance", "--multiplier", "--base-loss", "no fit at"):
        assert sum(part in fault["message"] for fault in told["faults"]) == 1
    assert len(told["faults"]) == 6
    told = refusal("ratio", missing, *place, "--max-forgetting", "much")
    assert len(told["faults"]) == 4


def test_a_fit_that_failed_answers_only_for_a_reason(bad: Path, good: Path, points: Path) -> None:
    place = ("--domain", "code", "--size", "400k", "--tokens", "200k")
    for question in (
        ("cmr", bad, *place),
        ("ratio", bad, *place, "--max-forgetting", 0.1),
        ("predict", bad, "--at", points),
    ):
        told = refusal(*question)
        assert [fault["code"] for fault in told["faults"]] == ["unreliable_fit"]
        assert "r_hat: 1.2 at beta" in told["message"]
        assert "--accept REASON" in told["message"]
        assert "given" in refusal(*question, "--accept", " ")["message"]
    result = run("cmr", bad, *place, "--accept", "only a look", "--json")
    assert json.loads(result.stdout)["accepted"] == "only a look"
    assert "accepted: only a look" in result.stderr
    told = answer("cmr", good, *place, "--accept", "needless")
    assert "accepted" not in told
    assert {r["accepted"] for r in answer("predict", bad, "--at", points, "--accept", "why")} == {"why"}


# ---- predict


def test_predict_writes_what_the_library_answers(good: Path, prior: Fit, points: Path, tmp_path: Path) -> None:
    expected = summarise(prior, POINTS)
    for name in ("out.csv", "out.csv.gz", "out.parquet"):
        result = run("predict", good, "--at", points, "-o", tmp_path / name)
        assert (result.exit_code, result.stdout) == (0, ""), result.output
        assert "3 points written" in result.stderr
        read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
        pd.testing.assert_frame_equal(read(tmp_path / name), expected, check_dtype=False, rtol=1e-12)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.csv.gz", "out.parquet", "points.csv"]
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == (tmp_path / "out.csv").read_bytes()


def test_predict_as_records(good: Path, prior: Fit, tmp_path: Path) -> None:
    path = tmp_path / "points.parquet"
    POINTS.assign(note=["x", None, "y"]).to_parquet(path)
    told = answer("predict", good, "--at", path)
    extra = [record.pop(key, None) for record in told for key in ("extrapolation", "new_domain", "note")]
    assert extra == [None, None, "x", None, None, None, {"size": 2, "tokens": 10}, True, "y"]
    assert told == summarise(prior, POINTS).to_dict("records")


def test_predict_as_a_table(good: Path, prior: Fit, points: Path) -> None:
    result = run("predict", good, "--at", points)
    lines = result.stdout.splitlines()
    assert lines[0].split() == list(summarise(prior, POINTS).columns)
    assert lines[1].split()[:5] == ["code", "100,000", "0.5", "200,000", "general"]
    assert f"{summarise(prior, POINTS)['pred_q95'][0]:.4f}" in lines[1]


def test_predict_names_every_fault(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    POINTS.assign(ratio=[0.5, 2, 0.5], target="both", domain=["code", "", "law"], mean=1).to_csv(path, index=False)
    told = refusal("predict", good, "--at", path, "-o", tmp_path / "no" / "out.csv")
    for part in (
        "ratio must be a number within [0, 1]: row 2",
        "target must be",
        "a name: row 2",
        "(mean)",
        "no folder",
    ):
        assert part in told["message"]
    (tmp_path / "empty.csv").write_text("domain,size,ratio,tokens,target\n")
    assert "at least one row" in refusal("predict", good, "--at", tmp_path / "empty.csv")["message"]
    assert "ending in" in refusal("predict", good, "--at", path, "-o", tmp_path / "out.xlsx")["message"]


def test_predict_overwrites_no_input(good: Path, points: Path) -> None:
    before = points.read_bytes()
    assert "overwrite the input" in refusal("predict", good, "--at", points, "-o", points)["message"]
    assert points.read_bytes() == before


# ---- fit


def test_fit_refuses_before_it_samples(study: Path, tmp_path: Path) -> None:
    settings = ("--law", "chinchila", "--chains", 0, "--draws", 3, "--warmup", 0, "--target-accept", 1, "--seed", -1)
    told = refusal("fit", study, "-o", tmp_path / "no" / "fit.nc", *settings)
    for part in ("no folder", "no law", "--chains", "--draws", "--warmup", "--target-accept", "--seed"):
        assert sum(part in fault["message"] for fault in told["faults"]) == 1
    assert "overwrite the input" in refusal("fit", study, "-o", study)["message"]
    assert "is a folder" in refusal("fit", study, "-o", tmp_path)["message"]
    assert "no such" not in refusal("fit", tmp_path / "none.csv", "-o", tmp_path / "fit.nc")["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_fit_from_rows_to_answers(study: Path, prior: Fit, tmp_path: Path) -> None:
    path, kept = tmp_path / "fit.nc", tmp_path / "fit.before.nc"
    replace(prior, checks=FAILED[1:]).save(path)
    standing = path.read_bytes()
    options = ["--chains", "2", "--warmup", "25", "--draws", "25", "--seed", "1", "--json"]
    command = [sys.executable, "-m", "bayescpt", "fit", str(study), "-o", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert not told["passed"]
    assert {c["name"]: c["passed"] for c in told["checks"]}["ess_bulk"] is False  # 50 draws cannot reach 400
    assert (told["rows"], told["domains"], told["digest"]) == (48, ["code", "law"], Table.read(study).digest)
    before, _ = done.stderr.split("sampling 2 x (25 + 25) draws of the memory law on 48 rows")
    assert [line.split(":")[0] for line in before.splitlines()] == [
        f"REVIEW {code}" for code in ("two_sizes", "late_checkpoints", "no_repeated_seeds")
    ]
    assert {one["code"] for one in told["findings"]} >= {"two_sizes", "ratio_range"}
    assert {"target", "name", "domains", "contraction", "carriers", "run"} <= set(told["ridges"][0])
    assert "ess_bulk" in done.stderr
    assert "--accept REASON" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.before.nc", "fit.nc"]
    assert kept.read_bytes() == standing
    assert f"passed its checks and is kept as {kept}" in done.stderr

    place = ("--domain", "code", "--size", "400k", "--tokens", "200k")
    assert refusal("cmr", path, *place)["faults"][0]["code"] == "unreliable_fit"
    answered = answer("cmr", path, *place, "--accept", "a test")
    assert 0 <= answered["q05"] <= answered["q50"] <= answered["q95"] <= 1
    assert answered["accepted"] == "a test"

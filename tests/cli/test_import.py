"""``bayescpt import``: flags and files of sources, what it says and writes, and that bad input leaves files alone."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Run = Callable[..., Any]
FLAGS = (
    "--set",
    "run=a",
    "--set",
    "domain=law",
    "--set",
    "size=1.5B",
    "--set",
    "ratio=0.25",
    "--tokens-per-step",
    "2M",
)
ENTRIES = [
    {"eval_general_loss": 2.1, "step": 0},
    {"eval_law_loss": 2.9, "step": 0},
    {"eval_general_loss": 2.2, "step": 100},
    {"eval_law_loss": 2.5, "step": 100},
]
DOCS = Path(__file__).parents[2] / "docs" / "import.md"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": ENTRIES}))
    return path


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.csv.gz"])
def test_what_it_writes_passes_the_check(state: Path, tmp_path: Path, run: Run, answer: Run, name: str) -> None:
    out = tmp_path / name
    result = run("import", state, "-o", out, *FLAGS)
    assert result.exit_code == 0, result.output
    assert f"{out}: 2 rows of 1 runs in law, 2 base losses" in result.stdout
    assert result.stderr == ""
    seen = answer("check", out)
    assert (seen["rows"], seen["base_losses"], seen["sizes"], seen["ratios"]) == (2, 2, [1.5e9], [0.25])
    assert seen["domains"][0]["tokens"] == [2e8, 2e8]


def test_json_tells_what_was_written(state: Path, tmp_path: Path, answer: Run) -> None:
    state.write_text(json.dumps({"log_history": [*ENTRIES, {"eval_law_loss": 2.4, "step": 100}]}))
    told = answer("import", state, "-o", tmp_path / "rows.csv", *FLAGS)
    assert set(told) == {"out", "rows", "runs", "domains", "base_losses", "digest", "notes"}
    assert told["digest"] == answer("check", tmp_path / "rows.csv")["digest"]
    assert "1 loss logged again" in told["notes"][0]


def test_every_flag_reaches_the_importer(tmp_path: Path, run: Run) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "it,who,lm,law,lm_se,law_se,rate\n10,a,8,16,0.4,1.6,1e-4\n10,a,8,32,0.4,1.6,1e-4\n10,b,1,x,,,\n20,a,nan,16,0,1.6,1e-4\n"
    )
    flags = ["--from", "csv", "--set", "run=a", "--set", "domain=law", "--set", "size=10M", "--set", "ratio=0.5"]
    flags += ["--column", "lr=rate", "--target", "general=lm", "--target", "domain=law", "--where", "who=a"]
    flags += ["--loss-se", "general=lm_se", "--loss-se", "domain=law_se", "--step", "it", "--tokens-per-step", "1k"]
    flags += ["--base-step", "5", "--base-loss", "general=4", "--keep-last", "--skip-not-finite"]
    result = run("import", log, "-o", tmp_path / "rows.csv", *flags, "--unit", "perplexity")
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(tmp_path / "rows.csv")
    assert frame["tokens"].tolist() == [0, 5000, 5000, 15_000]
    assert frame["loss"].round(4).tolist() == [1.3863, 2.0794, 3.4657, 2.7726]
    assert frame["loss_se"].round(4).tolist()[1:] == [0.05, 0.05, 0.1]
    assert "warning: " in result.stderr
    for per_byte, status in ((("0.5",), 0), (("general=0.5", "domain=0.25"), 0), (("domain=0.5",), 2)):
        more = [part for one in per_byte for part in ("--tokens-per-byte", one)]
        result = run("import", log, "-o", tmp_path / "rows.csv", *flags, "--unit", "bits_per_byte", *more)
        assert result.exit_code == status, result.output


def test_pieces_of_one_log_and_files_of_sources(state: Path, tmp_path: Path, run: Run, answer: Run) -> None:
    later = tmp_path / "later.json"
    later.write_text(json.dumps({"log_history": [{"eval_law_loss": 2.4, "step": 100}]}))
    told = answer("import", state, later, "-o", tmp_path / "rows.csv", *FLAGS)
    assert pd.read_csv(tmp_path / "rows.csv")["loss"].tolist() == [2.1, 2.9, 2.2, 2.4]
    assert "later.json, entry 1 (step 100)" in told["notes"][0]
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: [{path: trainer_state.json, run: b, ratio: 0.5}]")
    told = answer("import", sources, "-o", tmp_path / "all.csv", *FLAGS)
    assert pd.read_csv(tmp_path / "all.csv")["ratio"].tolist() == [0.5] * 4  # flags only fill up
    result = run("import", sources, "-o", state, *FLAGS)
    assert result.exit_code == 2


def test_bad_input_leaves_the_output_alone(state: Path, tmp_path: Path, run: Run, answer: Run) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("before")
    state.write_text(json.dumps({"log_history": [*ENTRIES, {"eval_law_loss": float("nan"), "step": 200}]}))
    told = answer("import", state, "-o", out, *FLAGS, status=2)
    (fault,) = told["faults"]
    assert (fault["code"], fault["column"]) == ("not_finite", "loss")
    assert "eval_law_loss is nan: entry 5 (step 200)" in fault["message"]
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "trainer_state.json"]
    told = answer("import", state, "-o", tmp_path / "rows.txt", "--set", "run", "--target", "general=", status=2)
    assert [fault["code"] for fault in told["faults"]] == ["unusable_input", "usage", "usage"]
    told = answer("import", state, "-o", out, "--set", "run=a", "--set", "run=b", status=2)
    assert "--set: run is given twice" in told["message"]
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: [{path: rows.csv}]")
    assert "it would overwrite the input" in answer("import", sources, "-o", out, status=2)["message"]
    assert out.read_text() == "before"


def test_what_is_missing_is_asked_for_all_at_once(state: Path, tmp_path: Path, run: Run) -> None:
    result = run("import", state, "-o", tmp_path / "rows.csv")
    assert result.exit_code == 2
    for name in ("tokens", "run", "domain", "size", "ratio"):
        assert f"no {name}: " in result.stderr


def test_the_examples_of_the_docs_work(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of docs/import.md: files under their names, then the commands that read them."""
    text = DOCS.read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    for name, content in re.findall(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```", text, re.DOTALL):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    commands = re.findall(r"<!-- run -->\n```\n(.*?)```", text, re.DOTALL)
    assert len(commands) >= 3
    scripts = re.findall(r"<!-- run -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(scripts) == 1
    for block in commands:
        for line in block.replace("\\\n", " ").splitlines():
            result = run(*shlex.split(line, comments=True)[1:])
            assert result.exit_code == 0, f"{line}\n{result.output}"
    for script in scripts:
        exec(compile(script, str(DOCS), "exec"), {})

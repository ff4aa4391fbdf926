"""The studies and recipes in examples/ are what the trainer takes; they are trained by hand, not by the tests."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.test_checkpoint_base import write_checkpoint
from trainer.blends import read_blend
from trainer.study import read_study

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDIES = [path for path in sorted(EXAMPLES.rglob("*.yaml")) if path.name != "space.yaml"]
"""All but what `bayescpt next` reads."""


def synthesise(out: Path, documents: int) -> None:
    command = [sys.executable, str(EXAMPLES / "recipes" / "synthesise.py"), "--out", str(out)]
    subprocess.run([*command, "--documents", str(documents)], check=True, capture_output=True)


def test_the_study_in_the_documentation_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (EXAMPLES.parent / "docs" / "trainer.md").read_text("utf-8")
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "BLEND" not in block]
    assert len(blocks) == 3
    monkeypatch.setenv("DATA", str(tmp_path))
    files = ("general/a.jsonl", "law/a.parquet", "notes/a.txt", "general-held-out.jsonl")
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "RUNS.yaml").write_text("".join(blocks), "utf-8")
    study = read_study(tmp_path / "RUNS.yaml")
    assert len(study.runs) == 21 + 2 * 3  # listed and grid; two branches, each with both sources and without either
    blend = re.search(r"```yaml\n(# BLEND.*?)```", text, re.DOTALL)
    assert blend is not None
    (tmp_path / "BLEND.yaml").write_text(blend[1], "utf-8")
    assert read_blend(tmp_path / "BLEND.yaml").tokens == 20_000_000_000


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_example_is_a_study_of_more_than_one_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = path.read_text("utf-8")
    # where text is that does not come with the packages
    for name in re.findall(r"\{CORPORA\}/([^\"]+)", content):
        file = tmp_path / "corpora" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(file, "wt", encoding="utf-8") as stream:
            stream.write('{"text": "a"}\n')
    monkeypatch.setenv("CORPORA", str(tmp_path / "corpora"))
    if "CHECKPOINT" in content:
        monkeypatch.setenv("CHECKPOINT", str(write_checkpoint(tmp_path / "llama", "LlamaConfig", positions=2048)))
        for name in ("GENERAL", "DOMAIN"):
            (tmp_path / f"{name}.jsonl").write_text('{"text": "a"}\n', "utf-8")
            monkeypatch.setenv(name, str(tmp_path / f"{name}.jsonl"))
    synthesise(tmp_path / "recipes" / "synthetic", 2)
    copy = tmp_path / "examples" / path.relative_to(EXAMPLES)
    copy.parent.mkdir(parents=True)
    shutil.copy(path, copy)
    assert len(read_study(copy).specs) > 1
    told = re.findall(r"examples/\S+\.yaml", content)
    assert all(name == f"examples/{path.relative_to(EXAMPLES)}" for name in told)


def test_answers_of_the_synthetic_source_are_true_and_the_same_every_time(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        synthesise(tmp_path / name, 20)
        with gzip.open(tmp_path / name / "qa.jsonl.gz", "rt", encoding="utf-8") as file:
            texts.append([json.loads(line)["text"] for line in file])
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 20
    pairs = re.findall(r"Question: .*?`(.*)`.*\nAnswer: `(.*)`", "\n".join(texts[0]))
    assert len(pairs) == 160
    for expression, answer in random.Random(0).sample(pairs, 40):
        assert repr(eval(expression)) == answer

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

GENERAL_WORDS = ["the", "river", "ran", "along", "a", "quiet", "road", "and", "people", "walked", "there"]
DOMAIN_WORDS = ["def", "return", "self", "lambda", "yield", "assert", "import", "class", "while", "None"]


def write_documents(folder: Path, words: list[str], count: int, seed: int) -> None:
    """Documents of random words, one file each."""
    folder.mkdir()
    draw = random.Random(seed)
    for i in range(count):
        (folder / f"{i:03}.txt").write_text(" ".join(draw.choices(words, k=120)) + f" {i}.\n", "utf-8")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    # As in a sweep: threads of tiny models wait for one another longer than they compute.
    torch.set_num_threads(1)


@pytest.fixture
def study_content(tmp_path: Path) -> dict[str, Any]:
    """A complete study over two tiny corpora in tmp_path, as the YAML would hold it."""
    write_documents(tmp_path / "general", GENERAL_WORDS, 40, 0)
    write_documents(tmp_path / "code", DOMAIN_WORDS, 40, 1)
    return {
        "corpora": {"general": {"text": "general"}, "code": {"text": "code"}},
        "general": "general",
        "tokenizer": {"vocab": 280, "corpora": ["general", "code"]},
        "length": 16,
        "validation_share": 0.25,
        "base": {
            "batch": 4,
            "lr": 3e-3,
            "schedule": {"kind": "cosine", "warmup_tokens": 64},
            "evaluations": 2,
            "first_evaluation": 64,
            "validation_rows": 8,
        },
        "bases": [{"size": 32, "tokens": 640}],
        "run": {
            "tokens": 640,
            "batch": 4,
            "lr": 1e-3,
            "schedule": {"kind": "constant", "warmup_tokens": 64},
            "evaluations": 4,
            "first_evaluation": 64,
            "validation_rows": 8,
        },
        "grid": {"sizes": [32], "domains": ["code"], "ratios": [0, 0.3, 1]},
    }


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes content as RUNS.yaml into tmp_path."""

    def write(content: dict[str, Any]) -> Path:
        path = tmp_path / "RUNS.yaml"
        path.write_text(yaml.safe_dump(content), "utf-8")
        return path

    return write

"""A study continues a checkpoint of others: its tokenizer, its weights, and a checkpoint of the usual kind out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import transformers

from trainer.evaluate import evaluate
from trainer.execute import execute
from trainer.prepare import VALIDATION, open_rows, open_tokenizer, prepare
from trainer.records import FINISHED, Record
from trainer.spec import RunSpec
from trainer.study import Study, parse_study
from trainer.tokenizer import END_OF_TEXT, train_tokenizer

SHAPE = {
    "vocab_size": 288,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def write_checkpoint(folder: Path, family: str, seed: int = 1, positions: int = 32) -> Path:
    """A checkpoint with random weights, written by the library itself, and a byte-level tokenizer."""
    torch.manual_seed(seed)
    config = getattr(transformers, family)(**SHAPE, num_key_value_heads=2, max_position_embeddings=positions)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    train_tokenizer([f"river road people walked {i} def return self lambda" for i in range(99)], 280).save(
        folder / "tokenizer.json"
    )
    about = {"eos_token": END_OF_TEXT, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), "utf-8")
    return folder


@pytest.fixture
def content(study_content: dict[str, Any]) -> dict[str, Any]:
    study_content["tokenizer"] = {"checkpoint": "their"}
    study_content["bases"] = [{"name": "their", "checkpoint": "their"}]
    del study_content["base"]
    study_content["run"]["save"] = True
    study_content["grid"] = {"sizes": ["their"], "domains": ["code"], "ratios": [0.5]}
    return study_content


def trained(content: dict[str, Any], folder: Path) -> tuple[Study, RunSpec, Path]:
    study = parse_study(content, folder)
    out = folder / "out"
    prepare(study.data, out, study.corpora, lambda _: None)
    [run] = study.runs
    execute(run, study.data, out)
    return study, run, out


@pytest.mark.parametrize("family", ["LlamaConfig", "Qwen2Config"])
def test_a_checkpoint_is_continued_and_written_back(tmp_path: Path, content: dict[str, Any], family: str) -> None:
    write_checkpoint(tmp_path / "their", family)
    study, run, out = trained(content, tmp_path)
    record = Record(out, run)
    assert record.status() == FINISHED
    assert study.bases == ()  # there is nothing to train before
    rows = pd.read_parquet(record.folder / "rows.parquet")
    assert rows["size"].unique().tolist() == [run.base.size.non_embedding]
    start, end = (rows[rows["tokens"] == t].set_index("target")["loss"] for t in (0, 640))
    assert end["domain"] < start["domain"] - 0.05

    tokenizer = open_tokenizer(study.data, out)
    held_out = open_rows(study.data, out, "code", VALIDATION, tokenizer)
    count = held_out.header.rows
    tokens = torch.from_numpy(held_out.rows([i * count // 8 for i in range(8)]))
    for folder, expected in ((tmp_path / "their", start), (record.model, end)):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

        def logits(batch: torch.Tensor, model: Any = model) -> torch.Tensor:
            found: torch.Tensor = model(batch).logits
            return found

        plain = torch.nn.Module()
        plain.forward = logits  # type: ignore[method-assign]
        assert evaluate(plain, tokens).mean == pytest.approx(expected["domain"], abs=1e-6)
    assert (record.model / "tokenizer.json").read_bytes() == (tmp_path / "their" / "tokenizer.json").read_bytes()


def test_an_id_stands_for_weights_and_not_for_their_place(tmp_path: Path, content: dict[str, Any]) -> None:
    write_checkpoint(tmp_path / "their", "LlamaConfig")
    first = parse_study(content, tmp_path).runs[0].run_id
    (tmp_path / "their").rename(tmp_path / "moved")
    content["tokenizer"]["checkpoint"] = content["bases"][0]["checkpoint"] = "moved"
    assert parse_study(content, tmp_path).runs[0].run_id == first
    write_checkpoint(tmp_path / "other", "LlamaConfig", seed=2)
    content["bases"][0]["checkpoint"] = "other"
    assert parse_study(content, tmp_path).runs[0].run_id != first


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bases": [{"name": "their", "checkpoint": "nowhere"}]}, "bases[0]: "),
        ({"bases": [{"checkpoint": "their"}]}, "bases[0]: a checkpoint has a name and no training of its own"),
        ({"bases": [{"name": "their", "checkpoint": "their", "tokens": 64}]}, "no training of its own, got name"),
        ({"tokenizer": {"checkpoint": "their", "vocab": 300}}, "tokenizer.vocab: a checkpoint's tokenizer has its own"),
        ({"tokenizer": {"checkpoint": "nowhere"}}, "tokenizer.checkpoint: "),
        ({"tokenizer": {"checkpoint": "their", "end_of_text": "<end>"}}, "got '<end>'"),
        (
            {"tokenizer": {"vocab": 280}},
            "a checkpoint knows its own tokens only; expected tokenizer: ",
        ),
        ({"tokenizer": {"checkpoint": "other"}}, "bases[0]: has another tokenizer than the study"),
        ({"length": 64}, "rows of 64 tokens, but it has positions for 32"),
        ({"optimizer": "keep"}, "a checkpoint comes without the state of its optimizer"),
        ({"orders": {"general": "original"}}, "nobody knows in which order a checkpoint read its data"),
        ({"save": 1}, "save: expected true or false, got 1"),
    ],
)
def test_what_a_checkpoint_cannot_do_is_refused(
    tmp_path: Path, content: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    write_checkpoint(tmp_path / "their", "LlamaConfig")
    other = write_checkpoint(tmp_path / "other", "LlamaConfig")
    train_tokenizer([f"and {i} whole other words" for i in range(99)], 280).save(other / "tokenizer.json")
    for key, value in change.items():
        (content if key in content else content["run"])[key] = value
    with pytest.raises(ValueError) as refused:
        parse_study(content, tmp_path)
    assert told in str(refused.value)

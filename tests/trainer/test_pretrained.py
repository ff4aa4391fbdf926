from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from trainer.evaluate import evaluate
from trainer.loop import Resume, train
from trainer.mixture import Mixture, Phase
from trainer.pretrained import (
    CausalModel,
    describe_pretrained,
    load_pretrained,
    load_pretrained_tokenizer,
    save_pretrained,
)
from trainer.schedule import Constant, Cosine
from trainer.shards import Shard, open_shard, write_shard
from trainer.tokenizer import END_OF_TEXT, train_tokenizer
from trainer.training import Training

VOCAB, ROWS, WIDTH, INNER, DEPTH, HEADS, KEYS, LENGTH = 280, 288, 32, 48, 2, 4, 2, 32
"""The embedding has more rows than there are tokens, as Qwen's has."""
SHAPE: dict[str, Any] = {
    "vocab_size": ROWS,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": HEADS,
    "max_position_embeddings": LENGTH,
}
TEXTS = [f"A sentence about the number {i} and what comes after it. " * 3 for i in range(60)]
FAMILIES = [("LlamaConfig", False), ("LlamaConfig", True), ("Qwen2Config", False), ("Qwen2Config", True)]
TRAINING = Training(16 * 4 * 20, 16, 4, 3e-3, Cosine(128), evaluations=3, first_evaluation=128, validation_rows=8)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise AssertionError(f"a connection to {address} was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def write_checkpoint(folder: Path, family: str = "LlamaConfig", tied: bool = False, **settings: Any) -> Path:
    """A checkpoint with random weights, written by the library itself, and a byte-level tokenizer."""
    keys = {"num_key_value_heads": KEYS} if family in ("LlamaConfig", "Qwen2Config") else {}
    config = getattr(transformers, family)(**{**SHAPE, **keys, "tie_word_embeddings": tied, **settings})
    torch.manual_seed(1)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    train_tokenizer(TEXTS, VOCAB).save(folder / "tokenizer.json")
    about = {"eos_token": END_OF_TEXT, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), "utf-8")
    return folder


@pytest.fixture(params=FAMILIES, ids=lambda p: f"{p[0][:-6]}-{'tied' if p[1] else 'untied'}")
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint", *request.param)


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint")


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(0, ROWS, (3, LENGTH), generator=torch.Generator().manual_seed(0))


def edit(path: Path, **settings: Any) -> None:
    """Change settings of a JSON file; None removes one."""
    content = {**json.loads(path.read_text("utf-8")), **settings}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}), "utf-8")


def plain_logits(folder: Path, tokens: Tensor) -> Tensor:
    """What the library computes without any of our code."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits: Tensor = model(tokens).logits
    return logits


@torch.no_grad()
def logits_of(model: CausalModel, tokens: Tensor) -> Tensor:
    logits: Tensor = model.eval()(tokens)
    return logits


def run(model: CausalModel, folder: Path, training: Training = TRAINING, resume: Resume | None = None) -> list[float]:
    """Train on packed rows of the checkpoint's own tokenizer; the validation losses."""
    tokenizer = load_pretrained_tokenizer(model.checkpoint)
    write_shard(folder / "rows", TEXTS, tokenizer, training.length)
    sources: dict[str, Shard] = {"general": open_shard(folder / "rows", tokenizer)}
    counts = {"general": sources["general"].header.rows}
    stream = Mixture((Phase(0, {"general": 1.0}),), counts, training.steps * training.batch, 5)
    validation = {"general": torch.from_numpy(sources["general"].rows(list(range(8))))}
    measured = train(model, stream, sources, validation, training, resume=resume)
    return [point.losses["general"].mean for point in measured]


def test_logits_are_bitwise_those_of_the_library_before_and_after_a_round_trip(
    checkpoint: Path, tmp_path: Path, tokens: Tensor
) -> None:
    expected = plain_logits(checkpoint, tokens)
    model = load_pretrained(checkpoint)
    assert torch.equal(logits_of(model, tokens), expected)
    tokenizer = load_pretrained_tokenizer(model.checkpoint)
    saved = tmp_path / "saved"
    save_pretrained(model, saved, tokenizer)
    assert torch.equal(plain_logits(saved, tokens), expected)
    again = load_pretrained(saved)
    assert torch.equal(logits_of(again, tokens), expected)
    assert replace(again.checkpoint, path=checkpoint, identity="") == replace(model.checkpoint, identity="")
    assert load_pretrained_tokenizer(again.checkpoint).digest == tokenizer.digest
    library = transformers.AutoTokenizer.from_pretrained(saved)
    assert [*library(TEXTS[0])["input_ids"], tokenizer.end_of_text] == tokenizer.stream(TEXTS[:1]).tolist()
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


def test_training_lowers_the_loss_and_what_it_saves_has_that_loss(checkpoint: Path, tmp_path: Path) -> None:
    one_step = replace(TRAINING, tokens=64, schedule=Constant(0), first_evaluation=64)
    before, after = run(load_pretrained(checkpoint), tmp_path, one_step)
    assert after < before - 0.05
    model = load_pretrained(checkpoint)
    losses = run(model, tmp_path)
    assert losses[-1] < losses[0] - 0.5
    tokenizer = load_pretrained_tokenizer(model.checkpoint)
    save_pretrained(model, tmp_path / "trained", tokenizer)
    rows = torch.from_numpy(open_shard(tmp_path / "rows", tokenizer).rows(list(range(8))))
    trained = load_pretrained(tmp_path / "trained")
    assert evaluate(trained, rows).mean == losses[-1]
    assert trained.checkpoint.identity != model.checkpoint.identity


def test_an_interrupted_run_goes_on_bitwise(checkpoint: Path, tmp_path: Path) -> None:
    whole = load_pretrained(checkpoint)
    expected = run(whole, tmp_path)
    resume = Resume(tmp_path / "state.pt", "id", seconds=0.0)

    class StoppedError(Exception):
        pass

    calls = iter(range(12))

    def stop(module: torch.nn.Module, _: object) -> None:
        if module.training and next(calls, None) is None:
            raise StoppedError

    stopped = load_pretrained(checkpoint)
    stopped.register_forward_pre_hook(stop)
    with pytest.raises(StoppedError):
        run(stopped, tmp_path, resume=resume)
    model = load_pretrained(checkpoint)
    rest = run(model, tmp_path, resume=resume)
    assert 0 < len(rest) < len(expected)
    assert rest == expected[-len(rest) :]
    for one, two in zip(whole.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_parameters_by_group_are_those_of_the_formula(checkpoint: Path) -> None:
    about = describe_pretrained(checkpoint)
    content = json.loads((checkpoint / "config.json").read_text("utf-8"))
    tied, qwen = content["tie_word_embeddings"], content["model_type"] == "qwen2"
    shared = WIDTH * KEYS // HEADS
    biases = WIDTH + 2 * shared if qwen else 0
    assert about.parameters(ROWS) == {
        "embedding": ROWS * WIDTH,
        "attention": DEPTH * (2 * WIDTH * WIDTH + 2 * WIDTH * shared + biases),
        "mlp": DEPTH * 3 * WIDTH * INNER,
        "norm": (2 * DEPTH + 1) * WIDTH,
        "head": 0 if tied else ROWS * WIDTH,
    }
    model = load_pretrained(checkpoint)
    counted = sum(p.numel() for p in model.parameters())
    assert sum(about.parameters(ROWS).values()) == counted
    assert about.non_embedding == counted - (1 if tied else 2) * ROWS * WIDTH
    assert about.flops_per_token(ROWS) == 6 * (about.non_embedding + ROWS * WIDTH)
    assert (about.dtype, about.longest, about.vocab, len(model.blocks)) == ("float32", LENGTH, ROWS, DEPTH)
    with pytest.raises(ValueError, match=r"expected vocab 288, the rows of its embedding, got 280"):
        about.flops_per_token(VOCAB)


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("GPTNeoXConfig", {}),
        ("GPT2Config", {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}),
        ("Qwen3Config", {"num_key_value_heads": 2, "head_dim": 8}),
        ("MistralConfig", {"num_key_value_heads": 2, "sliding_window": 16}),
    ],
)
def test_other_families_are_counted_and_computed_as_they_are(
    tmp_path: Path, tokens: Tensor, family: str, settings: dict[str, Any]
) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", family, **settings)
    model = load_pretrained(folder)
    assert sum(model.checkpoint.parameters(ROWS).values()) == sum(p.numel() for p in model.parameters())
    assert all(count > 0 for count in model.checkpoint.parameters(ROWS).values())
    assert torch.equal(logits_of(model, tokens), plain_logits(folder, tokens))


def test_the_identity_is_that_of_the_contents(llama: Path, tmp_path: Path) -> None:
    first = describe_pretrained(llama).identity
    moved = Path(shutil.copytree(llama, tmp_path / "moved"))
    assert describe_pretrained(moved).identity == first
    content = bytearray((weights := moved / "model.safetensors").read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    identities = {first, describe_pretrained(moved).identity}
    weights.write_bytes(content.replace(b'"pt"', b'"np"', 1))  # in the header
    identities.add(describe_pretrained(moved).identity)
    edit(moved / "config.json", rms_norm_eps=1e-4)
    assert len(identities | {describe_pretrained(moved).identity}) == 4


def test_weights_in_several_files_are_the_same_checkpoint(llama: Path, tmp_path: Path, tokens: Tensor) -> None:
    expected = plain_logits(llama, tokens)
    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    (llama / "model.safetensors").unlink()
    model.save_pretrained(llama, max_shard_size="40KB")
    shards = sorted(llama.glob("model-*.safetensors"))
    assert len(shards) > 2
    assert torch.equal(logits_of(load_pretrained(llama), tokens), expected)
    shards[1].unlink()
    with pytest.raises(ValueError, match=rf"missing: {shards[1].name}"):
        load_pretrained(llama)


def test_bfloat16_on_disk_is_trained_in_float32_unless_asked_otherwise(llama: Path, tmp_path: Path) -> None:
    model, saved = load_pretrained(llama, torch.bfloat16), tmp_path / "half"
    save_pretrained(model, saved, load_pretrained_tokenizer(model.checkpoint))
    assert describe_pretrained(saved).dtype == "bfloat16"
    assert {p.dtype for p in load_pretrained(saved).parameters()} == {torch.float32}
    assert {p.dtype for p in load_pretrained(saved, torch.bfloat16).parameters()} == {torch.bfloat16}
    with pytest.raises(ValueError, match=r"expected torch.float32 or torch.bfloat16, got torch.float16"):
        load_pretrained(saved, torch.float16)


def test_a_token_that_doubles_as_padding_is_learnt(tmp_path: Path) -> None:
    model = load_pretrained(write_checkpoint(tmp_path / "checkpoint", pad_token_id=0))
    logits = model(torch.tensor([[0, 1, 2, 3]]))
    torch.nn.functional.cross_entropy(logits[0], torch.tensor([4, 5, 6, 7])).backward()
    gradient = model.inner.get_input_embeddings().weight.grad  # type: ignore[operator]
    assert gradient[0].abs().max() > 0


def test_rows_longer_than_the_positions_are_refused(llama: Path) -> None:
    with pytest.raises(ValueError, match="expected rows of at most 32 tokens, got 33"):
        load_pretrained(llama)(torch.zeros(1, 33, dtype=torch.long))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_files_are_named(llama: Path, name: str) -> None:
    (llama / name).unlink()
    with pytest.raises(ValueError, match=f"missing: {name}"):
        load_pretrained(llama)


def test_paths_that_are_no_folder_are_refused(tmp_path: Path, llama: Path) -> None:
    with pytest.raises(ValueError, match="it is absent"):
        load_pretrained(tmp_path / "meta-llama" / "Llama-3.2-1B")
    with pytest.raises(ValueError, match="it is no folder"):
        load_pretrained(llama / "config.json")


@pytest.mark.parametrize(
    ("family", "settings", "fault"),
    [
        ("T5Config", {}, "expected a decoder-only language model, such as LlamaForCausalLM"),
        ("BartConfig", {}, "expected a decoder-only language model"),
        ("BertConfig", {}, r"expected a decoder-only language model, architectures \['BertLMHeadModel'\], got"),
        ("LlamaConfig", {"architectures": ["LlamaForSequenceClassification"]}, "got .*LlamaForSequenceClassification"),
        ("LlamaConfig", {"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantised"),
        ("LlamaConfig", {"attention_dropout": 0.1}, "expected no dropout.*attention_dropout is 0.1"),
        ("LlamaConfig", {"model_type": "homegrown"}, "model_type 'homegrown' is unknown to transformers 5"),
        ("LlamaConfig", {"num_hidden_layers": 1}, "weights that are not those of config.json: unexpected_keys: model"),
        ("LlamaConfig", {"num_hidden_layers": 3}, "weights that are not those of config.json: missing_keys: model"),
        ("LlamaConfig", {"intermediate_size": 64}, "mismatched_keys: .*down_proj"),
        ("LlamaConfig", {"tie_word_embeddings": True}, "is tie_word_embeddings right|unexpected_keys: lm_head"),
    ],
)
def test_configs_that_cannot_be_trained_are_refused(
    llama: Path, family: str, settings: dict[str, Any], fault: str
) -> None:
    if family != "LlamaConfig":
        config = getattr(transformers, family)()
        config.architectures = [family.replace("Config", "ForMaskedLM")]
        (llama / "config.json").write_text(json.dumps(config.to_dict()), "utf-8")
    edit(llama / "config.json", **settings)
    with pytest.raises(ValueError, match=fault):
        load_pretrained(llama)


def test_a_model_that_sees_later_tokens_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", is_causal=False)
    with pytest.raises(ValueError, match="its first logits see the second token"):
        load_pretrained(folder)


def test_a_mixture_of_experts_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", "MixtralConfig", num_key_value_heads=2, num_local_experts=2)
    with pytest.raises(ValueError, match=r"used by every token; N and the FLOPs of a token are not defined.*expert"):
        load_pretrained(folder)


@pytest.mark.parametrize("keep", [4, 100, -1])
def test_weights_that_were_cut_short_are_refused(llama: Path, keep: int) -> None:
    file = llama / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"model.safetensors: expected .* bytes.*the file has \d+; copy it anew"):
        load_pretrained(llama)


def test_eight_bit_weights_are_refused(llama: Path) -> None:
    weights = load_file(llama / "model.safetensors")
    save_file({n: t.to(torch.float8_e4m3fn) for n, t in weights.items()}, llama / "model.safetensors")
    with pytest.raises(ValueError, match="expected weights in F64, F32, BF16, F16, got F8_E4M3"):
        load_pretrained(llama)


def test_code_in_a_folder_is_never_run(llama: Path, tmp_path: Path, tokens: Tensor) -> None:
    expected = plain_logits(llama, tokens)
    mark = tmp_path / "ran"
    (llama / "modeling_own.py").write_text(f"open({str(mark)!r}, 'w')\n", "utf-8")
    own = {"AutoConfig": "modeling_own.Config", "AutoModelForCausalLM": "modeling_own.Model"}
    edit(llama / "config.json", auto_map=own)
    assert torch.equal(logits_of(load_pretrained(llama), tokens), expected)
    edit(llama / "config.json", model_type="homegrown")
    with pytest.raises(ValueError, match="code in a folder is never run"):
        load_pretrained(llama)
    assert not mark.exists()


def test_saving_takes_a_new_folder_and_leaves_nothing_when_it_fails(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_pretrained(llama)
    tokenizer = load_pretrained_tokenizer(model.checkpoint)
    with pytest.raises(ValueError, match="expected a new folder, but it exists"):
        save_pretrained(model, llama, tokenizer)
    grown = Tokenizer.from_str(tokenizer.tokenizer.to_str())
    grown.add_tokens([f"<{i}>" for i in range(20)])
    with pytest.raises(ValueError, match="a tokenizer of 300 tokens, an embedding of 288"):
        save_pretrained(model, tmp_path / "saved", replace(tokenizer, tokenizer=grown))
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space left on device")))
    with pytest.raises(OSError, match="no space left"):
        save_pretrained(model, tmp_path / "saved", tokenizer)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_the_library_is_only_imported_where_it_is_needed(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, trainer.pretrained; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"need transformers .*; install it: pip install"):
        describe_pretrained(llama)

"""Checkpoints in the Hugging Face layout: a folder of config.json, safetensors and tokenizer files, read and written.

Folders only: nothing is downloaded, and code that a folder carries is never run. ``transformers`` is imported where a
model is built, so importing this file is cheap, and describing the tokenizer does not need it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict

from trainer.backend import Backend
from trainer.checkpoint import WHOLE
from trainer.files import content_hash, read_json
from trainer.tokenizer import BATCH, TextTokenizer
from trainer.training import raise_faults

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
EXTRA = "special_tokens_map.json added_tokens.json chat_template.jinja vocab.json merges.txt tokenizer.model"
TOKENIZER_FILES = (TOKENIZER, TOKENIZER_CONFIG, *EXTRA.split())
"""Files by which the usual libraries read a tokenizer; a saved checkpoint takes over those that are there."""
FORMATS = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""Number formats of safetensors that training can start from, by PyTorch's names."""
LOCAL = {"local_files_only": True, "trust_remote_code": False}
"""Download nothing, run no code of a folder."""
SAMPLES, SAMPLE_BYTES = 4, 4096
"""How many stretches of a tensor its checkpoint's identity looks at, and how long each is."""
GROUPS = {"attention": ("attn", "attention"), "mlp": ("mlp", "feed_forward", "fc1", "fc2")}
"""Parts of a module's name that say which group its parameters belong to, where its type does not."""


@dataclass(frozen=True)
class Pretrained:
    """What a checkpoint is; ``parameters``, ``non_embedding`` and ``flops_per_token`` as in ``sizes.Size``.

    Args:
        path: its folder.
        identity: SHA-256 over config, and over name, size, header and samples of every tensor of the weights: four
            stretches of 4 KiB, evenly spread, a few megabytes of any checkpoint. Training moves every number and
            is seen; an edit of a few numbers of a large tensor, between the stretches, is not.
        architecture: class of the model.
        dtype: number format of the weights on disk; several are joined by ``+``.
        vocab: rows of the embedding in tokens, those that pad it among them; never fewer than the tokenizer's.
        head_width: inputs of the output head, which costs ``vocab * head_width`` products a token, tied or not.
        longest: longest row in tokens that positions are made for; None where the config sets no limit.
        embedding: parameters of token and position embeddings, and of the head where it is tied to them.
        attention, mlp, norm: parameters of attention, feed-forward layers and norms, those inside attention among them.
        head: parameters of an output head of its own; 0 where it is tied.
    """

    path: Path
    identity: str
    architecture: str
    dtype: str
    vocab: int
    head_width: int
    longest: int | None
    embedding: int
    attention: int
    mlp: int
    norm: int
    head: int

    def parameters(self, vocab: int) -> dict[str, int]:
        """Parameter counts by group; ``vocab`` must be the embedding's, which a checkpoint fixes (ValueError)."""
        if vocab != self.vocab:
            raise ValueError(f"{self.path}: expected vocab {self.vocab}, the rows of its embedding, got {vocab}")
        return {name: getattr(self, name) for name in ("embedding", "attention", "mlp", "norm", "head")}

    @property
    def non_embedding(self) -> int:
        """N of the scaling laws: all parameters except the embedding and the output head."""
        return self.attention + self.mlp + self.norm

    def flops_per_token(self, vocab: int) -> int:
        """Training FLOPs per token, ``6 (N + vocab * head_width)``: the convention of ``sizes.Size``, so a tied head
        counts as one of its own does. Source: Kaplan et al. 2020, section 2.1.
        """
        self.parameters(vocab)
        return 6 * (self.non_embedding + vocab * self.head_width)


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        fault = f"pretrained checkpoints need transformers ({error}); install it: pip install 'transformers>=5'"
        raise ModuleNotFoundError(fault, name=error.name) from error


def _weight_files(path: Path) -> list[Path]:
    """The files of the weights: one, or those that an index names."""
    if (path / WEIGHTS).is_file() or not (path / INDEX).is_file():
        return [path / WEIGHTS]
    return [path / name for name in sorted(set(read_json(path / INDEX)["weight_map"].values()))]


def _header(file: Path) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """The header of a safetensors file, as it is and read. Source: safetensors' description of its format."""
    with file.open("rb") as opened:
        length, size = int.from_bytes(opened.read(8), "little"), file.stat().st_size
        if length > size - 8:
            raise ValueError(f"{file}: expected a header of {length} bytes, the file has {size}; copy it anew")
        raw = opened.read(length)
    tensors = json.loads(raw)
    tensors.pop("__metadata__", None)
    expected = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    if expected != size:
        raise ValueError(f"{file}: expected {expected} bytes by its header, the file has {size}; copy it anew")
    return raw, tensors


def _identity(path: Path, files: list[Path]) -> str:
    digest = hashlib.sha256((path / CONFIG).read_bytes())
    for file in files:
        raw, tensors = _header(file)
        digest.update(f"{file.name} {file.stat().st_size}".encode() + raw)
        with file.open("rb") as opened:
            for entry in tensors.values():
                first, end = (8 + len(raw) + offset for offset in entry["data_offsets"])
                room = max(0, end - first - SAMPLE_BYTES)
                for start in sorted({first + room * i // (SAMPLES - 1) for i in range(SAMPLES)}):
                    opened.seek(start)
                    digest.update(opened.read(min(SAMPLE_BYTES, end - start)))
    return digest.hexdigest()


def _read_config(path: Path) -> Any:
    """The config of a checkpoint whose files are there and whose model is a causal language model."""
    if not path.is_dir():
        raise ValueError(f"{path}: expected a checkpoint's folder, it is {'no folder' if path.exists() else 'absent'}")
    files = [path / CONFIG, path / TOKENIZER, *_weight_files(path)]
    if missing := [file.name for file in files if not file.is_file()]:
        fault = f"expected {CONFIG}, {TOKENIZER} and {WEIGHTS} or its shards; missing: {', '.join(missing)}"
        raise ValueError(f"{path}: {fault}; convert other formats with save_pretrained of transformers")
    library, content = _transformers(), read_json(path / CONFIG)
    if content.get("model_type") not in library.CONFIG_MAPPING:
        fault = f"model_type {content.get('model_type')!r} is unknown to transformers {library.__version__}"
        raise ValueError(f"{path / CONFIG}: {fault}; a newer one may know it, but code in a folder is never run")
    config = library.AutoConfig.from_pretrained(path, **LOCAL)
    known = library.MODEL_FOR_CAUSAL_LM_MAPPING
    causal = known[type(config)].__name__ if type(config) in known else None
    faults = []
    if getattr(config, "is_encoder_decoder", False) or [causal] != content.get("architectures"):
        expected = f"architectures ['{causal}']" if causal else "such as LlamaForCausalLM"
        faults.append(f"expected a decoder-only language model, {expected}, got {content.get('architectures')}")
    if "quantization_config" in content:
        faults.append("the weights are quantised and cannot be trained on; use the checkpoint they were made from")
    # An interrupted run goes on exactly as it would have: the loop stores no random state, so nothing may draw.
    # Dropout of other heads than the language model's plays no part.
    rates = {k: v for k, v in config.to_dict().items() if "drop" in k and not k.startswith(("classifier", "summary"))}
    dropped = [f"{name} is {rate}" for name, rate in rates.items() if isinstance(rate, float) and rate > 0]
    if dropped:
        faults.append(f"expected no dropout, as a run must be repeatable, but {', '.join(dropped)}; set it to 0.0")
    raise_faults(str(path / CONFIG), faults)
    return config


def _count(model: Any, where: Path) -> dict[str, int]:
    """Parameters by group, shared ones once, under the first of their names."""
    head = model.get_output_embeddings()
    groups = {"embedding": 0, "attention": 0, "mlp": 0, "norm": 0, "head": 0}
    strange = []
    for name, parameter in model.named_parameters():
        owner = name.rpartition(".")[0]
        module = model.get_submodule(owner)
        if isinstance(module, nn.Embedding):
            group = "embedding"
        elif module is head:
            group = "head"
        elif "norm" in type(module).__name__.lower():
            group = "norm"
        else:
            group = next((g for g, parts in GROUPS.items() if any(part in owner for part in parts)), "")
        # Experts hold parameters that most tokens do not pass, so neither N nor the FLOPs of a token mean the same.
        if not group or "expert" in name:
            strange.append(name)
        else:
            groups[group] += parameter.numel()
    if strange:
        fault = f"N and the FLOPs of a token are not defined with {len(strange)} others, {', '.join(strange[:3])}"
        raise ValueError(f"{where}: expected embedding, attention, mlp, norms and head, used by every token; {fault}")
    assert sum(groups.values()) == sum(p.numel() for p in model.parameters()), f"{where}: {groups} is not all of it"
    return groups


def describe_pretrained(path: Path) -> Pretrained:
    """Describe the checkpoint in a folder without loading it: its model is built without memory and counted.

    Raises:
        ModuleNotFoundError: if transformers is not installed.
        ValueError: if files are missing or cut short, or it is no causal language model that this trainer can train:
            of an unknown type, an encoder, quantised, with dropout, or a mixture of experts.
    """
    config = _read_config(path)
    with torch.device("meta"):
        model = _transformers().AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    groups, files = _count(model, path), _weight_files(path)
    stored = {entry["dtype"] for file in files for entry in _header(file)[1].values()}
    formats = {name for name in stored if name.startswith(("F", "BF"))}  # masks and counters are whole numbers
    if not formats or not formats <= FORMATS.keys():
        raise ValueError(f"{path}: expected weights in {', '.join(FORMATS)}, got {', '.join(sorted(formats))}")
    vocab, head_width = model.get_output_embeddings().weight.shape
    assert vocab == model.get_input_embeddings().weight.shape[0], f"{path}: head and embedding differ in tokens"
    architecture, dtype = type(model).__name__, "+".join(sorted(FORMATS[name] for name in formats))
    longest = getattr(config, "max_position_embeddings", None)
    return Pretrained(path, _identity(path, files), architecture, dtype, vocab, head_width, longest, **groups)


class CausalModel(nn.Module):
    """A model of the transformers library as the trainer sees one: tokens (B, T) to next-token logits (B, T, V).

    Args:
        inner: the library's model; its parameters are trained in place.
        checkpoint: what it was loaded from.
    """

    def __init__(self, inner: nn.Module, checkpoint: Pretrained) -> None:
        super().__init__()
        self.inner, self.checkpoint = inner, checkpoint

    @property
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, which are sharded one by one over several processes."""
        depth = self.inner.config.num_hidden_layers  # type: ignore[union-attr]
        return next(m for m in self.inner.modules() if isinstance(m, nn.ModuleList) and len(m) == depth)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        length, longest = tokens_BT.shape[1], self.checkpoint.longest
        if longest is not None and length > longest:
            raise ValueError(f"{self.checkpoint.path}: expected rows of at most {longest} tokens, got {length}")
        # Rows are full and never generated from: no mask besides the causal one, and no cache.
        logits: Tensor = self.inner(input_ids=tokens_BT, use_cache=False).logits
        return logits


@torch.no_grad()
def _check_causal(model: CausalModel) -> None:
    """Refuse a model whose logits depend on later tokens, which one setting (``is_causal``) makes of a Llama."""
    logits = model(torch.tensor([[0, 1], [0, model.checkpoint.vocab - 1]]))[:, 0].float()
    if not torch.allclose(logits[0], logits[1], rtol=0, atol=1e-3 * float(logits.abs().max())):
        raise ValueError(f"{model.checkpoint.path}: expected a causal model, but its first logits see the second token")


def load_pretrained(path: Path, dtype: torch.dtype = torch.float32) -> CausalModel:
    """Load a checkpoint for training, on the CPU; attention is PyTorch's scaled dot product.

    Args:
        path: its folder.
        dtype: number format of the weights in memory. float32 is right for training, also where products are bfloat16
            by autocast: updates below 0.4 % of a weight would be lost in bfloat16.

    Raises:
        ValueError: as :func:`describe_pretrained`; or if names or shapes of the weights are not those of the config.
    """
    if dtype not in (torch.float32, torch.bfloat16):
        raise ValueError(f"dtype: expected torch.float32 or torch.bfloat16, got {dtype}")
    checkpoint = describe_pretrained(path)
    inner, found = _transformers().AutoModelForCausalLM.from_pretrained(
        path, dtype=dtype, attn_implementation="sdpa", output_loading_info=True, ignore_mismatched_sizes=True, **LOCAL
    )
    # The library would draw missing and mismatched weights at random and drop those it does not know.
    faults = [f"{kind}: {', '.join(sorted(map(str, names))[:4])}" for kind, names in found.items() if names]
    counted, expected = _count(inner, path), checkpoint.parameters(checkpoint.vocab)
    if not faults and counted != expected:
        faults.append(f"expected {expected} parameters by the config, got {counted}; is tie_word_embeddings right?")
    raise_faults(f"{path}: weights that are not those of {CONFIG}", faults)
    # Packed rows have no padding: a token that doubles as it, often the end of text, is learnt like any other.
    inner.get_input_embeddings().padding_idx = None
    model = CausalModel(inner, checkpoint)
    _check_causal(model)
    return model


@dataclass(frozen=True)
class PretrainedTokenizer(TextTokenizer):
    """The tokenizer of a checkpoint; its digest stands for its definition, the end of text and the opening.

    Args:
        end: token that stands after every document.
        opening: tokens that its definition puts before every document, such as a beginning of text.
        files: its files by name, which a saved checkpoint takes over unchanged.
    """

    end: int
    opening: tuple[int, ...]
    files: dict[str, bytes] = field(repr=False)

    @property
    def vocab(self) -> int:
        """One more than the largest token, as numbers may have gaps."""
        return max(self.tokenizer.get_vocab().values()) + 1

    @property
    def end_of_text(self) -> int:
        return self.end

    def stream(self, documents: list[str]) -> NDArray[np.int64]:
        """All documents as one row of tokens, each after the opening and followed by the end of text."""
        parts = [
            np.asarray([*self.opening, *encoding.ids, self.end], np.int64)
            for start in range(0, len(documents), BATCH)
            for encoding in self.tokenizer.encode_batch(documents[start : start + BATCH], add_special_tokens=False)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def load_pretrained_tokenizer(checkpoint: Pretrained, end_of_text: str | None = None) -> PretrainedTokenizer:
    """Read the tokenizer of a checkpoint from its tokenizer.json.

    Args:
        checkpoint: the checkpoint.
        end_of_text: token after every document; None takes ``eos_token`` of tokenizer_config.json, which in a chat
            model may be the end of a turn.

    Raises:
        ValueError: if there is no such token, tokens have no row in the embedding, or its files disagree.
    """
    path = checkpoint.path
    files = {name: (path / name).read_bytes() for name in TOKENIZER_FILES if (path / name).is_file()}
    settings = read_json(path / TOKENIZER_CONFIG) if TOKENIZER_CONFIG in files else {}
    tokenizer = Tokenizer.from_str(files[TOKENIZER].decode("utf-8"))
    # A definition may carry settings for batches of sentences; documents are neither cut nor filled up.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    named = end_of_text or settings.get("eos_token")
    name = named.get("content") if isinstance(named, dict) else named
    end = tokenizer.token_to_id(name) if name else None
    if end is None:
        fault = f"expected a token for the end of text, got {name!r}, which {TOKENIZER} does not have"
        raise ValueError(f"{path}: {fault}; name one as end_of_text, or as eos_token in {TOKENIZER_CONFIG}")
    bare, whole = (tokenizer.encode("text", add_special_tokens=added).ids for added in (False, True))
    at = next(i for i in range(len(whole) + 1) if whole[i : i + len(bare)] == bare)
    opening, closing = tuple(whole[:at]), whole[at + len(bare) :]
    faults = []
    if closing not in ([], [end]):
        faults.append(f"expected {TOKENIZER} to end a document with {name!r} ({end}) or nothing, got {closing}")
    if settings.get("add_bos_token") not in (None, bool(opening)):
        faults.append(f"add_bos_token is {settings['add_bos_token']}, but {TOKENIZER} opens a document with {opening}")
    # A document that mentions a special token means its letters, not the token.
    tokenizer.encode_special_tokens = True
    digest = content_hash([hashlib.sha256(files[TOKENIZER]).hexdigest(), end, opening])
    loaded = PretrainedTokenizer(tokenizer, digest, end, opening, files)
    if loaded.vocab > checkpoint.vocab:
        faults.append(f"expected at most {checkpoint.vocab} tokens, the rows of the embedding, got {loaded.vocab}")
    raise_faults(f"{path}: tokenizer", faults)
    return loaded


def save_pretrained(
    model: CausalModel, path: Path, tokenizer: PretrainedTokenizer, backend: Backend | None = None
) -> None:
    """Write a new checkpoint that the usual libraries read, atomically, from the first process.

    Weights are written in the number format that they have in memory, in files of at most 5 GB.

    Args:
        model: the model.
        path: its folder, which must not exist yet.
        tokenizer: the tokenizer it was trained with.
        backend: where it was trained; None is one process. Every process calls this.

    Raises:
        ValueError: if ``path`` exists, or the tokenizer has tokens without a row in the embedding.
    """
    if path.exists():
        raise ValueError(f"{path}: expected a new folder, but it exists; choose another or delete it")
    if tokenizer.vocab > model.checkpoint.vocab:
        raise ValueError(f"{path}: a tokenizer of {tokenizer.vocab} tokens, an embedding of {model.checkpoint.vocab}")
    whole, backend = get_model_state_dict(model.inner, options=WHOLE), backend or Backend()
    if backend.first:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            model.inner.save_pretrained(temporary, state_dict=whole, max_shard_size="5GB")  # type: ignore[operator]
            for name, content in tokenizer.files.items():
                (temporary / name).write_bytes(content)
            # The name says that the folder is whole, so everything is on disk before it is given.
            for written in [*temporary.iterdir(), temporary]:
                os.fsync(handle := os.open(written, os.O_RDONLY))
                os.close(handle)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    backend.wait()

"""The trainer and its peers, each training one model of the same shape the way its makers mean it to be used.

``ours`` is the trainer's own loop on its own packed rows. ``huggingface`` is the Trainer of transformers on its own
model of this architecture, Arcee: RMSNorm, rotary embedding, squared ReLU. ``huggingface-loop`` is the same Trainer on
the very module that ours trains, so that those two differ in the loop alone. ``litgpt`` is a plain nanoGPT-style loop
over the GPT of litgpt in the same shape: RMSNorm, rotary embedding, one feed-forward layer of four times the width,
no biases.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.trainer.common import BATCH, LENGTH, LR, ROWS, VOCAB, Clock, Enough, Setting, tokens
from trainer.backend import Backend
from trainer.loop import train
from trainer.mixture import Mixture, Phase
from trainer.model import Transformer
from trainer.schedule import Constant
from trainer.shards import Header, Shard
from trainer.sizes import MLP_RATIO, Size
from trainer.training import Training


def ours(setting: Setting) -> float:
    """The loop of ``python -m trainer``, on a mixture of two sources."""
    clock = Clock(setting.seconds)
    header = Header(LENGTH, ROWS, ROWS * LENGTH + 1, 1, 0, "uint16", "", "")
    sources = {name: Shard(header, tokens()) for name in ("general", "domain")}
    steps = ROWS // BATCH
    stream = Mixture((Phase(0, {"general": 0.7, "domain": 0.3}),), dict.fromkeys(sources, ROWS), steps * BATCH, 0)
    training = Training(steps * BATCH * LENGTH, LENGTH, BATCH, LR, Constant(), precision=setting.precision)
    held = {"general": torch.from_numpy(sources["general"].rows([0, 1]))}

    def tick(_: int) -> None:
        if clock.step():
            raise Enough

    backend = Backend(precision=setting.precision, compiled=setting.compiled)
    try:
        for _ in train(_model(setting), stream, sources, held, training, backend=backend, tick=tick):
            pass
    except Enough:
        return clock.rate
    raise RuntimeError(f"{steps} steps were over before {setting.seconds} seconds")


def _model(setting: Setting) -> Transformer:
    return Transformer(Size(setting.width), VOCAB, LENGTH, seed=0)


class _WithLoss(nn.Module):
    """A model as the Trainer wants it: called with its inputs by name, a loss in its answer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.model(input_ids)
        return {"loss": F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten()), "logits": logits}


def _arcee(setting: Setting) -> nn.Module:
    """The same shape as transformers has it."""
    from transformers import ArceeConfig, ArceeForCausalLM

    size = Size(setting.width)
    config = ArceeConfig(
        vocab_size=VOCAB,
        hidden_size=size.width,
        intermediate_size=MLP_RATIO * size.width,
        num_hidden_layers=size.depth,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        hidden_act="relu2",
        max_position_embeddings=LENGTH,
        tie_word_embeddings=False,
        use_cache=False,
    )
    return _Logits(ArceeForCausalLM(config))


class _Logits(nn.Module):
    """A model of transformers, called with tokens and answering with logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=tokens).logits
        return logits


def huggingface(setting: Setting) -> float:
    """The Trainer of transformers on a model of transformers."""
    return _hf_trainer(setting, _arcee(setting))


def huggingface_loop(setting: Setting) -> float:
    """The Trainer of transformers on the model of this trainer."""
    return _hf_trainer(setting, _model(setting))


def _hf_trainer(setting: Setting, model: nn.Module) -> float:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    clock = Clock(setting.seconds)
    stream = tokens().astype(np.int64)

    class Rows(torch.utils.data.Dataset[dict[str, Tensor]]):
        def __len__(self) -> int:
            return ROWS

        def __getitem__(self, index: int) -> dict[str, Tensor]:
            row = torch.from_numpy(stream[index * LENGTH : (index + 1) * LENGTH + 1])
            return {"input_ids": row[:-1], "labels": row[1:]}

    class Timer(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop = clock.step()

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH,
            max_steps=ROWS // BATCH,
            learning_rate=LR,
            lr_scheduler_type="constant",
            weight_decay=0.1,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            bf16=setting.half,
            torch_compile=setting.compiled,
            use_cpu=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_steps=10_000,
        )
        Trainer(_WithLoss(model), arguments, train_dataset=Rows(), callbacks=[Timer()]).train()
    return clock.rate


def litgpt(setting: Setting) -> float:
    """A plain loop over litgpt's model: random rows of one file, autocast, clipping, fused AdamW."""
    from litgpt import GPT, Config

    size = Size(setting.width)
    config = Config(
        n_layer=size.depth,
        n_embd=size.width,
        n_head=size.heads,
        block_size=LENGTH,
        padded_vocab_size=VOCAB,
        rotary_percentage=1.0,
        norm_class_name="RMSNorm",
        mlp_class_name="GptNeoxMLP",
        intermediate_size=MLP_RATIO * size.width,
        parallel_residual=False,
        bias=False,
        lm_head_bias=False,
    )
    model: Any = GPT(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    called = torch.compile(model) if setting.compiled else model
    clock = Clock(setting.seconds)
    stream, draw = tokens(), np.random.default_rng(0)
    while True:
        starts = draw.integers(0, len(stream) - LENGTH - 1, BATCH)
        rows = torch.from_numpy(np.stack([stream[s : s + LENGTH + 1] for s in starts]).astype(np.int64))
        with torch.autocast("cpu", torch.bfloat16, enabled=setting.half):
            logits = called(rows[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if clock.step():
            return clock.rate


def stacked(setting: Setting, models: int = 4) -> float:
    """Several models of one size in one process, their matrix products batched: tokens per second of all together."""
    from torch.func import functional_call, grad, stack_module_state, vmap

    from trainer.attention import explicit_attention

    torch.manual_seed(0)
    members = [Transformer(Size(setting.width), VOCAB, LENGTH, seed=seed) for seed in range(models)]
    weights, buffers = stack_module_state(members)  # type: ignore[arg-type]
    template = members[0].to("meta")
    F.scaled_dot_product_attention = lambda q, k, v, is_causal: explicit_attention(q, k, v)  # type: ignore[assignment]

    def loss(weights: dict[str, Tensor], buffers: dict[str, Tensor], rows: Tensor) -> Tensor:
        logits = functional_call(template, (weights, buffers), (rows[:, :-1],))
        return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())

    gradient: Callable[..., Any] = vmap(grad(loss))
    gradient = torch.compile(gradient) if setting.compiled else gradient
    for weight in weights.values():
        weight.requires_grad_()
    optimizer = torch.optim.AdamW(weights.values(), lr=LR, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    clock = Clock(setting.seconds)
    stream = tokens()
    step = 0
    while True:
        starts = (np.arange(models * BATCH) + step * models * BATCH) % ROWS * LENGTH
        rows = torch.from_numpy(stream[starts[:, None] + np.arange(LENGTH + 1)].astype(np.int64))
        with torch.autocast("cpu", torch.bfloat16, enabled=setting.half):
            slopes = gradient({n: w.detach() for n, w in weights.items()}, buffers, rows.view(models, BATCH, -1))
        square = sum(slope.flatten(1).square().sum(1) for slope in slopes.values())
        shrink = (1.0 / (square.sqrt() + 1e-6)).clamp(max=1.0)
        for name, weight in weights.items():
            weight.grad = slopes[name] * shrink.view(-1, *[1] * (weight.ndim - 1))
        optimizer.step()
        step += 1
        if clock.step():
            return clock.rate * models


CONTENDERS: dict[str, Callable[[Setting], float]] = {
    "ours": ours,
    "huggingface": huggingface,
    "huggingface-loop": huggingface_loop,
    "litgpt": litgpt,
    "stacked": stacked,
}

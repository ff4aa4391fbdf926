from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from trainer.attention import explicit_attention
from trainer.evaluate import evaluate
from trainer.model import Transformer, rotary_table, rotate
from trainer.sizes import HEAD_DIM, Size

VOCAB = 61


@pytest.fixture
def model() -> Transformer:
    return Transformer(Size(64), VOCAB, 24, seed=1)


@pytest.mark.parametrize("width", [32, 64, 128, 256])
def test_parameter_counts_by_group_are_those_of_the_module(width: int) -> None:
    size = Size(width)
    built = Transformer(size, VOCAB, 8, seed=0)
    groups = {"embedding": 0, "attention": 0, "mlp": 0, "norm": 0, "head": 0}
    for name, parameter in built.named_parameters():
        group = next(
            g
            for g, part in {
                "norm": "norm",
                "embedding": "embedding",
                "attention": "attention.",
                "mlp": "blocks",
                "head": "head",
            }.items()
            if part in name
        )
        groups[group] += parameter.numel()
    assert groups == size.parameters(VOCAB)
    assert size.non_embedding == sum(groups.values()) - groups["embedding"] - groups["head"]
    assert size.flops_per_token(VOCAB) == 6 * (size.non_embedding + VOCAB * width)


@pytest.mark.parametrize("width", [0, -32, 33, True])
def test_impossible_widths_are_refused(width: int) -> None:
    with pytest.raises(ValueError, match="width must be"):
        Size(width)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_written_out_attention_is_the_fused_one(dtype: torch.dtype, tolerance: float) -> None:
    draw = torch.Generator().manual_seed(0)
    q, k, v, weight = (torch.randn(2, 3, 17, 32, generator=draw).to(dtype) for _ in range(4))
    found = []
    for attend in (explicit_attention, partial(F.scaled_dot_product_attention, is_causal=True)):
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        mixed = attend(*inputs)
        (mixed * weight).sum().backward()
        found.append([mixed, *(x.grad for x in inputs)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_later_tokens_do_not_change_earlier_logits(model: Transformer) -> None:
    tokens = torch.randint(0, VOCAB, (2, 24), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[:, 15:] = (changed[:, 15:] + 1) % VOCAB
    with torch.inference_mode():
        before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :15], after[:, :15], rtol=0, atol=1e-6)
    assert (before[:, 15:] - after[:, 15:]).abs().max() > 1e-3


def test_earlier_tokens_do_change_later_logits(model: Transformer) -> None:
    tokens = torch.zeros(1, 24, dtype=torch.long)
    changed = tokens.clone()
    changed[0, 0] = 7
    with torch.inference_mode():
        assert (model(tokens)[0, -1] - model(changed)[0, -1]).abs().max() > 1e-6


def test_rotary_dot_products_depend_on_distance_only_and_norms_are_kept() -> None:
    cos, sin = rotary_table(40, HEAD_DIM)
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, HEAD_DIM, generator=generator)
    turned_q = rotate(q.expand(1, 40, 1, -1), cos, sin)[0, :, 0]
    turned_k = rotate(k.expand(1, 40, 1, -1), cos, sin)[0, :, 0]
    products = turned_q @ turned_k.T
    for distance in (0, 1, 7, 30):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[0].expand_as(along), rtol=0, atol=1e-4)
    assert products.diagonal(0)[0] - products.diagonal(7)[0] != pytest.approx(0, abs=1e-3)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm().expand(40), rtol=1e-5, atol=0)


def test_the_seed_decides_the_weights() -> None:
    first, same, other = (Transformer(Size(32), VOCAB, 8, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_untrained_loss_is_that_of_a_uniform_guess(model: Transformer) -> None:
    rows = torch.randint(0, VOCAB, (16, 25), generator=torch.Generator().manual_seed(0))
    assert evaluate(model, rows).mean == pytest.approx(torch.log(torch.tensor(VOCAB)).item(), abs=0.05)


def test_loss_and_standard_error_are_those_of_a_direct_computation(model: Transformer) -> None:
    rows = torch.randint(0, VOCAB, (70, 11), generator=torch.Generator().manual_seed(2))
    each = []
    with torch.inference_mode():
        for row in rows:
            log_p = model(row[None, :-1])[0].double().log_softmax(-1)
            each.append(-sum(float(log_p[t, row[t + 1]]) for t in range(10)) / 10)
    mean = sum(each) / 70
    se = (sum((x - mean) ** 2 for x in each) / 69 / 70) ** 0.5
    loss = evaluate(model, rows)
    assert loss.mean == pytest.approx(mean, rel=1e-5)
    assert loss.se == pytest.approx(se, rel=1e-4)


def test_evaluation_leaves_the_model_as_it_was(model: Transformer) -> None:
    model.train()
    evaluate(model, torch.zeros(2, 5, dtype=torch.long))
    assert model.training
    with pytest.raises(ValueError, match="at least 2 validation rows, got 1"):
        evaluate(model, torch.zeros(1, 5, dtype=torch.long))

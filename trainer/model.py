"""Decoder-only transformer: RMSNorm, rotary embedding, causal scaled dot-product attention, squared ReLU.

Shapes are written as suffixes: B rows, T positions, C width, H heads, D head width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.attention import causal_attention
from trainer.sizes import HEAD_DIM, MLP_RATIO, Size

ROPE_BASE = 10_000.0


def rotary_table(length: int, dim: int, base: float = ROPE_BASE) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the rotary angles ``t * base**(-2 i / dim)``, both of shape (length, dim).

    Source: Su et al. 2021, RoFormer, equation 34, in the half-split order of GPT-NeoX.
    """
    frequency = base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency).repeat(1, 2)
    return angle.cos().float(), angle.sin().float()


def rotate(x_BTHD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
    """Rotate every head of every position by its angle; norms are kept, dot products see only distances."""
    first, second = x_BTHD.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return torch.addcmul(x_BTHD * cos_TD[:, None], turned, sin_TD[:, None])


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.qkv = nn.Linear(size.width, 3 * size.width, bias=False)
        self.out = nn.Linear(size.width, size.width, bias=False)

    def forward(self, x_BTC: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
        rows, length, width = x_BTC.shape
        qkv = self.qkv(x_BTC).view(rows, length, 3 * self.heads, HEAD_DIM)
        qk = rotate(qkv[:, :, : 2 * self.heads], cos_TD, sin_TD).transpose(1, 2)
        q, k = qk.chunk(2, dim=1)
        v = qkv[:, :, 2 * self.heads :].transpose(1, 2)
        mixed = causal_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        return out


class Block(nn.Module):
    """Pre-norm attention and a feed-forward layer with squared ReLU (So et al. 2021, Primer)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.norm_attention = nn.RMSNorm(size.width, eps=1e-6)
        self.attention = Attention(size)
        self.norm_mlp = nn.RMSNorm(size.width, eps=1e-6)
        self.up = nn.Linear(size.width, MLP_RATIO * size.width, bias=False)
        self.down = nn.Linear(MLP_RATIO * size.width, size.width, bias=False)

    def forward(self, x_BTC: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
        x_BTC = x_BTC + self.attention(self.norm_attention(x_BTC), cos_TD, sin_TD)
        out: Tensor = x_BTC + self.down(F.relu(self.up(self.norm_mlp(x_BTC))).square())
        return out


class Transformer(nn.Module):
    """The language model: tokens (B, T) to next-token logits (B, T, V).

    Args:
        size: its width, from which depth and heads follow.
        vocab: vocabulary size in tokens.
        length: longest row in tokens.
        seed: seed of the initial weights; equal seeds give equal weights.
    """

    def __init__(self, size: Size, vocab: int, length: int, seed: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.depth))
        self.norm = nn.RMSNorm(size.width, eps=1e-6)
        self.head = nn.Linear(size.width, vocab, bias=False)
        cos, sin = rotary_table(length, HEAD_DIM)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.cos: Tensor
        self.sin: Tensor
        self._initialise(seed, size.depth)
        counted = sum(p.numel() for p in self.parameters())
        expected = size.parameters(vocab)
        assert counted == sum(expected.values()), f"model has {counted} parameters, sizes.py says {expected}"

    def _initialise(self, seed: int, depth: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.ndim < 2:
                continue
            # Branches that end in the residual stream are scaled down: its variance must not grow with depth.
            residual = name.endswith(("out.weight", "down.weight"))
            scale = 0.02 if name.startswith(("embedding", "head")) else weight.shape[1] ** -0.5
            nn.init.normal_(weight, std=scale / (2 * depth) ** 0.5 if residual else scale, generator=generator)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        length = tokens_BT.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        x = self.embedding(tokens_BT)
        for block in self.blocks:
            x = block(x, cos, sin)
        logits: Tensor = self.head(self.norm(x))
        return logits

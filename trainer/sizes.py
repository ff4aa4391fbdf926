"""Model sizes: one dial, the width. Depth, heads and every parameter count follow from it."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_DIM = 32
"""Width of one attention head."""
ASPECT = 48
"""Width per layer: depth is width / ASPECT, at least two layers."""
MLP_RATIO = 4


@dataclass(frozen=True)
class Size:
    """A decoder-only transformer of a given width.

    Args:
        width: residual stream width, a positive multiple of ``HEAD_DIM``.

    Raises:
        ValueError: if the width is not a positive multiple of ``HEAD_DIM``.
    """

    width: int

    def __post_init__(self) -> None:
        if isinstance(self.width, bool) or not isinstance(self.width, int) or self.width < 1:
            raise ValueError(f"size: the width must be a positive whole number, got {self.width!r}")
        if self.width % HEAD_DIM:
            near = max(1, round(self.width / HEAD_DIM)) * HEAD_DIM
            raise ValueError(f"size: the width must be a multiple of {HEAD_DIM}, got {self.width}; try {near}")

    @property
    def depth(self) -> int:
        """Number of transformer blocks."""
        return max(2, round(self.width / ASPECT))

    @property
    def heads(self) -> int:
        """Number of attention heads in a block."""
        return self.width // HEAD_DIM

    def parameters(self, vocab: int) -> dict[str, int]:
        """Parameter counts by group, for a vocabulary of ``vocab`` tokens.

        Groups: ``embedding``, ``attention``, ``mlp``, ``norm``, ``head``. The model asserts that they add up.
        """
        w, depth = self.width, self.depth
        return {
            "embedding": vocab * w,
            "attention": depth * 4 * w * w,
            "mlp": depth * 2 * MLP_RATIO * w * w,
            "norm": depth * 2 * w + w,
            "head": vocab * w,
        }

    @property
    def non_embedding(self) -> int:
        """N of the scaling laws: all parameters except the embedding and the output head."""
        groups = self.parameters(vocab=0)
        return groups["attention"] + groups["mlp"] + groups["norm"]

    def flops_per_token(self, vocab: int) -> int:
        """Training FLOPs per token, ``6 (N + head)``: Kaplan et al. 2020, section 2.1, with the output head,
        which is a large share of a small model, and without the attention scores.
        """
        return 6 * (self.non_embedding + self.parameters(vocab)["head"])

"""Validation loss of a model on fixed rows, with its standard error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class Loss:
    """A mean cross-entropy and its standard error over rows, both in nats per token."""

    mean: float
    se: float


@torch.inference_mode()
def evaluate(model: nn.Module, rows: Tensor) -> Loss:
    """Mean loss over rows, ``mean_i l_i``, and its standard error ``sd(l_i) / sqrt(n)``.

    l_i is the mean over the tokens of row i. Tokens of one row are not independent, so rows are the sample.

    Args:
        model: tokens (B, T) to logits (B, T, V).
        rows: token rows, (n, T + 1), n at least 2.

    Raises:
        ValueError: with fewer than two rows, where a standard error does not exist.
    """
    if len(rows) < 2:
        raise ValueError(f"evaluate: a standard error needs at least 2 validation rows, got {len(rows)}")
    was_training = model.training
    model.eval()
    losses = []
    for batch in rows.split(ROWS_AT_ONCE):
        logits = model(batch[:, :-1])
        each = F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten(), reduction="none")
        losses.append(each.view(len(batch), -1).double().mean(1))
    model.train(was_training)
    loss = torch.cat(losses)
    return Loss(float(loss.mean()), float(loss.std(unbiased=True) / len(loss) ** 0.5))

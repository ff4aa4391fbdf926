"""Validation loss of a model on fixed rows, with its standard error."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.backend import Backend

ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class Loss:
    """A mean cross-entropy and its standard error over rows, both in nats per token.

    Args:
        mean: ``mean_i l_i``.
        se: ``sd(l_i) / sqrt(n)``, of the validation set as a sample: shared by all that is measured on these rows.
        rows: l_i, so that two models can be compared row by row, without that error.
    """

    mean: float
    se: float
    rows: tuple[float, ...] = field(default=(), repr=False)


@torch.no_grad()
def evaluate(model: nn.Module, rows: Tensor, backend: Backend | None = None) -> Loss:
    """Mean loss over rows, ``mean_i l_i``, and its standard error ``sd(l_i) / sqrt(n)``.

    l_i is the mean over the tokens of row i. Tokens of one row are not independent, so rows are the sample. Several
    processes share the rows; all of them get the result.

    Args:
        model: tokens (B, T) to logits (B, T, V).
        rows: token rows, (n, T + 1), n at least 2.
        backend: where it computes; None is one process on the CPU in float32.

    Raises:
        ValueError: with fewer than two rows, where a standard error does not exist.
    """
    if len(rows) < 2:
        raise ValueError(f"evaluate: a standard error needs at least 2 validation rows, got {len(rows)}")
    backend = backend or Backend()
    was_training = model.training
    model.eval()
    each = -(-len(rows) // backend.world)
    # The last process may be short of rows; it takes some twice, because all must call the model equally often.
    own = torch.arange(backend.rank * each, (backend.rank + 1) * each) % len(rows)
    losses = []
    for batch in rows[own].split(backend.rows or ROWS_AT_ONCE):
        placed = batch.to(backend.device)
        with backend.autocast():
            logits = model(placed[:, :-1])
        token = F.cross_entropy(logits.flatten(0, 1).float(), placed[:, 1:].flatten(), reduction="none")
        losses.append(token.view(len(batch), -1).double().mean(1))
    model.train(was_training)
    loss = backend.gather(torch.cat(losses))[: len(rows)]
    return Loss(float(loss.mean()), float(loss.std(unbiased=True) / len(loss) ** 0.5), tuple(loss.tolist()))

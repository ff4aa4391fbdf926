"""Perplexity of packed rows under a model, and the score file that an order reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.curriculum import check_scores
from trainer.files import atomic_path
from trainer.shards import Shard

ROWS_AT_ONCE = 32


@torch.no_grad()
def score_rows(model: nn.Module, rows: Tensor, batch: int = ROWS_AT_ONCE) -> NDArray[np.float64]:
    """Perplexity of every row, ``exp(mean_t -log p(x_t | x_<t))`` over its T targets.

    Computed where the model is, and the model is left as it was.

    Args:
        model: tokens (B, T) to logits (B, T, V).
        rows: token rows, (n, T + 1).
        batch: rows in one call of the model.

    Raises:
        ValueError: if ``rows`` has another shape, or naming rows whose perplexity is not finite.
    """
    if rows.ndim != 2 or len(rows) < 1 or rows.shape[1] < 2:
        raise ValueError(f"perplexity: expected rows of shape (n, T + 1) with n and T at least 1, got {(*rows.shape,)}")
    device = next((parameter.device for parameter in model.parameters()), rows.device)
    was_training = model.training
    model.eval()
    losses = []
    for part in rows.split(batch):
        placed = part.to(device)
        token = F.cross_entropy(model(placed[:, :-1]).flatten(0, 1).float(), placed[:, 1:].flatten(), reduction="none")
        losses.append(token.view(len(placed), -1).double().mean(1).cpu())
    model.train(was_training)
    return check_scores(torch.cat(losses).exp().numpy(), len(rows), "perplexity")


def write_scores(path: Path, model: nn.Module, shard: Shard, batch: int = ROWS_AT_ONCE) -> NDArray[np.float64]:
    """Score every row of a shard and write the perplexities to ``path``, a .npy file, atomically.

    Rows are read a batch at a time: the shard may be larger than memory.

    Args:
        path: where to.
        model: tokens (B, T) to logits (B, T, V).
        shard: the packed rows.
        batch: rows in one call of the model.

    Raises:
        ValueError: naming the first rows whose perplexity is not finite; nothing is written then.
    """
    if path.suffix != ".npy":
        raise ValueError(f"{path}: expected a name that ends in .npy, got {path.name!r}")
    scores = np.empty(shard.header.rows)
    for start in range(0, len(scores), batch):
        indices = list(range(start, min(start + batch, len(scores))))
        try:
            scores[indices] = score_rows(model, torch.from_numpy(shard.rows(indices)), batch)
        except ValueError as error:
            raise ValueError(f"rows from {start} of the shard: {error}") from error
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, scores)
    return scores

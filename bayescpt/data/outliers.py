"""Single losses that stick out of their run."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from bayescpt.data.table import Table
from bayescpt.schema import TARGETS

STICKS_OUT = 0.1
"""Part of the loss. The sharpest turn after the start of a run of ours, the re-warming peak, has half of it."""
TIMES = 8.0
"""So many times what is usual in the table it has to be too: losses of a noisy table stick out everywhere."""


def excesses(table: Table) -> tuple[Int[np.ndarray, " inner"], Float[np.ndarray, " inner"], float]:
    """By how much rows lie above (or below) both checkpoints around them: the lesser of the two, in log loss, 0 for one
    between them; the rows, these, and the median distance from the line between the two, over log tokens.

    First and last rows of a run have one neighbour and are none of them.
    """
    order = np.lexsort((table.tokens, table.domain, table.target, table.run))
    series = np.stack([values[order] for values in (table.run, table.target, table.domain)])
    inner = np.flatnonzero((series[:, :-2] == series[:, 2:]).all(axis=0)) + 1
    log_loss, log_tokens = np.log(table.loss[order]), np.log(table.tokens[order])
    before, after = (log_loss[inner] - log_loss[inner + step] for step in (-1, 1))
    away = np.where(before * after > 0, np.sign(before) * np.minimum(np.abs(before), np.abs(after)), 0.0)
    part = (log_tokens[inner] - log_tokens[inner - 1]) / (log_tokens[inner + 1] - log_tokens[inner - 1])
    usual = float(np.median(np.abs((1 - part) * before + part * after))) if len(inner) else 0.0
    return order[inner], away, usual


def outlying(table: Table) -> list[str]:
    """The losses that stick out, and by how much, in words."""
    rows, away, usual = excesses(table)
    found = np.flatnonzero(np.abs(away) > max(STICKS_OUT, TIMES * usual))
    return [
        f"{table.runs[table.run[row]]!r} at {table.tokens[row]:.4g} tokens, {TARGETS[table.target[row]]} loss "
        f"{table.loss[row]:.4g} ({np.expm1(off):+.0%})"
        for row, off in zip(rows[found], away[found], strict=True)
    ]

"""The rows of a table as the rectangular arrays a NumPyro program needs: (target, domain, row), padded and masked.

Padding is to a multiple of a block, so that a table with a few rows more keeps its shapes and nothing is compiled
again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from bayescpt.data.table import Table
from bayescpt.laws import BILLION, Law, Point, Reference
from bayescpt.schema import GENERAL, TARGETS

ROW_BLOCK = 16
RUN_BLOCK = 4

BASE_SHARE = np.array([1.0 if target == GENERAL else 0.0 for target in TARGETS])
"""The base was trained on the general corpus and has not seen the domain as such."""


class Rows(NamedTuple):
    """Training rows (tokens > 0), grouped. Axes: target, domain, row; padded rows are masked out."""

    point: Point
    """fields of shape (target, domain, row); sizes and tokens in billions"""
    loss: Float[Array, "target domain row"]
    run: Int[Array, "target domain row"]
    """slot of the row's run among the runs of its domain"""
    progress: Float[Array, "target domain row"]
    """position along the run in log tokens: 0 at the table's first checkpoint, 1 at its last"""
    mask: Bool[Array, "target domain row"]
    run_mask: Bool[Array, "target domain slot"]
    """slots that hold a run with rows of that target"""


class Layout(NamedTuple):
    """Grouped rows, and how to lead each of them back to the table."""

    rows: Rows
    row_index: Int[np.ndarray, "target domain row"]
    """position of the row in the table; -1 where padded"""
    runs: Int[np.ndarray, "domain slot"]
    """code of the run in the table; -1 where padded"""


def reference_of(table: Table) -> Reference:
    """The reference point of a table: the middle of its sizes, the last decade of its tokens."""
    size = math.sqrt(table.size.min() * table.size.max())
    return Reference(
        size=size / BILLION,
        tokens=float(table.tokens.max()) / math.sqrt(10) / BILLION,
        tokens_min=float(table.tokens.min()) / BILLION,
    )


def progress_of(tokens: Float[Array, "*shape"], reference: Reference) -> Float[Array, "*shape"]:
    """Position of ``tokens`` (billions) between the table's first and last checkpoint in log tokens, held to [0, 1]."""
    span = math.log(reference.tokens * math.sqrt(10) / reference.tokens_min)
    along = jnp.log(tokens / reference.tokens_min) / span if span > 0 else jnp.ones_like(tokens)
    return jnp.clip(along, 0.0, 1.0)


def _padded(count: int, block: int) -> int:
    return max(block, -(-count // block) * block)


def layout_of(table: Table, law: Law) -> Layout:
    """Group the rows of ``table`` by target and domain for ``law``.

    Raises ValueError where the law starts at the base's loss and a row has none.
    """
    if law.needs_base and np.isnan(table.base_loss).any():
        lost = sorted({table.bases[code] for code in table.base[np.isnan(table.base_loss)]})
        raise ValueError(
            f"the law '{law.name}' starts at the base's loss, and {int(np.isnan(table.base_loss).sum())} rows "
            f"have no base loss: add rows with tokens = 0 for every domain and target of {', '.join(lost)}, "
            "or fit with --law dcpt"
        )
    targets, domains = len(TARGETS), len(table.domains)
    members = [
        [np.flatnonzero((table.target == t) & (table.domain == d)) for d in range(domains)] for t in range(targets)
    ]
    runs_of = [np.unique(table.run[table.domain == d]) for d in range(domains)]
    width = _padded(max(len(m) for row in members for m in row), ROW_BLOCK)
    slots = _padded(max(len(r) for r in runs_of), RUN_BLOCK)

    index = np.full((targets, domains, width), -1)
    runs = np.full((domains, slots), -1)
    run = np.zeros((targets, domains, width), dtype=np.int64)
    run_mask = np.zeros((targets, domains, slots), dtype=bool)
    for d, codes in enumerate(runs_of):
        runs[d, : len(codes)] = codes
        for t in range(targets):
            rows = members[t][d]
            index[t, d, : len(rows)] = rows
            run[t, d, : len(rows)] = np.searchsorted(codes, table.run[rows])
            run_mask[t, d, np.unique(run[t, d, : len(rows)])] = len(rows) > 0
    mask = index >= 0

    def column(values: Float[np.ndarray, " table_row"], fill: float) -> Float[Array, "target domain row"]:
        return jnp.asarray(np.where(mask, values[index], fill))

    typical = reference_of(table)
    # a padded row holds a harmless point, so that neither its value nor its gradient can be NaN
    point = Point(
        size=column(table.size / BILLION, typical.size),
        tokens=column(table.tokens / BILLION, typical.tokens),
        share=column(table.share, 0.5),
        base_loss=column(table.base_loss, 1.0),
        base_share=jnp.broadcast_to(BASE_SHARE[:, None, None], mask.shape),
    )
    grouped = Rows(
        point=point,
        loss=column(table.loss, 1.0),
        run=jnp.asarray(run),
        progress=progress_of(point.tokens, typical),
        mask=jnp.asarray(mask),
        run_mask=jnp.asarray(run_mask),
    )
    return Layout(rows=grouped, row_index=index, runs=runs)

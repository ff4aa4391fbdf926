"""The stream of a run: from its mixes, orders and limits to rows of its sources."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from trainer.bases import BaseSpec
from trainer.curriculum import ORIGINAL, RANDOM, Order
from trainer.mixture import Mixture, Phase
from trainer.spec import RunSpec, Spec


def usable_rows(spec: Spec, rows: dict[str, int]) -> dict[str, int]:
    """Rows of every source that the run may read: all that there are, or as many as its limit allows.

    Args:
        spec: the run.
        rows: rows that every source has.

    Raises:
        ValueError: for a limit above what there is, which would simulate nothing.
    """
    if isinstance(spec, BaseSpec):
        return rows
    limited = {name: limit // spec.training.length for name, limit in spec.limits.items()}
    faults = [
        f"{name}: limited to {limit} rows of {spec.training.length} tokens, but there are only {rows[name]}"
        for name, limit in limited.items()
        if limit > rows[name]
    ]
    if faults:
        raise ValueError("limits: " + "; ".join(faults))
    return {**rows, **limited}


def stream_of(
    spec: Spec, rows: dict[str, int], scores: Mapping[str, NDArray[np.float64]] | None = None, ordered: bool = True
) -> Mixture:
    """The stream of a run, that of its trunk before it.

    Args:
        spec: the run.
        rows: rows that every source has.
        scores: score of every row of the sources that are read by score.
        ordered: False leaves out in which order sources are read, where only counts are asked for.
    """
    training = spec.training
    total = training.steps * training.batch
    if isinstance(spec, BaseSpec):
        return Mixture((Phase(0, {spec.general: 1.0}),), rows, total, spec.stream_seed)
    rows = usable_rows(spec, rows)
    orders = {
        name: partial(_positions, _order(spec, name, kind, (scores or {}).get(name), rows[name]), rows[name])
        for name, kind in spec.orders.items()
        if ordered and kind != RANDOM
    }
    start = spec.start_tokens // training.length
    before = None if spec.trunk is None else (stream_of(spec.trunk, rows, scores, ordered), start)
    phases = tuple(Phase(mix.start // training.length, mix.shares) for mix in spec.mixes)
    return Mixture(phases, rows, total, spec.stream_seed, before, orders, spec.max_epochs)


def _order(spec: RunSpec, name: str, kind: str, scores: NDArray[np.float64] | None, rows: int) -> Order:
    """How a source is read that is not shuffled; a limited source is scored as far as it may be read."""
    if kind == ORIGINAL:
        return Order(kind, name, read_by=(spec.base.stream_seed, name))
    return Order(kind, name, None if scores is None else scores[:rows])


def _positions(order: Order, rows: int, epoch: int) -> NDArray[np.int64]:
    return order.positions(rows, epoch, seed=0)  # the seed is of shuffled orders, which the mixture makes itself

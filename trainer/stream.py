"""The stream of a run: from its mixes, orders and limits to rows of its sources."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from trainer.bases import BaseSpec
from trainer.mixture import Mixture, Phase, shuffled
from trainer.spec import ORIGINAL, Spec


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


def stream_of(spec: Spec, rows: dict[str, int]) -> Mixture:
    """The stream of a run, that of its trunk before it.

    Args:
        spec: the run.
        rows: rows that every source has.
    """
    training = spec.training
    total = training.steps * training.batch
    if isinstance(spec, BaseSpec):
        return Mixture((Phase(0, {spec.general: 1.0}),), rows, total, spec.stream_seed)
    rows = usable_rows(spec, rows)
    base = spec.base
    orders = {
        name: partial(_original, base, rows[name])
        for name, order in spec.orders.items()
        if order == ORIGINAL and isinstance(base, BaseSpec)
    }
    before = None if spec.trunk is None else (stream_of(spec.trunk, rows), spec.start_tokens // training.length)
    phases = tuple(Phase(mix.start // training.length, mix.shares) for mix in spec.mixes)
    return Mixture(phases, rows, total, spec.stream_seed, before, orders, spec.max_epochs)


def _original(base: BaseSpec, rows: int, epoch: int) -> NDArray[np.int64]:
    """The order in which the base read its corpus: compute-equivalent replay (Ibrahim et al. 2024, section 4.2)."""
    return shuffled(base.stream_seed, base.general, rows, epoch)

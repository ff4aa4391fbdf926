"""What each training run of a table was: its setting, its checkpoints, its learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayescpt.data.table import Table

SAME_RATIO = 0.01
"""Realised ratios closer than this come from one requested ratio."""


@dataclass(frozen=True)
class Run:
    """One training run in numbers.

    Args:
        ratio: realised share of domain tokens at the last checkpoint.
        first, last: tokens at the first and last checkpoint.
        lr_peak: largest learning rate at any checkpoint, or None if the table has no ``lr``.
        lr_end: learning rate at the last checkpoint as a fraction of ``lr_peak``, or None likewise.
        epochs: repetitions of the domain corpus at the last checkpoint, or None if the table has none.
    """

    name: str
    domain: str
    base: str
    size: float
    ratio: float
    first: float
    last: float
    seed: int | None
    lr_peak: float | None
    lr_end: float | None
    epochs: float | None


def runs_of(table: Table) -> tuple[Run, ...]:
    """The runs that have rows in the table, ordered by name."""
    order = np.argsort(table.run, kind="stable")
    starts = np.flatnonzero(np.diff(table.run[order], prepend=-1))
    return tuple(_run(table, rows) for rows in np.split(order, starts[1:]) if len(rows))


def _run(table: Table, rows: np.ndarray) -> Run:
    last = rows[np.argmax(table.tokens[rows])]
    lr_peak = lr_end = None
    if table.lr is not None:
        lr_peak = float(table.lr[rows].max())
        lr_end = float(table.lr[last]) / lr_peak if lr_peak > 0 else 0.0
    return Run(
        name=table.runs[table.run[last]],
        domain=table.domains[table.domain[last]],
        base=table.bases[table.base[last]],
        size=float(table.size[last]),
        ratio=float(table.ratio[last]),
        first=float(table.tokens[rows].min()),
        last=float(table.tokens[last]),
        seed=None if table.seed is None else int(table.seed[last]),
        lr_peak=lr_peak,
        lr_end=lr_end,
        epochs=None if table.domain_epochs is None else float(table.domain_epochs[last]),
    )


def trained_domains(table: Table) -> tuple[str, ...]:
    """The domains that have training rows: a table may know of others by the losses of its bases alone."""
    return tuple(table.domains[code] for code in np.unique(table.domain))


def distinct(values: Iterable[float], within: float) -> tuple[float, ...]:
    """Sorted values with those left out that lie within a distance of the one kept before."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > within:
            kept.append(value)
    return tuple(kept)


def phases_of_runs(table: Table) -> pd.DataFrame:
    """Every run at its end: domain, size, ratio, tokens, seed (-1 where unknown), and its last phase.

    ``phase_part`` and ``phase_ratio`` are 0 and ``trunk_ratio`` the ratio of a run that has one share throughout.
    """
    columns = {"run": table.run, "size": table.size, "ratio": table.ratio, "tokens": table.tokens}
    frame = pd.DataFrame(columns | {"domain": np.array(table.domains)[table.domain]})
    frame["seed"] = -1 if table.seed is None else table.seed
    start, late = (np.zeros(len(table)) if v is None else v for v in (table.phase_start, table.phase_ratio))
    frame["phase_part"] = np.where(start > 0, 1 - start / table.tokens, 0.0)
    frame["phase_ratio"] = np.where(start > 0, late, 0.0)
    part = frame["phase_part"]
    frame["trunk_ratio"] = ((frame["ratio"] - part * frame["phase_ratio"]) / (1 - part)).clip(0, 1)
    return frame.loc[frame.groupby("run")["tokens"].idxmax()].reset_index(drop=True)

"""Proxy runs that may be trained next, each with its cost: a table of candidates from a space of settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayescpt.data.names import fault_of_name
from bayescpt.data.runs import phases_of_runs
from bayescpt.data.table import Table
from bayescpt.design.branches import GRID, SAME, SAME_RATIO, Branches, branch_grid
from bayescpt.design.cost import Cost, cost_of

COLUMNS = (*GRID, "cost", "trunk_cost")
MOST = 1e18
"""Parameters and tokens that nobody will ask for."""


@dataclass(frozen=True)
class Space:
    """What may be trained: every combination of these.

    Args:
        domains: names; one that the table does not have is a new one.
        sizes: non-embedding parameters of the bases at hand.
        ratios: shares of the domain.
        tokens: lengths of runs.
        seeds: of runs; a setting that has been run with a seed of these is not offered with it again.
        continue_runs: whether a run of the table at a candidate's domain, size and ratio may be continued, which costs
            its further tokens only.
        branches: last phases that runs of the table may be given, under a law that knows phases.

    Raises ValueError naming everything that is wrong.

    Examples:
        >>> from bayescpt.design import Space
        >>> space = Space(domains=["cpp"], sizes=[98624, 590720], ratios=[0.3, 0.6], tokens=[204800])
        >>> space.seeds, space.continue_runs
        ((0,), False)
    """

    domains: Sequence[str]
    sizes: Sequence[float]
    ratios: Sequence[float]
    tokens: Sequence[float]
    seeds: Sequence[int] = field(default=(0,))
    continue_runs: bool = False
    branches: Branches | None = None

    def __post_init__(self) -> None:
        faults = [f"{name}: expected at least one" for name in self._axes if not len(getattr(self, name))]
        faults += [f"domains: {fault}" for one in self.domains if (fault := fault_of_name(one))]
        faults += [
            f"seeds: expected whole numbers of at least 0, got {one!r}" for one in self.seeds if not _is_seed(one)
        ]
        for name in ("sizes", "tokens"):
            for value in getattr(self, name):
                if not (is_number(value) and 1 <= value <= MOST):
                    faults.append(f"{name}: expected numbers from 1 to {MOST:g}, got {value!r}")
        faults += [
            f"ratios: expected shares within [0, 1], got {one!r}"
            for one in self.ratios
            if not (is_number(one) and 0 <= one <= 1)
        ]
        faults += [
            f"{name}: {', '.join(sorted(twice))} stands twice"
            for name in self._axes
            if (twice := {str(v) for v in getattr(self, name) if list(getattr(self, name)).count(v) > 1})
        ]
        if self.continue_runs and self.branches is not None:
            faults.append("continue_runs and branches exclude each other: the trainer's file can hold one of them")
        if faults:
            raise ValueError("; ".join(faults))

    @property
    def _axes(self) -> tuple[str, ...]:
        return "domains", "sizes", "ratios", "tokens", "seeds"


def is_number(value: object) -> bool:
    """Whether this is a finite number, and not true or false."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.isfinite(value))


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def candidates(space: Space, table: Table, cost: Cost | None = None) -> pd.DataFrame:
    """Every run of ``space`` that the table does not have, one row each, with its cost.

    ``start`` is the number of tokens that a run of the table has already, where it is continued or left for a branch;
    else 0. ``trunk_ratio``, ``phase_part`` and ``phase_ratio`` are those of a branch, see design/branches.py; its
    ``ratio`` and ``tokens`` are those of the whole run. ``trunk_cost`` is what of the cost of a branch training its
    trunk once more takes, which other branches of that trunk share. A setting that was run as long or longer is
    left out; where the table knows seeds, with its seed.

    Raises ValueError where nothing is left.

    Examples:
        >>> from bayescpt.design import Space, candidates
        >>> offered = candidates(Space(["cpp"], [98624, 590720], [0.25, 0.6], [204800]), table)
        >>> offered[["size", "ratio", "tokens"]]
               size  ratio    tokens
        0   98624.0    0.6  204800.0
        1  590720.0    0.6  204800.0
    """
    cost = cost_of(table) if cost is None else cost
    axes = (space.domains, space.sizes, space.ratios, space.tokens, space.seeds)
    grid = pd.MultiIndex.from_product(axes, names=COLUMNS[:5]).to_frame(index=False)
    grid = grid.astype({"size": float, "ratio": float, "tokens": float})
    grid = grid.assign(start=0.0, trunk_ratio=grid["ratio"], phase_part=0.0, phase_ratio=0.0)
    reached = reached_by(grid, table)
    if space.continue_runs:
        grid["start"] = reached
    grid["paid"] = grid["tokens"] - grid["start"]
    if space.branches is not None:
        more = branch_grid(space.branches, table, space.domains, space.sizes, space.seeds)
        if more.empty:
            raise ValueError(
                "branches: no run of the table has these domains, sizes and seeds, one share throughout, at least as "
                "many tokens as branches leave it at, and another share than they go on at"
            )
        grid = pd.concat([grid, more], ignore_index=True)
        reached = np.concatenate([reached, reached_by(more, table)])
    left = grid[reached < grid["tokens"] * (1 - SAME)]
    if left.empty:
        raise ValueError(
            "the space has no run that the table does not have already: add sizes, ratios, tokens or seeds"
        )
    size, paid = left["size"].to_numpy(), left["paid"].to_numpy()
    once_more = np.maximum(paid - (left["tokens"] - left["start"]).to_numpy(), 0.0)
    left = left.assign(cost=cost.of(size, paid), trunk_cost=cost.of(size, once_more))
    return left[list(COLUMNS)].reset_index(drop=True)


def alike(runs: pd.DataFrame, other: Any) -> np.ndarray:
    """Which runs have the domain, size and ratio of another one, whatever their seeds and lengths.

    Branches are alike that leave the same trunk at the same point for the same share.
    """
    return _Settings.of(runs).like(other)


class _Settings(NamedTuple):
    """What tells runs apart, as arrays: many comparisons with one run each are then quick."""

    domain: np.ndarray
    size: np.ndarray
    ratio: np.ndarray
    late: np.ndarray
    point: np.ndarray
    """tokens after which a branch leaves its trunk; 0 of other runs"""

    @classmethod
    def of(cls, runs: pd.DataFrame) -> _Settings:
        size, ratio, late, part, tokens = (
            runs[name].to_numpy(float) for name in ("size", "trunk_ratio", "phase_ratio", "phase_part", "tokens")
        )
        point = np.where(part > 0, (1 - part) * tokens, 0.0)
        return cls(runs["domain"].to_numpy(object), size, ratio, late, point)

    def like(self, other: Any) -> np.ndarray:
        point = (1 - other.phase_part) * other.tokens if other.phase_part > 0 else 0.0
        here = np.abs(self.size - other.size) <= SAME * other.size  # as np.isclose in branches.py
        here &= np.abs(self.ratio - other.trunk_ratio) < SAME_RATIO
        here &= np.abs(self.late - other.phase_ratio) < SAME_RATIO
        here &= np.abs(self.point - point) <= SAME * max(point, 1.0)
        here[here] = self.domain[here] == other.domain
        return here


def reached_by(grid: pd.DataFrame, table: Table) -> np.ndarray:
    """Tokens of the longest run of the table at every setting (domain, size, ratio, seed); 0 where there is none."""
    runs, settings, seeds = phases_of_runs(table), _Settings.of(grid), grid["seed"].to_numpy()
    found = np.zeros(len(grid))
    for run in runs.itertuples():
        here = settings.like(run)
        if table.seed is not None:
            here &= seeds == run.seed
        found[here] = np.maximum(found[here], run.tokens)
    return found

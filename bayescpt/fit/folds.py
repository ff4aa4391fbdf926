"""Ways to hold rows out: each says what a law is asked to foresee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from bayescpt.data.runs import SAME_RATIO, distinct
from bayescpt.data.table import Table

EARLY = 1 / 3
"""Part of a run's tokens that is seen where its end is held out."""


@dataclass(frozen=True)
class Fold:
    """Rows that are held out together."""

    name: str
    held: Bool[np.ndarray, " row"]


def planned_ratio(table: Table) -> Float[np.ndarray, " row"]:
    """Ratio at the end of each row's run, the least of those within 0.01 of it: what the run was meant to be."""
    last = np.full(len(table.runs), -1.0)
    order = np.argsort(table.tokens, kind="stable")
    last[table.run[order]] = table.ratio[order]
    kept = np.array(distinct(last[np.unique(table.run)], SAME_RATIO))
    # the last of those kept that is not above: what is left out lies up to SAME_RATIO above one that is kept
    return np.round(kept[np.searchsorted(kept, last, side="right") - 1], 3)[table.run]


def _each(kind: str, values: np.ndarray, told: Callable[[float], str]) -> list[Fold]:
    return [Fold(f"{kind} {told(value)}", values == value) for value in np.unique(values)]


def by_run(table: Table) -> list[Fold]:
    """Every run by itself."""
    return _each("run", table.run, lambda code: table.runs[int(code)])


def by_ratio(table: Table) -> list[Fold]:
    """All runs of one ratio."""
    return _each("ratio", planned_ratio(table), lambda ratio: f"{ratio:g}")


def by_size(table: Table) -> list[Fold]:
    """All runs of one size; losses of the base itself stay."""
    return _each("size", table.size, lambda size: f"{size:.4g}")


def by_domain(table: Table) -> list[Fold]:
    """All runs on one domain."""
    return _each("domain", table.domain, lambda code: table.domains[int(code)])


def by_tokens(table: Table) -> list[Fold]:
    """The last two thirds of the tokens of every run, foreseen like those of a run of which nothing was seen."""
    last = np.zeros(len(table.runs))
    np.maximum.at(last, table.run, table.tokens)
    return [Fold("tokens beyond a third of every run", table.tokens > EARLY * last[table.run])]


FOLDS: dict[str, Callable[[Table], list[Fold]]] = {
    "run": by_run,
    "ratio": by_ratio,
    "size": by_size,
    "domain": by_domain,
    "tokens": by_tokens,
}


def check_folds(by: str) -> None:
    """Raise ValueError where no folds have this name."""
    if by not in FOLDS:
        raise ValueError(f"no folds are called '{by}'; on offer: {', '.join(FOLDS)}")


def folds_of(table: Table, by: str) -> list[Fold]:
    """The folds of a table.

    Raises ValueError for an unknown way to fold, and where a fold would leave nothing to learn from.
    """
    check_folds(by)
    folds = FOLDS[by](table)
    whole = [fold.name for fold in folds if fold.held.all() or not fold.held.any()]
    if whole:
        raise ValueError(f"the rows cannot be held out by {by}: {', '.join(whole)} is all there is, or nothing")
    return folds

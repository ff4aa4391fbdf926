"""What each source of a mix is worth: branches with one source left out, against the branch with all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd

from trainer.records import FINISHED, Record
from trainer.settings import settings_of
from trainer.spec import RunSpec
from trainer.study import Study

LEVEL = 0.90
"""Of the intervals."""


def utilities(study: Study, out: Path) -> pd.DataFrame:
    """Utility of every source that was left out, in nats per token: loss without it less loss with all sources.

    Source: Blakeney et al. 2024 (2406.03476), section 3.4: same checkpoint, same window, same schedule, one source
    removed and the others in proportion. Positive is useful. Both branches are measured on the same rows, so the
    standard error is that of the mean difference by row, ``sd(d_i)/sqrt(n)``; where several seeds were trained it is
    that of their means, ``sd/sqrt(seeds)``, if larger, because training differs too.

    Args:
        study: with branches that have ``leave_one_out``.
        out: its folder.

    Returns:
        One row for each size, domain, branch point, source and target: utility, se, low, high (90 % interval, normal),
        seeds, and whether the interval leaves out zero.

    Raises:
        ValueError: if no finished branches can be compared.
    """
    found = [row for full, left, source in _pairs(study, out) for row in _compare(out, full, left, source)]
    if not found:
        raise ValueError(f"{out}: no finished branches with and without a source; see leave_one_out in the study")
    keys = ["size", "domain", "at", "source", "target"]
    table = pd.DataFrame(found).groupby(keys, sort=False).apply(_over_seeds, include_groups=False).reset_index()
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * table["se"]
    table["low"], table["high"] = table["utility"] - reach, table["utility"] + reach
    table["clear"] = (table["low"] > 0) | (table["high"] < 0)
    return table


def _pairs(study: Study, out: Path) -> Iterator[tuple[RunSpec, RunSpec, str]]:
    """Finished branches: one with all its sources, and one like it without a single one of them."""
    branches = [run for run in study.runs if run.trunk is not None and Record(out, run).status() == FINISHED]
    for full in branches:
        for left in branches:
            gone = _sources(full) - _sources(left)
            if len(gone) == 1 and _sources(left) < _sources(full) and _without_mix(full) == _without_mix(left):
                yield full, left, next(iter(gone))


def _sources(run: RunSpec) -> frozenset[str]:
    return frozenset(name for mix in run.mixes for name, share in mix.shares.items() if share > 0)


def _without_mix(run: RunSpec) -> object:
    starts = [mix.start for mix in run.mixes]
    return settings_of([run.base, run.domain, run.seed, run.training, run.trunk, run.at, starts])


def _compare(out: Path, full: RunSpec, left: RunSpec, source: str) -> Iterator[dict[str, object]]:
    with_all, without = Record(out, full).row_losses(), Record(out, left).row_losses()
    for target, losses in with_all.items():
        difference = np.asarray(without[target]) - np.asarray(losses)
        yield {
            "size": full.base.size.non_embedding,
            "domain": full.domain,
            "at": full.start_tokens,
            "source": source,
            "target": target,
            "utility": float(difference.mean()),
            "se": float(difference.std(ddof=1) / math.sqrt(len(difference))),
        }


def _over_seeds(rows: pd.DataFrame) -> pd.Series[float]:
    count = len(rows)
    by_row = math.sqrt(float((rows["se"] ** 2).sum())) / count
    by_seed = float(rows["utility"].std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    return pd.Series({"utility": rows["utility"].mean(), "se": max(by_row, by_seed), "seeds": count})

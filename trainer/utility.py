"""What each source of a mix is worth: branches with one source left out, against the branch with all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from trainer.chairman import exact_shares
from trainer.files import content_hash
from trainer.records import FINISHED, Record
from trainer.settings import settings_of
from trainer.shares import without
from trainer.spec import RunSpec
from trainer.study import Study

LEVEL = 0.90
"""Of the intervals."""


def utilities(study: Study, out: Path) -> pd.DataFrame:
    """Utility of every source that was left out, in nats per token: loss without it less loss with all sources.

    Source: Blakeney et al. 2024 (2406.03476), section 3.4: same checkpoint, same window, same schedule, one source
    removed and the others in proportion. Positive is useful. Both branches are measured on the same rows, so the
    standard error is that of the mean difference by row, ``sd(d_i)/sqrt(n)``, and the interval a normal one. Training
    differs too: where several seeds were trained, the interval is Student's of their means, with ``sd/sqrt(seeds)``
    and seeds - 1 degrees of freedom, if that is wider. With one seed nothing is known of that, and nothing is clear.

    Args:
        study: with branches that have ``leave_one_out``.
        out: its folder.

    Returns:
        One row for each size, domain, branch (its point, tokens and mix), source and target: utility, se, low,
        high (90 % interval), seeds, and whether the interval of several seeds leaves out zero.

    Raises:
        ValueError: if no finished branches can be compared.
    """
    found = [row for full, left, source in _pairs(study, out) for row in _compare(out, full, left, source)]
    if not found:
        raise ValueError(f"{out}: no finished branches with and without a source; see leave_one_out in the study")
    keys = ["size", "domain", "at", "tokens", "mix", "branch", "source", "target"]
    table = pd.DataFrame(found).groupby(keys, sort=False).apply(_over_seeds, include_groups=False).reset_index()
    reach = table.pop("reach")
    table["low"], table["high"] = table["utility"] - reach, table["utility"] + reach
    table["clear"] = ((table["low"] > 0) | (table["high"] < 0)) & (table["seeds"] > 1)
    return table.drop(columns="branch")


def _pairs(study: Study, out: Path) -> Iterator[tuple[RunSpec, RunSpec, str]]:
    """Finished branches: one with all its sources, and one like it without a single one of them."""
    branches = [run for run in study.runs if run.trunk is not None and Record(out, run).status() == FINISHED]
    for full in branches:
        for left in branches:
            gone = _sources(full) - _sources(left)
            if len(gone) == 1 and _without_mix(full) == _without_mix(left) and _proportional(full, left, *gone):
                yield full, left, next(iter(gone))


def _sources(run: RunSpec) -> frozenset[str]:
    return frozenset(name for mix in run.mixes for name, share in mix.shares.items() if share > 0)


def _proportional(full: RunSpec, left: RunSpec, source: str) -> bool:
    """Whether the sources but one have the same proportions."""
    for mix, other in zip(full.mixes, left.mixes, strict=True):
        expected = without(exact_shares(mix.shares), source)
        if {n: s for n, s in exact_shares(other.shares).items() if s} != {n: s for n, s in expected.items() if s}:
            return False
    return True


def _branch(run: RunSpec) -> str:
    """What branches of several seeds have in common."""
    assert run.trunk is not None, "a branch without a trunk"
    return content_hash(settings_of(replace(run, seed=0, trunk=replace(run.trunk, seed=0))))


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
            "tokens": full.training.tokens,
            "mix": "; ".join(", ".join(f"{n} {s:.4g}" for n, s in mix.shares.items()) for mix in full.mixes),
            "branch": _branch(full),
            "source": source,
            "target": target,
            "utility": float(difference.mean()),
            "se": float(difference.std(ddof=1) / math.sqrt(len(difference))),
        }


def _over_seeds(rows: pd.DataFrame) -> pd.Series[float]:
    count = len(rows)
    by_row = math.sqrt(float((rows["se"] ** 2).sum())) / count
    by_seed = float(rows["utility"].std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    upper = (1 + LEVEL) / 2
    reach = max(by_row * stats.norm.ppf(upper), by_seed * stats.t.ppf(upper, count - 1) if count > 1 else 0.0)
    return pd.Series({"utility": rows["utility"].mean(), "se": max(by_row, by_seed), "reach": reach, "seeds": count})

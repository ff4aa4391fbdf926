"""A sound table with every column of the contract: the tests break it in one place at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from bayescpt.schema import TARGETS, Observation

DOMAINS = ("code", "law")
SIZES = (10_000_000, 40_000_000, 160_000_000)
RATIOS = (0.1, 0.5, 0.9)
CHECKPOINTS = (5_000_000, 100_000_000, 1_000_000_000)


def _rows() -> list[dict[str, Any]]:
    rows = []
    for domain, size in itertools.product(DOMAINS, SIZES):
        for target in TARGETS:
            loss = 3.0 + (0.5 if target == "domain" else 0.0) - size / 1e9
            base_row = Observation(f"base-{domain}-{size}", domain, size, 0.0, 0, target, loss, loss_se=0.01)
            rows.append(base_row.row())
    settings = [*itertools.product(DOMAINS, SIZES, RATIOS, (0,)), ("code", SIZES[0], 0.5, 1)]
    for number, (domain, size, ratio, seed) in enumerate(settings):
        for tokens, target in itertools.product(CHECKPOINTS, TARGETS):
            share = ratio if target == "domain" else 1 - ratio
            row = Observation(
                run=f"{number:03d}",
                domain=domain,
                size=size,
                ratio=ratio,
                tokens=tokens,
                target=target,
                loss=2.5 + (tokens / 1e6) ** -0.2 - share / 10 - size / 1e9 + seed / 1000,
                loss_se=0.01,
                base=None,
                seed=seed,
                flops=6.0 * size * tokens,
                lr=3e-4,
                lr_sum=tokens * 1e-9,
                lr_anneal=0.0,
                domain_epochs=ratio * tokens / 1e9,
                gpu_hours=6 * size * tokens / 1e18,
            )
            rows.append(row.row())
    return rows


ROWS = _rows()


@pytest.fixture(scope="session")
def sound() -> Callable[[], pd.DataFrame]:
    """A fresh sound frame at each call: 12 base rows, then 6 rows for each of 19 runs, "000" to "018"."""

    def build() -> pd.DataFrame:
        frame = pd.DataFrame(ROWS)
        frame["base"] = [f"base-{size}" for size in frame["size"]]
        frame["seed"] = frame["seed"].astype("Int64")
        return frame

    return build

"""Turning times of the general loss against the peaks of measured runs, law by law.

    python benchmarks/turning.py examples/data/study.parquet --law two_term --law memory

Fits by ``--method laplace`` on all rows. A cell is a domain, size and ratio; its measured turn is the checkpoint at
which the general loss, averaged over seeds, is largest, so it is known to a checkpoint, and where that is the last one
the run has not turned. Printed by law: the Brier score of P(not turned by the end of the longest run) beside that of
the overall rate; and, over cells whose peak lies more than ``RISE`` nats above the base, by what factor the median is
late and how often the 90 % interval comes within a factor ``SLACK`` (about one checkpoint) of the peak.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayescpt.ask import turning_summary, turning_time
from bayescpt.data.table import Table
from bayescpt.fit import Fit, SamplerSettings, fit
from bayescpt.fit.folds import planned_ratio
from bayescpt.schema import GENERAL, TARGETS

RISE, SLACK = 0.03, 1.5


class Cell(NamedTuple):
    """A domain, size and ratio, and where its general loss peaks."""

    domain: str
    size: float
    ratio: float
    peak: float
    """tokens; 0 at the base, inf at the last checkpoint"""
    rise: float


def cells(table: Table) -> Iterator[Cell]:
    """All cells with a domain share."""
    mine = table.target == TARGETS.index(GENERAL)
    frame = pd.DataFrame(
        {
            "domain": np.array(table.domains)[table.domain],
            "size": table.size,
            "ratio": planned_ratio(table),
            "tokens": table.tokens,
            "change": table.loss - table.base_loss,
        }
    )[mine]
    for (domain, size, ratio), rows in frame[frame["ratio"] > 0].groupby(["domain", "size", "ratio"]):
        curve = rows.groupby("tokens")["change"].mean().sort_index()
        highest = int(curve.to_numpy().argmax())
        peak = np.inf if highest == len(curve) - 1 else float(curve.index[highest])
        rise = float(curve.iloc[highest])
        yield Cell(str(domain), float(size), float(ratio), peak if rise > 0 else 0.0, rise)


def scores(fitted: Fit, measured: list[Cell]) -> str:
    """One line of the table."""
    told = [turning_summary(turning_time(fitted, cell.domain, cell.size, cell.ratio)) for cell in measured]
    never = np.array([np.isinf(cell.peak) for cell in measured])
    brier = np.mean((np.array([answer["p_none"] for answer in told]) - never) ** 2)
    clear = [(answer, cell) for answer, cell in zip(told, measured, strict=True) if 0 < cell.peak < np.inf]
    clear = [(answer, cell) for answer, cell in clear if cell.rise > RISE]
    low, middle, high = (
        np.array([np.inf if answer[key] is None else answer[key] for answer, _ in clear])
        for key in ("q05", "q50", "q95")
    )
    peak = np.array([cell.peak for _, cell in clear])
    met = (low <= SLACK * peak) & (high >= peak / SLACK)
    late = np.median(middle / peak)
    rate = never.mean() * (1 - never.mean())
    return f"{brier:.3f} | {rate:.3f} | {late:.2f} | {met.mean():.0%} | {len(clear)} of {len(measured)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--law", action="append", required=True)
    parser.add_argument("--draws", type=int, default=250)
    options = parser.parse_args()
    table = Table.read(options.rows)
    measured = list(cells(table))
    print("| law | Brier, not turned | of the rate | median over peak | 90 % near the peak | clear peaks |")
    print("|" + "---|" * 6)
    for law in options.law:
        settings = SamplerSettings(chains=2, draws=options.draws)
        fitted = fit(table, law, method="laplace", settings=settings)
        print(f"| {law} | {scores(fitted, measured)}", flush=True)


if __name__ == "__main__":
    main()

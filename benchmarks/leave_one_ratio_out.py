"""Held-out ratios: refit without every run of one ratio, predict those runs, for each law side by side.

    python benchmarks/leave_one_ratio_out.py examples/data/quickstart.parquet --law memory --law dcpt --law anchored

Per law and target: root mean square error of the predictive median (nats), the share of held-out losses inside the
central 50 and 90 % predictive intervals of a new run, and the mean width of the latter. Minutes of sampling; not part
of the tests.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anchored import Anchored

from bayescpt.ask import predict
from bayescpt.data.table import Table
from bayescpt.fit import Sampler, SamplerSettings, fit
from bayescpt.laws import LAWS
from bayescpt.model.model import Model
from bayescpt.schema import TARGETS

LEVELS = (0.25, 0.75, 0.05, 0.95)
STUDIED = {**LAWS, "anchored": Anchored()}
"""The laws on offer, and the rival that was not kept."""


def planned_ratio(table: Table) -> np.ndarray:
    """Ratio at the end of each row's run, to two digits: what a run was meant to be."""
    last = {}
    for run in np.unique(table.run):
        rows = np.flatnonzero(table.run == run)
        last[run] = round(float(table.ratio[rows[np.argmax(table.tokens[rows])]]), 2)
    return np.array([last[run] for run in table.run])


def held_out(table: Table, law: str, ratio: float, sampler: Sampler, seed: int) -> pd.DataFrame:
    """Held-out rows of one ratio with their predictive quantiles."""
    out = planned_ratio(table) == ratio
    fitted = fit(table.select(~out), seed=seed, sampler=sampler)
    fitted = fitted if fitted.passed else fitted.accept("a fold of a held-out study")
    points = pd.DataFrame(
        {
            "domain": np.array(table.domains)[table.domain[out]],
            "size": table.size[out],
            "ratio": table.ratio[out],
            "tokens": table.tokens[out],
            "target": np.array(TARGETS)[table.target[out]],
        }
    )
    draws = predict(fitted, points)["predictive"].values
    q25, q75, q05, q95 = np.quantile(draws, LEVELS, axis=0)
    return points.assign(
        law=law,
        held_out=ratio,
        loss=table.loss[out],
        median=np.median(draws, axis=0),
        q25=q25,
        q75=q75,
        q05=q05,
        q95=q95,
    )


def summarise_rows(rows: pd.DataFrame) -> dict[str, float]:
    """Error, coverage and width over held-out rows."""
    return {
        "rmse": float(np.sqrt(((rows["median"] - rows["loss"]) ** 2).mean())),
        "coverage50": float(((rows["q25"] <= rows["loss"]) & (rows["loss"] <= rows["q75"])).mean()),
        "coverage90": float(((rows["q05"] <= rows["loss"]) & (rows["loss"] <= rows["q95"])).mean()),
        "width90": float((rows["q95"] - rows["q05"]).mean()),
        "rows": len(rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--law", action="append", choices=sorted(STUDIED))
    parser.add_argument("--warmup", type=int, default=600)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the summaries as JSON")
    options = parser.parse_args()
    table = Table.read(options.rows)
    collected: list[dict[str, Any]] = []
    for law in options.law or list(STUDIED):
        settings = SamplerSettings(chains=2, warmup=options.warmup, draws=options.draws, max_tree_depth=8)
        sampler = Sampler(Model(STUDIED[law]), settings)
        folds = []
        for ratio in np.unique(planned_ratio(table)):
            folds.append(held_out(table, law, float(ratio), sampler, options.seed))
            print(f"{law} without ratio {ratio}: {summarise_rows(folds[-1])}", flush=True)
        rows = pd.concat(folds)
        inside = ~rows["held_out"].isin([rows["held_out"].min(), rows["held_out"].max()])
        for target in TARGETS:
            for name, chosen in (("all ratios", rows), ("interior ratios", rows[inside])):
                found = summarise_rows(chosen[chosen["target"] == target])
                collected.append({"law": law, "target": target, "held_out": name, **found})
    print(pd.DataFrame(collected).round(4).to_string(index=False))
    if options.out:
        options.out.write_text(json.dumps(collected, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What a last phase with a share of its own is worth against one share throughout, from measured losses alone.

    python examples/study/one_share.py examples/data/study-phases.parquet

For every branch, at the end of its run: its domain loss less that of a run of one share with the same general loss, by
straight lines between the runs of one share of its size and domain. Below 0 the branch is better. Lines lie above a
curve that bends, so that they flatter the branches.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd


def against_one_share(rows: pd.DataFrame) -> pd.DataFrame:
    """Every branch within the general losses of its rivals, with ``worse`` in nats per token."""
    ends = rows[rows["tokens"] == rows["tokens"].max()]
    later = ends["phase_start"] > 0
    part = (1 - ends["phase_start"] / ends["tokens"]).where(later, 0.0)
    before = ((ends["ratio"] - part * ends["phase_ratio"]) / (1 - part)).where(later, ends["ratio"])
    ends = ends.assign(part=part.round(2), trunk=before.round(2), late=ends["phase_ratio"].round(2))
    losses = ends.pivot_table(index="run", columns="target", values="loss").add_suffix("_loss")
    runs = ends.drop_duplicates("run").set_index("run").join(losses)
    found = []
    for _, cell in runs.groupby(["size", "domain"]):
        flat = cell[cell["part"] == 0].sort_values("general_loss")
        branches = cell[(cell["part"] > 0) & cell["general_loss"].between(*flat["general_loss"].iloc[[0, -1]])]
        level = np.interp(branches["general_loss"], flat["general_loss"], flat["domain_loss"])
        found.append(branches.assign(worse=branches["domain_loss"] - level))
    return pd.concat(found)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected one table: python examples/study/one_share.py examples/data/study-phases.parquet")
    worse = against_one_share(pd.read_parquet(sys.argv[1])).groupby(["trunk", "late", "part"])["worse"]
    print(worse.agg(["mean", "min", "max", "count"]).round(3).to_string())

"""What was measured, as tables: FLOPs until the answer is near and stays near, by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

NEAR = {"error": 0.02, "regret": 0.005}


def reached(records: pd.DataFrame, measure: str) -> pd.Series:
    """Part of the full grid's FLOPs from which the measure stays near, by rule, domain and seed; infinite if never."""

    def one(group: pd.DataFrame) -> float:
        group = group.sort_values("level")
        far = np.flatnonzero(group[measure].to_numpy() > NEAR[measure])
        first = 0 if not len(far) else far[-1] + 1
        return float(group["spent"].iloc[first]) if first < len(group) else np.inf

    return records.groupby(["rule", "domain", "seed"])[["level", "spent", measure]].apply(one)


def told(records: Sequence[dict[str, Any]]) -> str:
    """Plain text: errors and regret by level, FLOPs until near, coverage; then by domain."""
    frame = pd.DataFrame(records)
    # where every ratio keeps the budget there is nothing to find
    bound = frame.groupby("domain")["truth"].first() < 1
    free = sorted(bound.index[~bound])
    frame = frame[frame["domain"].map(bound)]
    seeds = frame[frame["level"] < 1].groupby("rule")["seed"].nunique()
    levels = frame.groupby(["rule", "level"])
    parts = [
        f"{seeds.min()} to {seeds.max()} seeds, {frame['domain'].nunique()} domains; left out, because "
        f"every ratio keeps the budget: {', '.join(free) or 'none'}"
    ]
    for name, of in (("mean error of the ratio", "error"), ("mean regret, 1e-3 nats", "regret")):
        wide = levels[of].mean().unstack() * (1000 if of == "regret" else 1)
        parts.append(f"{name}\n{wide.round(4 if of == 'error' else 2).to_string()}")
    wide = levels["inside"].mean().unstack()
    parts.append(f"the full grid's median inside our 90 %\n{wide.round(2).to_string()}")
    for measure in NEAR:
        found = reached(frame[frame["level"] < 1], measure)
        by_rule = found.groupby("rule").quantile([0.25, 0.5, 0.75], interpolation="nearest").unstack()
        by_rule["never"] = np.isinf(found).groupby("rule").mean()
        parts.append(f"FLOPs until {measure} <= {NEAR[measure]}\n{by_rule.round(4).to_string()}")
        by_domain = found.groupby(["rule", "domain"]).median().unstack()
        parts.append(f"the same, median by domain\n{by_domain.round(4).to_string()}")
    return "\n\n".join(parts)

"""What was measured, as tables: FLOPs until the answer is near and stays near, by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

BETWEEN = (0.01, 0.32)
BESIDE, OURS = "space-filling", "values^0.5"
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
    at = 1000 * frame[frame["level"] < 1].set_index(["level", "domain", "seed", "rule"])["regret"].unstack("rule")
    apart = at.sub(at[OURS], axis=0).groupby("level")
    parts.append(f"mean regret less that of {OURS}, 1e-3 nats\n{apart.mean().T.round(1).to_string()}")
    parts.append(f"standard errors over domains and seeds\n{apart.sem().T.round(1).to_string()}")
    for low in (frame.loc[frame["level"] > 0, "level"].min(), BETWEEN[0]):
        parts += _overall(frame[frame["level"].between(low, BETWEEN[1])], f"{low:g} to {BETWEEN[1]:g} of the FLOPs")
    for measure in NEAR:
        found = reached(frame[frame["level"] < 1], measure)
        by_rule = found.groupby("rule").quantile([0.25, 0.5, 0.75], interpolation="nearest").unstack()
        by_rule["never"] = np.isinf(found).groupby("rule").mean()
        parts.append(f"FLOPs until {measure} <= {NEAR[measure]}\n{by_rule.round(4).to_string()}")
        by_domain = found.groupby(["rule", "domain"]).median().unstack()
        parts.append(f"the same, median by domain\n{by_domain.round(4).to_string()}")
    return "\n\n".join(parts)


def _overall(frame: pd.DataFrame, where: str) -> list[str]:
    """Mean regret over levels by rule, and less that of ``BESIDE``, with standard errors over domains and seeds."""
    each = 1000 * frame.groupby(["rule", "domain", "seed"])["regret"].mean()
    apart = each.unstack("rule")
    apart = apart.sub(apart[BESIDE], axis=0)
    overall = pd.DataFrame(
        {
            "mean": each.groupby("rule").mean(),
            f"less {BESIDE}": apart.mean(),
            "error": apart.std() / np.sqrt(apart.count()),
            "inside 90 %": frame.groupby("rule")["inside"].mean(),
        }
    )
    by_domain = each.groupby(["rule", "domain"])
    return [
        f"mean regret, 1e-3 nats, {where}\n{overall.astype(float).round(2).to_string()}",
        f"the same by domain\n{by_domain.mean().unstack().round(1).to_string()}",
        f"standard errors over seeds\n{by_domain.sem().unstack().round(1).to_string()}",
    ]

"""What was measured on ScaleBench's tasks, as Markdown, beside what its paper says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

PUBLISHED = {
    "domain_mixture": {
        "random": (-0.36, 0.41, 0.70),
        "cheapest": (-0.36, 0.41, 0.70),
        "d-optimal": (0.14, 0.81, 0.88),
        "v-optimal": (0.57, 0.91, 0.95),
        "mspe": (0.64, 0.89, 0.95),
        "all data": (0.81,) * 3,
    },
    "data_constrained": {
        "random": (-0.74, -0.36, 0.12),
        "cheapest": (-0.58, -0.56, -0.40),
        "d-optimal": (0.71, 0.80, 0.77),
        "v-optimal": (0.58, 0.83, 0.85),
        "mspe": (0.73, 0.85, 0.86),
        "all data": (0.79,) * 3,
    },
    "farseer": {
        "random": (-0.77, 0.78, 0.79),
        "cheapest": (-0.89, 0.41, 0.68),
        "d-optimal": (-0.11, 0.49, 0.87),
        "v-optimal": (0.67, 0.87, 0.92),
        "mspe": (0.60, 0.88, 0.93),
        "all data": (0.91,) * 3,
    },
}
"""R2 of 2604.22753 at the three levels, mean over its laws."""
ORDER = ("ours", "mspe", "v-optimal", "d-optimal", "random", "cheapest", "all data")


def told(records: Sequence[dict[str, Any]]) -> str:
    """By task: R2 of every rule and predictor beside the published, then coverage and width, then single laws."""
    frame = pd.DataFrame(records)
    parts = []
    for name, task in frame.groupby("task"):
        levels = sorted(set(task["level"]) - {1.0})
        seeds = task[task["rule"] != "all data"].groupby("rule")["seed"].nunique()
        parts.append(f"{name}: {seeds.min()} to {seeds.max()} seeds\n\n" + "\n".join(_rows(str(name), task, levels)))
        single = task[task["by"] == "least squares"].groupby(["rule", "law", "level"])["r2"].median().unstack()
        parts.append("least squares by law, median R2\n\n" + single.round(2).to_string())
        ours = task.loc[task["rule"] == "ours"]
        weights = pd.DataFrame(ours["weights"].dropna().to_list() if "weights" in ours else []).mean().round(2)
        runs = task[task["by"] == "engine"].groupby(["rule", "level"])[["runs", "r2_over"]].mean().unstack()
        parts.append(f"weights of laws under ours: {weights.to_dict()}\n\n{runs.round(2).to_string()}")
    return "\n\n".join(parts)


def _rows(name: str, task: pd.DataFrame, levels: list[float]) -> list[str]:
    columns = [*(f"R2 at {level:.0%}" for level in levels), "median R2", "inside 90 %", "width 90", "published R2"]
    lines = [f"| chosen by | predicted by | {' | '.join(columns)} |", "|" + "---|" * (2 + len(columns))]
    for rule in ORDER:
        for by in ("engine", "least squares"):
            own = task[(task["rule"] == rule) & (task["by"] == by)]
            if own.empty:
                continue
            at = [own[own["level"] == (1.0 if rule == "all data" else level)] for level in levels]
            cells = [f"{one['r2'].mean():.2f} ± {one['r2'].std(ddof=0):.2f}" for one in at]
            cells.append(" / ".join(f"{one['r2'].median():.2f}" for one in at))
            cells.append(" / ".join(f"{one['inside'].mean():.0%}" for one in at))
            cells.append(" / ".join(f"{one['width'].mean():.3f}" for one in at))
            known = PUBLISHED[name].get(rule)
            cells.append(" / ".join(f"{value:.2f}" for value in known) if known and by == "least squares" else "")
            lines.append(f"| {rule} | {by} | {' | '.join(cells)} |")
    return lines

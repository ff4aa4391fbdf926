"""Candidates that leave a run of the table on the way: branches that go on at another share for a last phase."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayescpt.data.runs import phases_of_runs
from bayescpt.data.table import Table

MOST = 1e18
"""Tokens that nobody will ask for."""
SAME, SAME_RATIO = 1e-3, 0.01
"""Relative difference of sizes and lengths, and difference of ratios, up to which two are one: realised ones differ."""
CONSTANT = {"schedule": {"kind": "constant"}}


@dataclass(frozen=True)
class Branches:
    """Last phases that runs of the table may be given.

    Args:
        at: tokens of a run, its trunk, after which it is left.
        tokens: of the branch.
        ratios: shares of the domain in it.
        kept: whether the states of trunks at these points are kept. Where they are not a trunk is trained up to there
            once more, and a branch costs that too.
        settings: of the trainer for every branch, its schedule among them; a constant rate without.

    Raises ValueError naming everything that is wrong.
    """

    at: Sequence[float]
    tokens: Sequence[float]
    ratios: Sequence[float]
    kept: bool = False
    settings: Mapping[str, Any] = field(default_factory=lambda: dict(CONSTANT))

    def __post_init__(self) -> None:
        faults = [
            f"branches.{n}: expected at least one" for n in ("at", "tokens", "ratios") if not len(getattr(self, n))
        ]
        for name, low, high in (("at", 1.0, MOST), ("tokens", 1.0, MOST), ("ratios", 0.0, 1.0)):
            values = list(getattr(self, name))
            faults += [
                f"branches.{name}: expected numbers from {low:g} to {high:g}, got {one!r}"
                for one in values
                if not (isinstance(one, int | float) and not isinstance(one, bool) and low <= one <= high)
            ]
            plain = [one for one in values if isinstance(one, int | float)]
            faults += [f"branches.{name}: {one!r} stands twice" for one in dict.fromkeys(plain) if plain.count(one) > 1]
        faults += [
            f"branches.settings: unknown key {name!r}; known are {', '.join(SETTINGS)}"
            for name in self.settings
            if name not in SETTINGS
        ]
        if faults:
            raise ValueError("; ".join(faults))


SETTINGS = (
    "lr",
    "schedule",
    "weight_decay",
    "clip",
    "evaluations",
    "first_evaluation",
    "validation_rows",
    "precision",
)
"""What may be set of a branch; its batch is that of its trunk."""


def shared(offered: pd.DataFrame, chosen: pd.DataFrame) -> np.ndarray:
    """What of the cost of every candidate is paid by the branches chosen: of a trunk that is trained once more for
    them, the part up to the farthest point at which they leave it."""
    paid = np.zeros(len(offered))
    if "trunk_cost" not in offered:
        return paid
    again = offered["trunk_cost"].to_numpy(float)
    for one in chosen.itertuples():
        # what is offered of one trunk has its very numbers
        same = (offered["domain"] == one.domain) & (offered["seed"] == one.seed)
        same &= (offered["size"] == one.size) & (offered["trunk_ratio"] == one.trunk_ratio)
        paid = np.where(same, np.maximum(paid, np.minimum(again, one.trunk_cost)), paid)
    return paid


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with the columns of a last phase; those that say nothing of one have one share throughout."""
    absent = {"trunk_ratio": "ratio", "phase_part": None, "phase_ratio": None}
    return runs.assign(**{n: runs[s] if s else 0.0 for n, s in absent.items() if n not in runs})


def branch_grid(
    branches: Branches, table: Table, domains: Sequence[str], sizes: Sequence[float], seeds: Sequence[int]
) -> pd.DataFrame:
    """Every branch from a run of ``table`` of these domains and sizes, and seeds where they are known.

    Columns of design/candidates.py but the cost; ``paid`` is the number of tokens to be trained.
    """
    runs = phases_of_runs(table)
    near = np.isclose(runs["size"].to_numpy()[:, None], np.asarray(sizes, float), rtol=SAME)
    wanted = runs["domain"].isin(domains) & near.any(axis=1) & (runs["phase_part"] == 0)
    if table.seed is not None:
        wanted &= runs["seed"].isin(seeds)
    trunks = runs[wanted].assign(size=np.asarray(sizes, float)[near[wanted].argmax(axis=1)])
    trunks = trunks.assign(seed=trunks["seed"].clip(lower=0), place=(trunks["ratio"] / SAME_RATIO).round())
    # of runs of one setting the longest, which can be left anywhere that the others can
    longest = trunks.sort_values("tokens", ascending=False).drop_duplicates(["domain", "size", "place", "seed"])
    trunks = longest.sort_index()
    return pd.DataFrame(list(_branches(branches, trunks)), columns=[*GRID, "paid"])


GRID = ("domain", "size", "ratio", "tokens", "seed", "start", "trunk_ratio", "phase_part", "phase_ratio")


def _branches(branches: Branches, trunks: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for trunk in trunks.itertuples():
        for at in branches.at:
            if at > trunk.tokens * (1 + SAME):
                continue
            for further in branches.tokens:
                for ratio in branches.ratios:
                    if abs(ratio - trunk.ratio) < SAME_RATIO:
                        continue
                    tokens = at + further
                    yield {
                        "domain": trunk.domain,
                        "size": trunk.size,
                        "ratio": (at * trunk.ratio + further * ratio) / tokens,
                        "tokens": float(tokens),
                        "seed": trunk.seed,
                        "start": float(at),
                        "trunk_ratio": trunk.ratio,
                        "phase_part": further / tokens,
                        "phase_ratio": float(ratio),
                        "paid": float(further if branches.kept else tokens),
                    }


# ---- in files of the trainer


def trunk_entries(study: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Runs that a study lists itself or by its grids, as entries of ``runs``, with what each says besides.

    What is no run is left to the trainer to name.
    """
    usual = study.get("run")
    usual = {"tokens": usual["tokens"]} if isinstance(usual, dict) and "tokens" in usual else {}
    for run in _list(study.get("runs")):
        if isinstance(run, dict):
            yield usual | run
    axes = ("sizes", "domains", "ratios", "seeds")
    for grid in _list(study.get("grid")) or [study.get("grid")]:
        if not isinstance(grid, dict):
            continue
        rest = usual | {name: value for name, value in grid.items() if name not in axes}
        values = [_list(grid.get(name, [0] if name == "seeds" else [])) for name in axes]
        for size, domain, ratio, seed in itertools.product(*values):
            yield {"size": size, "domain": domain, "ratio": ratio, "seed": seed, **rest}


def _list(value: Any) -> list[Any]:
    """A list of a file, where it is one."""
    return value if isinstance(value, list) else []


def _number(value: Any) -> float:
    """A number of a file, also one that YAML takes for text; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def entry_of(row: Mapping[str, Any], name: Any, entries: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The entry of the trunk that a candidate leaves; None where the study has none.

    Args:
        row: the candidate; name: of its size in the study.
    """
    wanted = name, row["domain"], row["seed"]
    found = [one for one in entries if (one.get("size"), one.get("domain"), one.get("seed", 0)) == wanted]
    away = [abs(_number(one.get("ratio")) - row["trunk_ratio"]) for one in found]
    far = [_number(one.get("tokens")) for one in found]
    fits = [(a, -t, i) for i, (a, t) in enumerate(zip(away, far, strict=True)) if a < SAME_RATIO and t >= row["start"]]
    return found[min(fits)[2]] if fits else None


def branch_entry(row: Mapping[str, Any], entry: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A candidate as an entry of a study's ``branches``."""
    chosen = {"sizes": [entry["size"]], "domains": [entry["domain"]], "ratios": [entry["ratio"]]}
    further = {"at": [int(row["start"])], "tokens": round(row["tokens"] - row["start"])}
    return {"from": chosen | {"seeds": [entry.get("seed", 0)]}, **further, "ratio": row["phase_ratio"], **settings}


def read_branch(entry: Any, sizes: Mapping[Any, float]) -> dict[str, Any]:
    """A pending branch of a RUNS.yaml as a candidate. Raises ValueError where it is none that ``next`` wrote."""
    try:
        chosen = entry["from"]
        (size,), (domain,), (ratio,), (seed,) = (chosen[name] for name in ("sizes", "domains", "ratios", "seeds"))
        (at,), further, late = entry["at"], entry["tokens"], entry["ratio"]
        at, further, ratio, late = (float(value) for value in (at, further, ratio, late))
        Branches([at], [further], [late])
        Branches([at], [further], [ratio])
        known = size in sizes
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("expected from (one size, domain, ratio and seed), at, tokens and ratio") from error
    if not known:
        raise ValueError(f"no size {size!r} in the space; there are {list(sizes)}")
    tokens = at + further
    return {
        "domain": domain,
        "size": sizes[size],
        "ratio": (at * ratio + further * late) / tokens,
        "tokens": tokens,
        "seed": seed,
        "trunk_ratio": ratio,
        "phase_part": further / tokens,
        "phase_ratio": late,
    }

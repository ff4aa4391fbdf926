"""A last phase with more of the domain, or with less: what may be chosen where rows change their mixture on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.data.runs import phases_of_runs
from bayescpt.data.table import Table

SAME = 0.02
"""Difference up to which a share or a part counts as one that was run."""


def with_phases(
    actions: pd.DataFrame, table: Table, phase_ratio: Sequence[float], phase_part: Sequence[float]
) -> pd.DataFrame:
    """Every action as it is, and with a last phase of every share and length.

    The ratio of an action is then that of its trunk, r1, and what a run of ratio r1 whose last part f has the ratio r2
    reads in the mean is its ``ratio``,

        r = (1 - f) r1 + f r2.

    Args:
        actions: runs of one mixture.
        table: with the columns ``phase_start`` and ``phase_ratio``.
        phase_ratio: shares of the domain in the last phase, r2, within those that last phases of the table had.
        phase_part: parts of the run, f in (0, 1), within those that last phases of the table were.

    Returns the actions with columns ``phase_part`` and ``phase_ratio``, which laws look at and which are 0 without a
    last phase, and ``trunk_ratio``.

    Raises ValueError on impossible settings, and where no row tells what is asked for.

    Examples:
        >>> from bayescpt import Table
        >>> from bayescpt.decide import ratios, with_phases
        >>> phased = Table.read("examples/data/study-phases.parquet")
        >>> actions = with_phases(ratios(590720, 131072, [0.1]), phased, phase_ratio=[0.85], phase_part=[0.2])
        >>> actions[["trunk_ratio", "phase_part", "phase_ratio", "ratio"]].round(3)
           trunk_ratio  phase_part  phase_ratio  ratio
        0          0.1         0.0         0.00   0.10
        1          0.1         0.2         0.85   0.25
    """
    faults = [f"expected shares within [0, 1] in the last phase, got {one}" for one in phase_ratio if not 0 <= one <= 1]
    faults += [f"expected parts of the run between 0 and 1, got {one}" for one in phase_part if not 0 < one < 1]
    if not len(phase_ratio) or not len(phase_part):
        faults.append("expected at least one share and one part of a last phase")
    if not faults:
        faults += _untold(table, phase_ratio, phase_part)
    if faults:
        raise ValueError("; ".join(faults))
    trunk = actions["ratio"].to_numpy(float)
    parts = [actions.assign(trunk_ratio=trunk, phase_part=0.0, phase_ratio=0.0)]
    for late in dict.fromkeys(phase_ratio):
        for part in dict.fromkeys(phase_part):
            mean = (1 - part) * trunk + part * late
            changed = {"ratio": mean, "trunk_ratio": trunk, "phase_part": float(part), "phase_ratio": float(late)}
            parts.append(actions.assign(**changed)[np.abs(trunk - late) > SAME])
    return pd.concat(parts, ignore_index=True)


def phases_of(table: Table) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"]]:
    """Share and part of the last phase at the end of every run that has one.

    Raises ValueError where the table does not tell phases, or has none.
    """
    if table.phase_start is None or table.phase_ratio is None:
        raise ValueError("the table does not say what phases its runs had: it needs phase_start and phase_ratio")
    runs = _last_phases(table)
    if runs.empty:
        raise ValueError("no run of the table changes its mixture: no row tells what that does; train branches that do")
    return runs["phase_ratio"].to_numpy(float), runs["phase_part"].to_numpy(float)


def _last_phases(table: Table) -> pd.DataFrame:
    """The runs that change their mixture, at their ends."""
    runs = phases_of_runs(table)
    return runs[runs["phase_part"] > 0]


def _untold(table: Table, phase_ratio: Sequence[float], phase_part: Sequence[float]) -> list[str]:
    """What the rows cannot tell: shares and parts beyond those of the last phases that were run."""
    try:
        had = phases_of(table)
    except ValueError as error:
        return [str(error)]
    faults = []
    for name, asked, seen in (("shares", phase_ratio, had[0]), ("parts", phase_part, had[1])):
        low, high = float(seen.min()), float(seen.max())
        beyond = [f"{one:g}" for one in asked if not low - SAME <= one <= high + SAME]
        if beyond:
            faults.append(
                f"last phases of the table had {name} from {low:.3g} to {high:.3g}: no row tells what "
                f"{', '.join(beyond)} would do; train such branches"
            )
    for part in () if faults else phase_part:
        # a share that only short phases had says little of a long one
        seen = had[0][had[1] >= part - SAME]
        beyond = [f"{one:g}" for one in phase_ratio if not seen.min() - SAME <= one <= seen.max() + SAME]
        if beyond:
            faults.append(
                f"last phases of {part:g} of a run or more had shares from {seen.min():.3g} to {seen.max():.3g}: no "
                f"row tells what {', '.join(beyond)} would do for so long; train such branches"
            )
    return faults


def phased_domains(table: Table) -> set[str]:
    """Domains with a run that changes its mixture; what a last phase does to others is the population's to say."""
    return set(_last_phases(table)["domain"])


def cautions_of_phase(action: Mapping[str, Any] | pd.Series, table: Table, domain: str) -> list[str]:
    """Sentences for what makes a run that ends with a phase of its own hard to foresee; none where it has none.

    What intervals held was measured on this project's own branches (benchmarks/README.md, `--only phases`), under the
    law ``phased``.

    Args:
        action: with ``ratio``, ``phase_part`` and ``phase_ratio``, as :func:`with_phases` makes it.
    """
    if not action.get("phase_part"):
        return []
    lines = [
        "a last phase: 90% intervals of the law phased held 81% of general and 89% of domain losses of branches held "
        "out of our own study"
    ]
    if domain not in phased_domains(table):
        lines.append(f"no run of '{domain}' changes its mixture: what a last phase does is told by other domains")
    runs = _last_phases(table)
    step = (runs["phase_ratio"] - runs["trunk_ratio"]).to_numpy(float)
    after, here = action["phase_part"], action["phase_ratio"]
    up = here > (action["ratio"] - after * here) / (1 - after)
    if len(step) and not (step > SAME if up else step < -SAME).any():
        way, other = ("above", "below") if up else ("below", "above")
        lines.append(
            f"no last phase of the table has a share {way} that of its run before, and those {other} do not tell what "
            "that does: fitted to branches one way only, intervals held 53% of general losses of the other in our own "
            "study"
        )
    return lines

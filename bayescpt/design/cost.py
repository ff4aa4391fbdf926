"""What a run costs in FLOPs or device-hours: by the rows that say so; FLOPs else 6 N D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.decide.space import FLOPS_PER_TOKEN

LEAST_RUNS = 2
NEAR = 0.01
FLOPS, GPU_HOURS = "FLOPs", "GPU-hours"
UNITS = {FLOPS: "flops", GPU_HOURS: "gpu_hours"}
"""What runs may be paid in, and the column that says what past ones cost."""


@dataclass(frozen=True)
class Cost:
    """Cost of a run: exp(intercept + slope ln N) N D; in FLOPs no less than 6 N D.

    Small models spend more than 6 FLOPs a parameter and token, because head and embedding count too, and more time,
    because they fill no device; that share falls with the size. Hours go with the size beyond the largest that was
    timed.

    Args:
        intercept, slope: of log cost per parameter and token in log size.
        runs: how many runs it was fitted to; 0 is the rule 6 N D.
        unit: a name of ``UNITS``.
        sizes: least and largest size of those runs.
    """

    intercept: float = float(np.log(FLOPS_PER_TOKEN))
    slope: float = 0.0
    runs: int = 0
    unit: str = FLOPS
    sizes: tuple[float, float] = (0.0, float("inf"))

    def of(self, size: Float[np.ndarray, "*runs"], tokens: Float[np.ndarray, "*runs"]) -> Float[np.ndarray, "*runs"]:
        """Cost of runs of these sizes and lengths."""
        # a device that is full grows no cheaper: beyond the largest size that was timed, hours go with the size
        known = np.log(size) if self.unit == FLOPS else np.log(np.minimum(size, self.sizes[1]))
        each = np.exp(self.intercept + self.slope * known)
        return np.maximum(each, FLOPS_PER_TOKEN if self.unit == FLOPS else 0.0) * size * tokens

    def knows(self, size: float) -> bool:
        """Whether the size lies among those whose cost is known, or the rule is one for any size."""
        low, high = self.sizes
        return self.unit == FLOPS or low * (1 - NEAR) <= size <= high * (1 + NEAR)

    def says(self) -> str:
        """In words, where the numbers come from."""
        if not self.runs:
            return f"{FLOPS_PER_TOKEN:g} x size x tokens; no row says what it cost"
        return f"by the {self.unit} of {self.runs} runs"


def cost_of(table: Table, unit: str = FLOPS) -> Cost:
    """A cost model from the column ``flops`` or ``gpu_hours``, by least squares over the ends of runs.

    FLOPs are 6 N D where no row has them. Raises ValueError on an unknown unit, and where no row has device-hours.

    Examples:
        >>> from bayescpt.design import cost_of
        >>> cost_of(table).says()
        'by the FLOPs of 36 runs'
    """
    if unit not in UNITS:
        raise ValueError(f"expected costs in {' or '.join(UNITS)}, got '{unit}'")
    spent = getattr(table, UNITS[unit])
    known = pd.DataFrame({"run": table.run, "size": table.size, "tokens": table.tokens})
    known = known.assign(spent=np.nan if spent is None else spent)
    known = known[known["spent"] > 0]
    ends = known.loc[known.groupby("run")["tokens"].idxmax()]
    if len(ends) < LEAST_RUNS:
        if unit == FLOPS:
            return Cost()
        raise ValueError(
            f"costs in {unit}: the table does not say what its runs took; it needs the column {UNITS[unit]} (the "
            "trainer's rows.parquet has it), or count in FLOPs"
        )
    each = np.log(ends["spent"].to_numpy(float) / (ends["size"] * ends["tokens"]).to_numpy(float))
    size = ends["size"].to_numpy(float)
    span = float(size.min()), float(size.max())
    if np.ptp(np.log(size)) < 1e-9:
        return Cost(float(each.mean()), 0.0, len(ends), unit, span)
    slope, intercept = np.polyfit(np.log(size), each, 1)
    return Cost(float(intercept), float(slope), len(ends), unit, span)

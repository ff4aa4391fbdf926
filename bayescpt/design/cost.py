"""What a run costs in FLOPs: by the rows that say so, else 6 N D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayescpt.data.table import Table
from bayescpt.decide.space import FLOPS_PER_TOKEN

LEAST_RUNS = 2


@dataclass(frozen=True)
class Cost:
    """FLOPs of a run: max(exp(intercept + slope ln N), 6) N D.

    Small models spend more than 6 FLOPs a parameter and token, because head and embedding count too; that share falls
    with the size.

    Args:
        intercept, slope: of log FLOPs per parameter and token in log size.
        runs: how many runs it was fitted to; 0 is the rule 6 N D.
    """

    intercept: float = float(np.log(FLOPS_PER_TOKEN))
    slope: float = 0.0
    runs: int = 0

    def flops(self, size: Float[np.ndarray, "*runs"], tokens: Float[np.ndarray, "*runs"]) -> Float[np.ndarray, "*runs"]:
        """FLOPs of runs of these sizes and lengths."""
        each = np.exp(self.intercept + self.slope * np.log(size))
        return np.maximum(each, FLOPS_PER_TOKEN) * size * tokens

    def says(self) -> str:
        """In words, where the numbers come from."""
        if not self.runs:
            return f"{FLOPS_PER_TOKEN:g} x size x tokens; no row says what it cost"
        return f"by the FLOPs of {self.runs} runs"


def cost_of(table: Table) -> Cost:
    """A cost model from the column ``flops``, by least squares over the ends of runs; 6 N D where no row has it.

    Examples:
        >>> from bayescpt.design import cost_of
        >>> cost_of(table).says()
        'by the FLOPs of 36 runs'
    """
    if table.flops is None:
        return Cost()
    known = pd.DataFrame({"run": table.run, "size": table.size, "tokens": table.tokens, "flops": table.flops})
    known = known[known["flops"] > 0]
    ends = known.loc[known.groupby("run")["tokens"].idxmax()]
    if len(ends) < LEAST_RUNS:
        return Cost()
    each = np.log(ends["flops"].to_numpy(float) / (ends["size"] * ends["tokens"]).to_numpy(float))
    log_size = np.log(ends["size"].to_numpy(float))
    if np.ptp(log_size) < 1e-9:
        return Cost(float(each.mean()), 0.0, len(ends))
    slope, intercept = np.polyfit(log_size, each, 1)
    return Cost(float(intercept), float(slope), len(ends))

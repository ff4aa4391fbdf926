"""The numbers behind the pictures: what was measured, and posterior curves along the ratio and along the run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayescpt.ask import summarise
from bayescpt.data.runs import SAME_RATIO, distinct, runs_of
from bayescpt.data.table import Table
from bayescpt.fit import Fit, Mixture
from bayescpt.schema import TARGETS, Target

RATIO_POINTS = 101
TOKEN_POINTS = 25


def measured(table: Table, domain: str, size: float, target: Target) -> pd.DataFrame:
    """Training rows of one domain, size and target: ratio, tokens, loss and run_ratio, that at the end of the run.

    Runs whose ratios came from one requested ratio are given one run_ratio.
    """
    rows = table.target == TARGETS.index(target)
    rows &= np.isclose(table.size, size, rtol=1e-9)
    rows &= table.domain == (table.domains.index(domain) if domain in table.domains else -1)
    at_end = {run.name: run.ratio for run in runs_of(table)}
    own = np.array([at_end[table.runs[code]] for code in table.run[rows]])
    kept = np.array(distinct(own, SAME_RATIO))
    # distinct keeps the smallest of each group, so the largest kept value not above a ratio is its own
    run_ratio = kept[np.searchsorted(kept, own, side="right") - 1] if len(kept) else own
    columns = {"ratio": table.ratio[rows], "tokens": table.tokens[rows], "loss": table.loss[rows]}
    return pd.DataFrame({**columns, "run_ratio": run_ratio})


def along_ratio(fit: Fit | Mixture, domain: str, size: float, tokens: float, target: Target) -> pd.DataFrame:
    """Loss over ratios in [0, 1] after ``tokens`` tokens, nats per token; columns of :func:`bayescpt.ask.summarise`."""
    ratios = np.linspace(0.0, 1.0, RATIO_POINTS)
    return summarise(fit, _points(domain, size, ratios, np.full(RATIO_POINTS, tokens), target))


def along_tokens(
    fit: Fit | Mixture, domain: str, size: float, ratios: np.ndarray, first: float, last: float, target: Target
) -> pd.DataFrame:
    """Loss from ``first`` to ``last`` tokens at each ratio, nats per token; columns as in :func:`along_ratio`."""
    tokens = np.geomspace(first, last, TOKEN_POINTS)
    return summarise(fit, _points(domain, size, np.repeat(ratios, TOKEN_POINTS), np.tile(tokens, len(ratios)), target))


def base_loss(fit: Fit | Mixture, domain: str, size: float, target: Target) -> float | None:
    """Loss of the base of this size, median over draws, nats per token; None where the table has none of the target."""
    one = fit if isinstance(fit, Fit) else next(iter(fit.members.values()))
    try:
        return float(np.median(one.base_loss(domain, size, target)))
    except ValueError:
        return None


def _points(domain: str, size: float, ratios: np.ndarray, tokens: np.ndarray, target: Target) -> pd.DataFrame:
    fixed = {"domain": domain, "size": size, "target": target}
    return pd.DataFrame({**fixed, "ratio": ratios, "tokens": tokens})

"""Tables that tests of several folders make."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from bayescpt.data.table import Table

DOMAINS, SIZES, RATIOS, TOKENS = ("code", "law"), (1e5, 6e5), (0.2, 0.8), (4e3, 8e3, 1.6e5)


def with_every_column() -> Table:
    """Two domains, two sizes, two ratios, three checkpoints, and every column that some law looks at."""
    rows = []
    for domain, size, target in itertools.product(DOMAINS, SIZES, ("general", "domain")):
        start = (3.1 if target == "general" else 4.8) - size / 4e6
        common = {"domain": domain, "size": size, "target": target, "base": f"base-{size:g}"}
        for ratio, tokens in [(0.0, 0.0), *itertools.product(RATIOS, TOKENS)]:
            own = ratio if target == "domain" else 1 - ratio
            covariates = {"lr_sum": tokens / 1e6, "lr_anneal": 0.3 * tokens / 1e6 * (ratio > 0.5)}
            covariates |= {"domain_epochs": ratio * tokens / 5e4, "share_general": 1 - ratio}
            # what was run at 0.8 had 1 in its last quarter
            late = ratio > 0.5
            covariates |= {"phase_start": 0.75 * tokens * late, "phase_ratio": 1.0 if late else ratio}
            covariates |= {f"share_{name}": ratio if name == domain else 0.0 for name in DOMAINS}
            run = f"{domain}-{size:g}-{ratio:g}" if tokens else f"base-{domain}-{size:g}"
            loss = start - 0.3 * own * np.log1p(tokens / 2e4)
            rows.append(common | covariates | {"run": run, "ratio": ratio, "tokens": tokens, "loss": loss})
    return Table.from_frame(pd.DataFrame(rows))

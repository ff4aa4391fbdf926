"""Shapes and types are checked at run time in every test, and a small study is at hand for all of them."""

from __future__ import annotations

import itertools
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Most of the time of these tests is compilation, of few programs again and again: processes share what they compiled,
# also with a later run. A size makes JAX lock the folder.
for name, value in {
    "JAX_COMPILATION_CACHE_DIR": str(Path(__file__).parents[1] / ".pytest_cache" / "jax"),
    "JAX_COMPILATION_CACHE_MAX_SIZE": str(4_000_000_000),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
}.items():
    os.environ.setdefault(name, value)
# Without fusion emitters, as in bayescpt/fit/compiled.py, and without optimisation: a program runs for less time here
# than it compiles, which saves a fifth of all processor time. Later versions abort on a flag they lack.
if version("jaxlib").startswith("0.10."):
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0")

# before anything imports these packages
install_import_hook(["bayescpt.laws", "bayescpt.model", "bayescpt.fit"], "beartype.beartype")

settings.register_profile("same examples every time", derandomize=True, deadline=None)
settings.load_profile("same examples every time")

if TYPE_CHECKING:
    from bayescpt.data.table import Table

SIZES = (1e5, 6e5)
DOMAINS = ("code", "law")
RATIOS = (0.0, 0.25, 0.75)
CHECKPOINTS = (5e3, 3e4, 2e5)
BASE_LOSSES = {("general", 1e5): 3.09, ("general", 6e5): 2.99, ("domain", 1e5): 4.6, ("domain", 6e5): 4.4}
STEP = {"code": 0.0, "law": 0.35}
"""Domain losses differ by domain; the general validation set is one for all."""


def study_frame() -> pd.DataFrame:
    """Rows of a small study: 2 domains, 2 sizes, 3 ratios, 3 checkpoints and the bases."""
    rng = np.random.default_rng(7)
    rows = []
    for domain, size, target in itertools.product(DOMAINS, SIZES, ("general", "domain")):
        base = BASE_LOSSES[target, size] + (STEP[domain] if target == "domain" else 0.0)
        common = {"domain": domain, "size": size, "target": target, "base": f"base-{size:g}"}
        rows.append({"run": f"base-{domain}-{size:g}", "ratio": 0.0, "tokens": 0.0, "loss": base, **common})
        for ratio, tokens in itertools.product(RATIOS, CHECKPOINTS):
            own = ratio if target == "domain" else 1 - ratio
            change = (0.3 - 0.5 * own) * np.log1p(tokens / 2e4) + 0.01 * rng.standard_normal()
            run = f"{domain}-{size:g}-{ratio:g}"
            rows.append({"run": run, "ratio": ratio, "tokens": tokens, "loss": base + change, **common})
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def study_table() -> Table:
    """The small study as a table of 72 training rows."""
    from bayescpt.data.table import Table

    return Table.from_frame(study_frame())


@pytest.fixture(scope="session")
def baseless_table() -> Table:
    """The same study without a single base loss."""
    from bayescpt.data.table import Table

    frame = study_frame()
    return Table.from_frame(frame[frame["tokens"] > 0])

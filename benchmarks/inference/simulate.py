"""The table that every contender fits, always the same: a balanced design, domains drawn around a population, which
lies with the noise in the middle of its prior.

Population and noise are not drawn, because their priors are wide and a single draw says little: where the noise of
neighbouring checkpoints is alike over half a run, or a domain's irreducible loss is near zero, every sampler needs ten
times as long.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro.handlers import seed, substitute, trace

from bayescpt.data.table import Table
from bayescpt.fit.run import model_of
from bayescpt.model.hierarchy import constants_of
from bayescpt.model.layout import layout_of, reference_of
from bayescpt.schema import TARGETS

LAW, POOLING, NOISE = "dcpt", "partial", "normal"
SEED = 3
"""the first whose domains all have an irreducible loss above half a nat: near zero levels and terms trade off, and
every sampler is slow"""


class Design(NamedTuple):
    """A balanced design: every domain has every size at every ratio, with the same checkpoints."""

    domains: int
    sizes: tuple[float, ...]
    ratios: tuple[float, ...]
    checkpoints: int

    @property
    def tokens(self) -> tuple[float, ...]:
        """Token counts of the checkpoints."""
        return tuple(np.round(np.geomspace(2e8, 2e10, self.checkpoints)))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.domains * len(self.sizes) * len(self.ratios) * self.checkpoints * len(TARGETS)


SIX = Design(6, (1e8, 3e8, 1e9), (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0), 20)
"""5,040 rows of 126 runs."""


def grid(design: Design) -> Table:
    """The table of a design, its losses yet to be drawn."""
    names = [f"domain-{number:03d}" for number in range(design.domains)]
    places = itertools.product(names, design.sizes, design.ratios, design.tokens, TARGETS)
    rows = [
        (f"{domain}-{size:.0f}-{ratio:g}", domain, size, ratio, tokens, target, f"base-{size:.0f}", 3.0)
        for domain, size, ratio, tokens, target in places
    ]
    columns = ["run", "domain", "size", "ratio", "tokens", "target", "base", "loss"]
    return Table.from_frame(pd.DataFrame(rows, columns=columns))


def simulated(design: Design, number: int = SEED) -> tuple[Table, dict[str, np.ndarray]]:
    """The table of a design with losses drawn from the prior, and the values that made them by NumPyro site."""
    model = model_of(LAW, POOLING, NOISE)
    table = grid(design)
    layout, reference = layout_of(table, model.law), reference_of(table)
    noise = model.noise
    half = 0.6745  # median of a half-normal
    middle = {
        "base_sd": noise.base_scale,
        "run_sd": half * noise.run_scale,
        "noise_typical": half * noise.wander_scale,
        "noise_memory": noise.memory,
        "noise_share_exponent": noise.share_exponent,
        "noise_early": noise.early,
    }
    constants = constants_of(model.law)
    values = {name: jnp.full(len(TARGETS), value) for name, value in middle.items()}
    fixed = substitute(model, values | {"population": constants.loc, "spread": constants.spread})
    drawn = trace(seed(fixed, jax.random.key(number))).get_trace(layout.rows, reference, observed=False)
    losses = np.empty(len(table))
    real = layout.row_index >= 0
    losses[layout.row_index[real]] = np.asarray(drawn["loss"]["value"])[real]
    frame = table.frame()
    frame["loss"] = losses
    truth = {name: np.asarray(site["value"]) for name, site in drawn.items() if name != "loss"}
    return Table.from_frame(frame), truth

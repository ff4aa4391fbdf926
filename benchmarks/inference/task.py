"""What a peer is given: the simulated rows in plain arrays, and the priors of the model, in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bayescpt.data.table import Table
from bayescpt.fit.run import model_of
from bayescpt.laws import BILLION
from bayescpt.model.hierarchy import SPREAD_SD, constants_of
from bayescpt.model.layout import layout_of, reference_of
from bayescpt.model.noise import BASE_SPREAD, EARLY_SD, MEMORY_SPREAD, RARE, SHARE_EXPONENT_SD
from benchmarks.inference.simulate import LAW, NOISE, POOLING


def write_task(table: Table, path: Path) -> None:
    """Write the rows of ``table`` and the constants of the priors, so that a peer needs nothing of this package."""
    model = model_of(LAW, POOLING, NOISE)
    layout, reference = layout_of(table, model.law), reference_of(table)
    constants, noise = constants_of(model.law), model.noise
    target, group, slot, checkpoint = np.nonzero(layout.row_index >= 0)
    place = (target, group, slot, checkpoint)
    rows = layout.rows
    np.savez(
        path,
        coordinates=np.array([c.name for c in model.law.coordinates]),
        loc=constants.loc,
        scale=constants.scale,
        spread=constants.spread,
        reference=np.array([reference.size, reference.tokens, reference.tokens_min]),
        target=target,
        group=group,
        run=layout.runs[group, slot],
        base_root=rows.base_root,
        size=table.size[layout.row_index[place]] / BILLION,
        tokens=table.tokens[layout.row_index[place]] / BILLION,
        share=table.share[layout.row_index[place]],
        progress=np.asarray(rows.progress)[place],
        gap=np.asarray(rows.gap)[place],
        loss=np.asarray(rows.loss)[place],
        spread_sd=SPREAD_SD,
        base=np.asarray(rows.base)[group, slot],
        noise=np.array([noise.base_scale, noise.run_scale, noise.wander_scale, noise.group_spread, noise.memory]),
        shape=np.array([noise.share_exponent, SHARE_EXPONENT_SD, noise.early, EARLY_SD]),
        spreads=np.array([BASE_SPREAD, MEMORY_SPREAD]),
        rare=RARE,
    )

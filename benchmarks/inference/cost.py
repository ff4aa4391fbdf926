"""How cost grows with the number of domains and rows: the mode, and one gradient of the sampler.

    python -m benchmarks.inference.cost

Balanced designs of simulate.py; compiled seconds are the second call's.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.util import potential_energy

from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.laplace import laplace
from bayescpt.fit.run import model_of
from bayescpt.fit.start import first_map
from bayescpt.model.layout import reference_of
from benchmarks.inference.simulate import LAW, NOISE, POOLING, SIX, Design, simulated

DESIGNS = {
    "6 domains": SIX,
    "25 domains": SIX._replace(domains=25),
    "100 domains": SIX._replace(domains=100),
    "200 domains": SIX._replace(domains=200),
    "200 domains, 3x checkpoints": SIX._replace(domains=200, checkpoints=60),
}
"""up to 504,000 rows"""


def line(name: str, design: Design) -> str:
    """Rows, seconds of the mode cold and warm, milliseconds of a gradient."""
    table, _ = simulated(design)
    model = model_of(LAW, POOLING, NOISE).on(table)
    layout, reference = model.layout(table), reference_of(table)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        mode = jax.block_until_ready(laplace(model, layout.rows, reference))
        seconds.append(time.perf_counter() - began)
    start = first_map(model, mode, layout.rows, reference)

    def density(flat, map, rows):  # type: ignore[no-untyped-def]
        return potential_energy(model, (rows, reference, map.whitening), {}, map.sites(flat))

    gradient = quick_jit(jax.value_and_grad(density))
    flat = jnp.zeros(start.size)
    jax.block_until_ready(gradient(flat, start, layout.rows))
    times = []
    for _ in range(20):
        began = time.perf_counter()
        jax.block_until_ready(gradient(flat, start, layout.rows))
        times.append(time.perf_counter() - began)
    middle = 1e3 * float(np.median(times))
    per_row = 1e6 * middle / design.rows
    told = f"{design.rows} | {start.size} | {seconds[0]:.1f} | {seconds[1]:.2f} | {middle:.2f} | {per_row:.0f}"
    return f"| {name} | {told} |"


def main() -> None:
    print(
        "| design | rows | coordinates | mode, cold s | mode, warm s | gradient ms | ns a row |",
        "|" + "---|" * 7,
        sep="\n",
    )
    for name, design in DESIGNS.items():
        print(line(name, design), flush=True)


if __name__ == "__main__":
    main()

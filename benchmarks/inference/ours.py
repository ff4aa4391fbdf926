"""One fit of this package as a process of its own: what a user waits for, from the start of the interpreter.

python -m benchmarks.inference.ours nuts|laplace TABLE.parquet OUT.npz
"""

from __future__ import annotations

import sys
import time

BEGAN = time.perf_counter()

from bayescpt.cli.sampling import use_devices  # noqa: E402 - what is imported is timed

use_devices(4)  # as the command does

import numpy as np  # noqa: E402

from bayescpt.data.table import Table  # noqa: E402
from bayescpt.fit import fit  # noqa: E402
from benchmarks.inference.simulate import LAW, NOISE, POOLING  # noqa: E402


def main() -> None:
    """Fit and write draws and statistics."""
    method, source, out = sys.argv[1:]
    imported = time.perf_counter()
    table = Table.read(source)
    read = time.perf_counter()
    fitted = fit(table, law=LAW, pooling=POOLING, noise=NOISE, method=method, seed=1)
    done = time.perf_counter()
    draws = {str(name): values.values for name, values in fitted.posterior.items()}
    stats = {} if method == "laplace" else {n: fitted.tree["sample_stats"][n].values for n in ("diverging", "n_steps")}
    seconds = {"import": imported - BEGAN, "read": read - imported, "fit": done - read}
    np.savez(out, **draws, **stats, whole=True, **{f"seconds_{name}": value for name, value in seconds.items()})


if __name__ == "__main__":
    main()

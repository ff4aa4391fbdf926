"""Effective draws a second of whole processes: this package against PyMC with nutpie, row by row and tuned by hand.

    python -m benchmarks.inference --peer-python /path/to/venv/bin/python --out speed.json

Every contender samples the posterior of the same 5,040 simulated rows (simulate.py) with the same priors, four chains
of 1,000 draws, cold: interpreter, imports, compilation and sampling count. The interpreter named must have pymc and
nutpie; without it only this package is timed. A peer is stopped after ``--seconds``; what it has drawn by then counts.
Contenders run one after another, ``--repeats`` times, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference.score import answers, score
from benchmarks.inference.simulate import SEED, SIX, simulated
from benchmarks.inference.task import write_task


def timed(command: list[str | Path], out: Path) -> tuple[dict[str, np.ndarray], float]:
    """Run a contender; its draws and the seconds of the whole process."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    began = time.perf_counter()
    subprocess.run([*map(str, command), str(out)], check=True, env=environment)
    seconds = time.perf_counter() - began
    return dict(np.load(out)), seconds


def told(name: str, line: dict[str, Any], unit: dict[str, Any]) -> str:
    """A row of the table in Markdown; ratios are of effective draws a second, against ``unit``."""
    ratio, ratio_asked = (unit[key] / line[key] for key in ("per_second", "per_second_asked"))
    cut = "" if line["whole"] else " (stopped)"
    return (
        f"| {name}{cut} | {line['seconds']:.0f} | {line['ess']:.0f} ({line['worst']}) | {line['ess_asked']:.0f} | "
        f"{line['r_hat']:.3f} | {line['divergences']} | {line['steps']:.0f} | {line['per_second']:.2f} | "
        f"{ratio:.1f} | {ratio_asked:.1f} |"
    )


HEAD = "| contender | seconds | least ESS | of answers | R-hat | divergences | steps | ESS/s | we are x | answers x |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--seconds", type=float, default=900.0, help="after which a peer is stopped")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--table", type=int, default=SEED, help="number of the simulated table")
    parser.add_argument("--out", type=Path, default=Path("speed.json"))
    asked = parser.parse_args()
    table, _ = simulated(SIX, asked.table)
    lines: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows, task, out = (Path(folder) / name for name in ("rows.parquet", "task.npz", "out.npz"))
        table.frame().to_parquet(rows)
        write_task(table, task)
        ours: list[str | Path] = [sys.executable, "-m", "benchmarks.inference.ours", "nuts", rows]
        contenders = {"bayescpt": ours}
        if asked.peer_python:
            for kind in ("tuned", "rows"):
                script = Path(__file__).parent / "peer.py"
                contenders[f"PyMC, {kind}"] = [asked.peer_python, script, "--seconds", str(asked.seconds), kind, task]
        for number in range(asked.repeats):
            for name, command in contenders.items():
                found, seconds = timed(command, out)
                try:
                    line = score(table, found, seconds)
                except ValueError as error:
                    print(f"| {name} {number} (stopped) | {seconds:.0f} | {error} |", flush=True)
                    continue
                lines.setdefault(name, []).append(line)
                asked.out.write_text(json.dumps({"rows": SIX.rows, "lines": lines}, indent=1))
                print(told(f"{name} {number}", line, lines["bayescpt"][-1]), flush=True)
        quick, seconds = timed([*ours[:3], "laplace", rows], out)
        parts = ", ".join(f"{name[8:]} {float(value):.2f}" for name, value in quick.items() if "seconds" in name)
        print(f"laplace: {seconds:.1f} s, of which {parts}")
        compare_answers(answers(table, quick), lines["bayescpt"][-1]["quantiles"])
    print(HEAD, "|" + "---|" * 10, sep="\n")
    for name, own in lines.items():
        middle = sorted(own, key=lambda line: line["per_second"])[len(own) // 2]
        print(told(name, middle, sorted(lines["bayescpt"], key=lambda line: line["per_second"])[asked.repeats // 2]))


def compare_answers(quick: dict[str, np.ndarray], sampled: dict[str, list[float]]) -> None:
    """How wide the intervals of a quick look are against those sampled, and how far their middles lie apart."""
    widths, shifts = [], []
    for name, values in quick.items():
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
        width = sampled[name][2] - sampled[name][0]
        if width > 1e-6:
            widths.append((high - low) / width)
            shifts.append(abs(middle - sampled[name][1]) / width)
    print(
        f"laplace against NUTS, {len(widths)} ratios and CMRs: 90 % intervals {np.min(widths):.2f} to "
        f"{np.max(widths):.2f} as wide (median {np.median(widths):.2f}), medians apart by up to "
        f"{np.max(shifts):.2f} of a width"
    )


if __name__ == "__main__":
    main()

"""Training speed side by side: this trainer, the Hugging Face Trainer, a plain loop over litgpt's model.

    pip install accelerate litgpt==0.5.13
    python -m benchmarks.trainer -o runs.jsonl         the table of runs, about 20 minutes
    python -m benchmarks.trainer.sweeps                the table of sweeps, about 10 minutes

Every number is the median over repeats; in each repeat every contender runs once, in a process of its own with one
thread, on a machine that should do nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks.trainer.common import VOCAB, Setting
from trainer.sizes import Size

WIDTHS = (96, 160, 256, 352)
WAYS = (("float32", False), ("float32", True), ("bfloat16", False), ("bfloat16", True))
PEERS = ("huggingface", "huggingface-loop", "litgpt")


def measure(name: str, setting: Setting) -> dict[str, float]:
    """One measurement in a new process: tokens per second, and the matmul peak beside it."""
    words = [name, setting.width, setting.precision, int(setting.compiled), setting.seconds]
    command = [sys.executable, "-m", "benchmarks.trainer.one", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(rows: pd.DataFrame) -> str:
    """Medians over repeats by width and way in Markdown: ours, its share of the matmul peak, its ratios to the peers.

    The last line of a width sets every contender's fastest way against ours.
    """
    medians = rows.groupby(["width", "precision", "compiled", "name"])[["rate", "peak"]].median()
    lines = [
        "| N | precision | compiled | tok/s | of peak | " + " | ".join(f"/ {peer}" for peer in PEERS) + " |",
        "|---|---|---|---|---|" + "---|" * len(PEERS),
    ]
    for width in sorted(rows["width"].unique()):
        size = Size(int(width))
        ways = [(p, c) for p, c in WAYS if (width, p, c, "ours") in medians.index]
        for precision, compiled in ways:
            rates = medians.loc[(width, precision, compiled)]
            mine = rates.loc["ours", "rate"]
            share = mine * size.flops_per_token(VOCAB) / rates.loc["ours", "peak"]
            ratios = [f"{mine / rates.loc[peer, 'rate']:.2f}" if peer in rates.index else "-" for peer in PEERS]
            lines.append(
                f"| {size.non_embedding / 1e6:.2f}M | {precision} | {'yes' if compiled else 'no'} | {mine:,.0f} | "
                f"{share:.0%} | {' | '.join(ratios)} |"
            )
        best = medians.loc[width]["rate"].groupby("name").max()
        ratios = [f"{best['ours'] / best[peer]:.2f}" if peer in best.index else "-" for peer in PEERS]
        lines.append(
            f"| {size.non_embedding / 1e6:.2f}M | best of each | | {best['ours']:,.0f} | | {' | '.join(ratios)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer", description=__doc__)
    parser.add_argument("--name", action="append", help="contender; may stand several times")
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("-o", "--out", type=Path, help="JSON lines, one a measurement, appended to")
    asked = parser.parse_args()
    rows = []
    for repeat in range(asked.repeats):
        for width in asked.width or WIDTHS:
            for precision, compiled in WAYS:
                for name in asked.name or ("ours", *PEERS):
                    found = measure(name, Setting(width, precision, compiled, asked.seconds))
                    rows.append({"name": name, "width": width, "precision": precision, "compiled": compiled, **found})
                    print(f"{repeat} {name} {width} {precision} {compiled}: {found['rate']:,.0f}", file=sys.stderr)
                    if asked.out:
                        with asked.out.open("a") as file:
                            file.write(json.dumps(rows[-1]) + "\n")
    print(table(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()

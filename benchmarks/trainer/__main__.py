"""Training speed side by side: this trainer, the Hugging Face Trainer, a plain loop over litgpt's model.

    pip install accelerate litgpt==0.5.13
    python -m benchmarks.trainer -o runs.jsonl         the table of runs, about 40 minutes
    python -m benchmarks.trainer.sweeps                the table of sweeps, about 10 minutes a repeat

In each repeat every contender runs once, in a process of its own with one thread, on a machine that should do nothing
else. A ratio is taken within a repeat, where the contenders ran one after another, and its median and range over the
repeats are told: the speed of a shared machine drifts by more than the contenders differ.
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

WIDTHS = (96, 256)
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


def ratios(rows: pd.DataFrame) -> list[str]:
    """For every peer the speed of ours over its own, by repeat: median and range."""
    rates = rows.pivot_table(index="repeat", columns="name", values="rate", aggfunc="max")
    cells = []
    for peer in PEERS:
        found = (rates["ours"] / rates[peer]).dropna() if peer in rates else pd.Series(dtype=float)
        cells.append(f"{found.median():.2f} [{found.min():.2f}, {found.max():.2f}]" if len(found) else "-")
    return cells


def table(rows: pd.DataFrame) -> str:
    """By width and way in Markdown: the speed of ours, its share of the matmul peak, its ratios to the peers.

    The last line of a width sets every contender's fastest way against ours.
    """
    lines = [
        "| N | precision | compiled | tok/s | of peak | " + " | ".join(f"/ {peer}" for peer in PEERS) + " |",
        "|---|---|---|---|---|" + "---|" * len(PEERS),
    ]
    for width, those in rows.groupby("width"):
        size = Size(int(str(width)))
        for precision, compiled in WAYS:
            way = those[(those["precision"] == precision) & (those["compiled"] == compiled)]
            mine = way[way["name"] == "ours"]
            if mine.empty:
                continue
            rate = mine["rate"].median()
            share = (mine["rate"] * size.flops_per_token(VOCAB) / mine["peak"]).median()
            lines.append(
                f"| {size.non_embedding / 1e6:.2f}M | {precision} | {'yes' if compiled else 'no'} | {rate:,.0f} | "
                f"{share:.0%} | {' | '.join(ratios(way))} |"
            )
        best = those[those["name"] == "ours"].groupby("repeat")["rate"].max().median()
        lines.append(
            f"| {size.non_embedding / 1e6:.2f}M | best of each | | {best:,.0f} | | {' | '.join(ratios(those))} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer", description=__doc__)
    parser.add_argument("--name", action="append", help="contender; may stand several times")
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("-o", "--out", type=Path, help="JSON lines, one a measurement, appended to")
    asked = parser.parse_args()
    rows = []
    for repeat in range(asked.repeats):
        for width in asked.width or WIDTHS:
            for precision, compiled in WAYS:
                for name in asked.name or ("ours", *PEERS):
                    found = measure(name, Setting(width, precision, compiled, asked.seconds))
                    rows.append(
                        {
                            "repeat": repeat,
                            "name": name,
                            "width": width,
                            "precision": precision,
                            "compiled": compiled,
                            **found,
                        }
                    )
                    print(f"{repeat} {name} {width} {precision} {compiled}: {found['rate']:,.0f}", file=sys.stderr)
                    if asked.out:
                        with asked.out.open("a") as file:
                            file.write(json.dumps(rows[-1]) + "\n")
    print(table(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()

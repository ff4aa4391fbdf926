"""Sweep throughput: the tokens per second of the whole machine, start of processes and evaluations included.

    python -m benchmarks.trainer.sweeps

The same eight runs of one size, one ratio each, trained in three ways: one after another in one process with all cores
as threads (``python -m trainer run``), one after another with one thread, and by a process a core
(``python -m trainer sweep``). The base is trained before the clock starts.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import yaml

from benchmarks.trainer.common import BATCH, LENGTH, VOCAB

WORDS = 4000
RATIOS = (0, 0.05, 0.15, 0.4, 0.65, 0.85, 0.95, 1)


def write_text(folder: Path, seed: int) -> None:
    """Random words, a hundred documents of about 60 kB."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(WORDS)]
    folder.mkdir()
    for i in range(100):
        (folder / f"{i:03}.txt").write_text(" ".join(draw.choices(words, k=10_000)), "utf-8")


def study(width: int, tokens: int, precision: str) -> dict[str, object]:
    """A study of one base and one run a ratio."""
    shared = {
        "batch": BATCH,
        "schedule": {"kind": "constant", "warmup_tokens": BATCH * LENGTH},
        "first_evaluation": BATCH * LENGTH,
        "validation_rows": 32,
        "precision": precision,
        "lr": 1e-3,
    }
    return {
        "corpora": {"general": {"text": "general"}, "domain": {"text": "domain"}},
        "general": "general",
        "tokenizer": {"vocab": VOCAB, "corpora": ["general"]},
        "length": LENGTH,
        "base": {**shared, "tokens": 10 * BATCH * LENGTH, "evaluations": 1},
        "bases": [{"size": width}],
        "run": {**shared, "tokens": tokens, "evaluations": 6},
        "grid": {"sizes": [width], "domains": ["domain"], "ratios": list(RATIOS)},
    }


def trained(folder: Path, out: Path, command: list[str]) -> float:
    """Seconds that a command needs for the runs, base and data being there."""
    began = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "trainer", *command, "--out", str(out)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout[-1000:]} {done.stderr[-2000:]}")
    return time.perf_counter() - began


def compare(width: int, tokens: int, precision: str, compiled: bool, repeats: int) -> dict[str, float]:
    """Tokens per second by way of training."""
    cores = os.cpu_count() or 1
    flag, option = (["--compile"], ["--option", "compile=true"]) if compiled else ([], [])
    ways = {
        "a process a core": ["sweep", "runs.yaml", "--workers", str(cores), *option],
        "one after another, one thread": ["run", "runs.yaml", "--threads", "1", *flag],
        f"one after another, {cores} threads": ["run", "runs.yaml", "--threads", str(cores), *flag],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for seed, name in enumerate(("general", "domain")):
            write_text(folder / name, seed)
        content = study(width, tokens, precision)
        (folder / "runs.yaml").write_text(yaml.safe_dump(content), "utf-8")
        (folder / "base.yaml").write_text(yaml.safe_dump({k: v for k, v in content.items() if k != "grid"}), "utf-8")
        for repeat in range(repeats):
            for number, (name, command) in enumerate(ways.items()):
                out = folder / f"out-{repeat}-{number}"
                trained(folder, out, ["sweep", "base.yaml", "--workers", "1"])
                seconds[name].append(trained(folder, out, command))
    return {name: len(RATIOS) * tokens / median(found) for name, found in seconds.items()}


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer.sweeps", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    print("| width | precision | compiled | way | proxy-tokens/s | of the best one after another |")
    print("|---|---|---|---|---|---|")
    for width, tokens, precision, compiled in (
        (96, 131_072, "float32", False),
        (160, 65_536, "float32", False),
        (96, 262_144, "bfloat16", True),
        (160, 131_072, "bfloat16", True),
    ):
        rates = compare(width, tokens, precision, compiled, asked.repeats)
        serial = max(rate for name, rate in rates.items() if name.startswith("one"))
        yes = "yes" if compiled else "no"
        for name, rate in rates.items():
            print(f"| {width} | {precision} | {yes} | {name} | {rate:,.0f} | {rate / serial:.2f} |", flush=True)


if __name__ == "__main__":
    main()

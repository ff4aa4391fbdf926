"""Synthetic questions and answers about Python, each answer computed: the third source of the two-stage recipe.

    python examples/recipes/synthesise.py --out recipes/synthetic

Random small expressions over lists, texts and numbers, and what Python says they are. No text of any corpus goes into
them, so none of a validation set can.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

WORDS = ("river", "stone", "light", "paper", "green", "seven", "cloud", "table", "early", "north")


def _numbers(draw: random.Random) -> list[int]:
    return [draw.randint(-20, 99) for _ in range(draw.randint(2, 6))]


def _words(draw: random.Random) -> list[str]:
    return draw.sample(WORDS, draw.randint(2, 5))


TEMPLATES: tuple[Callable[[random.Random], str], ...] = (
    lambda draw: f"sorted({_numbers(draw)})",
    lambda draw: f"sum({_numbers(draw)})",
    lambda draw: f"max({_numbers(draw)}) - min({_numbers(draw)})",
    lambda draw: f"[x for x in {_numbers(draw)} if x > {draw.randint(0, 50)}]",
    lambda draw: f"{_numbers(draw)}[{draw.randint(0, 1)}:{draw.randint(2, 5)}]",
    lambda draw: f"{draw.choice([' ', ', ', '-'])!r}.join({_words(draw)})",
    lambda draw: f"[len(word) for word in {_words(draw)}]",
    lambda draw: f"{draw.choice(WORDS)!r}.replace({draw.choice('aeiou')!r}, {draw.choice('xyz')!r})",
    lambda draw: f"{{word: word[0] for word in {_words(draw)}}}",
    lambda draw: f"{draw.randint(2, 999)} // {draw.randint(2, 19)}, {draw.randint(2, 999)} % {draw.randint(2, 19)}",
)
QUESTIONS = ("What does `{}` evaluate to?", "In Python, what is `{}`?", "Evaluate the expression `{}`.")


def document(draw: random.Random, questions: int) -> str:
    """Some questions and their answers; equal draws give equal text."""
    lines = []
    for _ in range(questions):
        expression = draw.choice(TEMPLATES)(draw)
        answer = eval(expression, {"__builtins__": {"sorted": sorted, "sum": sum, "max": max, "min": min, "len": len}})
        lines += ["Question: " + draw.choice(QUESTIONS).format(expression), f"Answer: `{answer!r}`", ""]
    return "\n".join(lines)


def main() -> None:
    """Write ``qa.jsonl.gz``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / "qa.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for _ in range(asked.documents):
            file.write(json.dumps({"text": document(draw, 8)}) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()

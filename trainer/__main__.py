"""``python -m trainer``: sweep a study, run a single one, or list the built-in corpora."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from trainer.corpora import Corpus, split_documents
from trainer.installed import BUILTIN
from trainer.progress import Progress
from trainer.study import Study, read_study
from trainer.sweep import sweep


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    many = commands.add_parser("sweep", help="train every run of a study that is not yet trained")
    many.add_argument("study", type=Path, metavar="RUNS.yaml")
    many.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of data, runs and rows.parquet")
    many.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    many.add_argument("--dry-run", action="store_true", help="print runs, tokens and FLOPs, train nothing")
    one = commands.add_parser("run", help="train the one run of a study, with its base")
    one.add_argument("study", type=Path, metavar="SPEC.yaml")
    one.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of data, runs and rows.parquet")
    corpora = commands.add_parser("corpora", help="what the built-in corpora hold on this machine")
    corpora.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BUILTIN)}; default: all")
    corpora.add_argument("--max-bytes", type=int, default=1_000_000, help="read about this much of each")
    return parser


def _dry_run(study: Study, console: Console) -> None:
    for spec in study.specs:
        console.print(f"{spec.run_id:44} {spec.training.tokens:>14,} tokens {spec.flops:10.3g} FLOP", highlight=False)
    tokens = sum(spec.training.tokens for spec in study.specs)
    flops = sum(spec.flops for spec in study.specs)
    console.print(f"{len(study.specs)} runs, {tokens:,} tokens, {flops:.3g} FLOP", highlight=False)


def _train(study: Study, out: Path, workers: int, console: Console) -> int:
    failed = sweep(study, out, workers, Progress(console))
    for run_id, reason in failed.items():
        print(f"failed: {run_id}: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _corpora(names: list[str], max_bytes: int, console: Console) -> int:
    unknown = [name for name in names if name not in BUILTIN]
    if unknown:
        raise ValueError(f"no built-in corpus {', '.join(unknown)}; there are {', '.join(BUILTIN)}")
    for name in names or BUILTIN:
        split = split_documents(Corpus(name, "builtin", name, max_bytes), 0.1)
        size = sum(len(text.encode()) for text in (*split.train, *split.validation))
        count = len(split.train) + len(split.validation)
        console.print(f"{name:10} {count:6} documents {size / 1e6:8.2f} MB", highlight=False)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit status 0 on success, 1 if a run failed, 2 for unusable input."""
    asked = _parser().parse_args(arguments)
    console = Console(soft_wrap=True)
    try:
        if asked.command == "corpora":
            return _corpora(asked.names, asked.max_bytes, console)
        study = read_study(asked.study)
        if asked.command == "run":
            if len(study.runs) != 1:
                raise ValueError(f"{asked.study}: expected one run, got {len(study.runs)}; `sweep` trains several")
            return _train(study, asked.out, 1, console)
        if asked.dry_run:
            _dry_run(study, console)
            return 0
        return _train(study, asked.out, asked.workers, console)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

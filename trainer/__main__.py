"""``python -m trainer``: sweep a study, run a single one, compare branches, export a blend, list built-in corpora."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from rich.console import Console

from trainer.blends import FORMATS, export, read_blend, write
from trainer.corpora import Corpus, split_documents
from trainer.forecast import forecast, summary
from trainer.installed import BUILTIN
from trainer.launch import LAUNCHERS, launcher_class
from trainer.launch.options import read_options
from trainer.machine import AUTO, DEVICES, Machine
from trainer.progress import Progress
from trainer.study import Study, read_study
from trainer.sweep import StartLauncher, sweep


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    many = commands.add_parser("sweep", help="train every run of a study that is not yet trained")
    many.add_argument("study", type=Path, metavar="RUNS.yaml")
    many.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of data, runs and rows.parquet")
    many.add_argument("--launcher", choices=LAUNCHERS, default="local", help="where the runs are executed")
    many.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of the launcher; may stand several times"
    )
    many.add_argument("--workers", type=int, help="the same as --option workers=N: processes, one thread each")
    many.add_argument("--dry-run", action="store_true", help="print tokens, FLOPs, repetition and time, train nothing")
    one = commands.add_parser("run", help="train a study's runs one by one on the whole machine, or under torchrun")
    one.add_argument("study", type=Path, metavar="SPEC.yaml")
    one.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of data, runs and rows.parquet")
    one.add_argument("--device", choices=DEVICES, default=AUTO, help="default: a GPU where there is one")
    one.add_argument("--compile", action="store_true", help="through torch.compile: faster, after a minute or so")
    one.add_argument("--rows", type=int, default=0, help="of a forward pass; larger batches accumulate gradients")
    one.add_argument("--threads", type=int, help="of each process on a CPU; default: PyTorch's choice")
    worth = commands.add_parser("utility", help="what each source is worth: branches with one left out, compared")
    worth.add_argument("study", type=Path, metavar="RUNS.yaml")
    worth.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the finished sweep")
    blend = commands.add_parser("export", help="write a mixture as a blend for another trainer")
    blend.add_argument("blend", type=Path, metavar="BLEND.yaml", help="sources, tokens and phases")
    blend.add_argument("--format", choices=[form.name for form in FORMATS], required=True)
    blend.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the files")
    blend.add_argument("--seed", type=int, default=0, help="of the other trainer's order, where it has one")
    blend.add_argument("--max-epochs", type=float, help="refuse a source that is gone through more often")
    corpora = commands.add_parser("corpora", help="what the built-in corpora hold on this machine")
    corpora.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BUILTIN)}; default: all")
    corpora.add_argument("--max-bytes", type=int, default=1_000_000, help="read about this much of each")
    return parser


def _launcher(name: str, texts: list[str]) -> StartLauncher:
    """How to start the launcher of this name; its options are checked here, before anything is done."""
    launcher = launcher_class(name)
    return partial(launcher, read_options(name, launcher.Options, texts))


def _dry_run(study: Study, out: Path, console: Console) -> None:
    runs = forecast(study, out)
    for line in (*map(str, runs), *summary(runs)):
        console.print(line, highlight=False)


def _train(study: Study, out: Path, start: StartLauncher, console: Console) -> int:
    return _said(sweep(study, out, start, Progress(console)))


def _said(failed: dict[str, str]) -> int:
    """The exit status of a training, its failures told."""
    for run_id, reason in failed.items():
        print(f"failed: {run_id}: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _run(study: Study, asked: argparse.Namespace, console: Console) -> int:
    # Imported here, because no other command needs PyTorch in its own process.
    from trainer.backend import join, leave
    from trainer.process import end_at_once, settle
    from trainer.together import train_together

    if asked.threads is not None and asked.threads < 1:
        raise ValueError(f"--threads: expected at least 1, got {asked.threads}")
    settle(asked.threads)
    backend = join(Machine(asked.device, asked.rows, asked.compile))
    try:
        status = _said(train_together(study, asked.out, backend, Progress(console)))
    finally:
        leave()
    if backend.world > 1:
        end_at_once(status)
    return status


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


def _utility(study: Study, out: Path, console: Console) -> int:
    from trainer.utility import utilities

    table = utilities(study, out)
    console.print(
        "Loss without a source less loss with it, nats/token; 90 % interval; positive is useful", highlight=False
    )
    console.print(table.drop(columns="se").round(4).to_string(index=False), highlight=False)
    if (table["seeds"] == 1).any():
        console.print("Intervals of one seed leave out what training itself varies by; add seeds.", highlight=False)
    return 0


def _export(asked: argparse.Namespace, console: Console) -> int:
    made = export(read_blend(asked.blend), asked.format, seed=asked.seed, max_epochs=asked.max_epochs)
    console.print(made.table, highlight=False)
    for note in made.notes:
        console.print(note, highlight=False)
    for path in write(made.files, asked.out):
        console.print(f"written: {path}", highlight=False)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit status 0 on success, 1 if a run failed, 2 for unusable input."""
    asked = _parser().parse_args(arguments)
    console = Console(soft_wrap=True)
    try:
        if asked.command == "corpora":
            return _corpora(asked.names, asked.max_bytes, console)
        if asked.command == "export":
            return _export(asked, console)
        study = read_study(asked.study)
        if asked.command == "utility":
            return _utility(study, asked.out, console)
        if asked.command == "run":
            return _run(study, asked, console)
        start = _launcher(
            asked.launcher, asked.option + ([] if asked.workers is None else [f"workers={asked.workers}"])
        )
        if asked.dry_run:
            _dry_run(study, asked.out, console)
            return 0
        return _train(study, asked.out, start, console)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

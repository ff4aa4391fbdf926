"""``bayescpt import``: losses that other trainers and trackers logged, as an observation table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescpt.cli.files import check_output, write_frame
from bayescpt.cli.options import Debug, Json
from bayescpt.cli.session import Gather, InputError, session
from bayescpt.data.faults import Fault

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = "csv, trainer-state, wandb, mlflow, tensorboard"
YAML_SUFFIXES = (".yaml", ".yml")


def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Files or folders of one log, in the order written; or a file of sources, .yaml (docs/import.md).",
        ),
    ],
    out: Annotated[str, typer.Option("-o", "--out", metavar="ROWS", help="Write the table here, CSV or Parquet.")],
    from_: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help=f"{FORMATS}; by default what it looks like.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COLUMN=VALUE", help="A column of the table with one value: run=a, size=1.5B."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=NAME", help="A column of the table and the name that holds it: ratio=config.mix."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET=NAME", help="A target and the name of its loss: general=eval_general_loss."),
    ] = None,
    loss_se: Annotated[
        list[str] | None, typer.Option(metavar="TARGET=NAME", help="A target and the name of its standard error.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only what has this value counts: run_name=sun-3.")
    ] = None,
    step: Annotated[str | None, typer.Option(metavar="NAME", help="What holds the step.")] = None,
    tokens_per_step: Annotated[
        str | None, typer.Option(metavar="N", help="Tokens of a step over all devices and accumulation: 2097152, 4M.")
    ] = None,
    base_step: Annotated[str | None, typer.Option(metavar="N", help="The step that was shown at the base.")] = None,
    base_tokens: Annotated[
        str | None, typer.Option(metavar="N", help="The tokens that were shown at the base.")
    ] = None,
    base_loss: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET=LOSS", help="Loss of the base, where the log does not start with it."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="UNIT", help="Of the losses: nats (default), bits, perplexity, bits_per_byte.")
    ] = None,
    tokens_per_byte: Annotated[
        list[str] | None,
        typer.Option(metavar="[TARGET=]X", help="Tokens per byte of the validation sets, for bits per byte."),
    ] = None,
    keep_last: Annotated[
        bool, typer.Option("--keep-last", help="Of a loss that a table holds twice the last counts, as in a log.")
    ] = False,
    skip_not_finite: Annotated[
        bool, typer.Option("--skip-not-finite", help="Leave out losses that are NaN or infinite.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Losses logged elsewhere, as an observation table: tables, trainer_state.json, W&B, MLflow, TensorBoard."""
    with session(json, debug) as say:
        from bayescpt.data import Table
        from bayescpt.data.importers import import_rows
        from bayescpt.data.importers.sources_file import filled, read_sources
        from bayescpt.data.read import CSV_SUFFIXES, PARQUET_SUFFIXES

        gather = Gather()
        path = gather(check_output, out, sources, CSV_SUFFIXES + PARQUET_SUFFIXES)
        flags: dict[str, Any] = dict(gather(pairs, "--set", set_) or {})
        lists = {"columns": ("--column", column), "targets": ("--target", target), "loss_se": ("--loss-se", loss_se)}
        lists |= {"where": ("--where", where), "base_loss": ("--base-loss", base_loss)}
        flags |= {key: gather(pairs, option, texts) for key, (option, texts) in lists.items() if texts}
        if tokens_per_byte:
            one = len(tokens_per_byte) == 1 and "=" not in tokens_per_byte[0]
            flags["tokens_per_byte"] = (
                tokens_per_byte[0] if one else gather(pairs, "--tokens-per-byte", tokens_per_byte)
            )
        single = {"from": from_, "step": step, "tokens_per_step": tokens_per_step, "unit": unit}
        single |= {"base_step": base_step, "base_tokens": base_tokens}
        flags |= {key: value for key, value in single.items() if value is not None}
        flags |= {key: True for key, on in (("keep_last", keep_last), ("skip_not_finite", skip_not_finite)) if on}
        lists_of = [one for one in sources if one.lower().endswith(YAML_SUFFIXES)]
        logs = [one for one in sources if one not in lists_of]
        entries = [entry for one in lists_of for entry in gather(read_sources, one) or []]
        for entry in entries:
            gather(check_output, out, [str(one) for one in _paths(entry)])
        gather.done()
        entries = [filled(entry, flags) for entry in entries]
        if logs:
            entries.append({"path": logs[0] if len(logs) == 1 else logs} | flags)
        imported = import_rows(entries)
        table = Table.from_frame(imported.frame)
        write_frame(imported.frame, path)
        for note in imported.notes:
            say.warn(note)
        told = {
            "out": str(path),
            "rows": len(table),
            "runs": len(table.runs),
            "domains": list(table.domains),
            "base_losses": int((table.base_losses > 0).sum()),
            "digest": table.digest,
            "notes": list(imported.notes),
        }
        say.result(told, lambda console: draw(told, console))


def pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """NAME=VALUE texts. Raises ValueError naming each that is none, and each name that is given twice."""
    found: dict[str, str] = {}
    wrong = []
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value):
            wrong.append(f"{option}: expected NAME=VALUE, got '{text}'")
        elif name.strip() in found:
            wrong.append(f"{option}: {name.strip()} is given twice; give it once")
        else:
            found[name.strip()] = value
    if wrong:
        raise InputError("\n".join(wrong), [Fault("usage", message) for message in wrong])
    return found


def _paths(entry: dict[str, Any]) -> list[Any]:
    path = entry.get("path")
    return path if isinstance(path, list) else [path] if path else []


def draw(told: dict[str, Any], console: Console) -> None:
    """What was written, for a person."""
    console.print(
        f"{told['out']}: {told['rows']} rows of {told['runs']} runs in {', '.join(told['domains'])}, "
        f"{told['base_losses']} base losses; bayescpt check tells what can be learned from them",
        soft_wrap=True,
    )

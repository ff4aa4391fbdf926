"""The program: its commands, and what becomes of a command line that cannot be understood."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any, cast

import typer
from typer.core import TyperGroup

from bayescpt.cli.answers import cmr, ratio
from bayescpt.cli.check import check
from bayescpt.cli.compare import compare
from bayescpt.cli.diagnose import diagnose
from bayescpt.cli.fit import fit
from bayescpt.cli.import_ import import_
from bayescpt.cli.next import next_
from bayescpt.cli.plan import plan
from bayescpt.cli.predict import predict
from bayescpt.cli.report import report
from bayescpt.cli.session import INTERRUPTED, error_object, write_json
from bayescpt.data.faults import Fault

COMMANDS = (check, import_, fit, compare, diagnose, predict, cmr, ratio, plan, next_, report)

UsageError = cast(type[typer.BadParameter], typer.BadParameter.__bases__[0])
"""What typer raises for every malformed command line; it has moved between versions, its subclass has not."""


class Program(TyperGroup):
    """A command line whose usage errors are JSON too, where JSON was asked for."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **settings: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        if "--json" not in given:
            return super().main(given, *rest, **settings)
        settings["standalone_mode"] = False
        try:
            status = super().main(given, *rest, **settings)
        except UsageError as error:
            message = error.format_message()
            write_json(error_object("unusable_input", message, [Fault("usage", message)]))
            error.show()
            status = error.exit_code
        sys.exit(status or 0)


app = typer.Typer(
    cls=Program,
    help="Plan continual pre-training: how much domain data to mix in, and how sure are we.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command(command.__name__.rstrip("_"))(command)


def main() -> None:
    """Run the command line of this process and end it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # names that a terminal cannot show are shown by their codes; nothing ends half-way for them
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="bayescpt")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            # a sampler that is still at work cannot be stopped, and an orderly end would wait for it
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise

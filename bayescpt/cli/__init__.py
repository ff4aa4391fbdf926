"""The command line. Nothing here imports JAX, pandas or NumPy before a command runs, so that help is immediate."""

from bayescpt.cli.program import app, main

__all__ = ["app", "main"]

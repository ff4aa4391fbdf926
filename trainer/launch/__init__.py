"""Launchers by name: where the runs of a sweep are executed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from trainer.launch.base import Launcher

LAUNCHERS: dict[str, tuple[str, str]] = {
    "local": ("trainer.launch.local", "Local"),
    "submitit": ("trainer.launch.slurm", "Slurm"),
    "ray": ("trainer.launch.ray_cluster", "RayCluster"),
}
"""Module and class; imported when asked for, because some need packages that others do without."""


def launcher_class(name: str) -> type[Launcher[Any]]:
    """The launcher of this name.

    Raises:
        ValueError: if there is none, or the package that it needs is not installed.
    """
    if name not in LAUNCHERS:
        raise ValueError(f"no launcher {name!r}; there are {', '.join(LAUNCHERS)}")
    module, attribute = LAUNCHERS[name]
    try:
        found: type[Launcher[Any]] = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "trainer":
            raise
        raise ValueError(
            f"launcher {name}: the package {error.name} is not installed; pip install 'bayescpt[sweep]'"
        ) from error
    return found

"""The contract between whoever trains and whoever fits: one observation table, standard library only.

Long format, one row per (run, checkpoint, target). The trainer writes it, the package reads it, and either
side can be replaced by any tool that keeps to these columns. The table holds measurements, never settings
that were merely asked for: ``ratio`` is the realised share of domain tokens, ``size`` the counted parameters.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Target = Literal["general", "domain"]

GENERAL: Target = "general"
DOMAIN: Target = "domain"
TARGETS: tuple[Target, ...] = (GENERAL, DOMAIN)

Kind = Literal["text", "number", "integer"]


@dataclass(frozen=True)
class Column:
    """One column of the observation table: what it holds, in which unit, within which bounds."""

    name: str
    kind: Kind
    required: bool
    unit: str
    meaning: str
    lower: float | None = None
    upper: float | None = None
    lower_open: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("run", "text", True, "-", "id of the training run; rows that share it share that run's noise"),
    Column("domain", "text", True, "-", "the domain trained on: the groups of the hierarchy"),
    Column("size", "number", True, "parameters", "non-embedding parameters N", lower=0, lower_open=True),
    Column("ratio", "number", True, "-", "realised share r of domain tokens in the stream", lower=0, upper=1),
    Column("tokens", "number", True, "tokens", "tokens seen since the base, all sources together", lower=0),
    Column("target", "text", True, "-", "validation set the loss was measured on: general or domain"),
    Column("loss", "number", True, "nats/token", "mean cross-entropy", lower=0, lower_open=True),
    Column("loss_se", "number", False, "nats/token", "standard error of loss over the validation set", lower=0),
    Column("base", "text", False, "-", "id of the base checkpoint (default: one base per size)"),
    Column("seed", "integer", False, "-", "seed of the run"),
    Column("flops", "number", False, "FLOP", "training FLOPs spent up to this row", lower=0),
    Column("lr", "number", False, "-", "learning rate at this row", lower=0),
    Column("lr_sum", "number", False, "-", "S1: sum of learning rates over the steps since the base", lower=0),
    Column("lr_anneal", "number", False, "-", "S2: annealing area since the base"),
    Column("domain_epochs", "number", False, "epochs", "how often the domain corpus was repeated", lower=0),
    Column("phase_start", "number", False, "tokens", "tokens since the base at which the last mixture began", lower=0),
    Column("phase_ratio", "number", False, "-", "realised share of domain tokens since then", lower=0, upper=1),
    Column("gpu_hours", "number", False, "h", "device-hours spent since the base up to this row", lower=0),
)

PHASE: tuple[str, str] = ("phase_start", "phase_ratio")
"""Columns that go together: of a run that changes its mixture, since when it has which share. ``ratio`` is then the
mean of the whole run so far, as always; with one mixture throughout they are 0 and the ratio."""
SHARE = "share_"
"""Optional columns ``share_<source>``: realised shares of all sources of the stream, together 1. All rows or none."""
TWO_SOURCES: tuple[str, ...] = ("general", "domain")
"""The sources of a stream whose shares are not told apart: r is the domain's, 1 - r the general one's."""


def share_column(source: str) -> Column:
    """The column that holds the shares of one source."""
    return Column(f"{SHARE}{source}", "number", False, "-", f"realised share of {source} in the stream", 0, 1)


REQUIRED: tuple[str, ...] = tuple(c.name for c in COLUMNS if c.required)
KEY: tuple[str, ...] = ("run", "tokens", "target")
"""No two rows may agree in all of these."""
CONSTANT_IN_RUN: tuple[str, ...] = ("domain", "size", "base", "seed")
"""A run keeps one value of each of these; ``ratio`` is realised so far and may move with ``tokens``."""


@dataclass(frozen=True)
class Observation:
    """One measured loss. Field names and units are those of :data:`COLUMNS`."""

    run: str
    domain: str
    size: int
    ratio: float
    tokens: int
    target: Target
    loss: float
    loss_se: float | None = None
    base: str | None = None
    seed: int | None = None
    flops: float | None = None
    lr: float | None = None
    lr_sum: float | None = None
    lr_anneal: float | None = None
    domain_epochs: float | None = None
    phase_start: float | None = None
    phase_ratio: float | None = None
    gpu_hours: float | None = None

    def row(self) -> dict[str, Any]:
        """The observation as one row of the table, columns in the order of :data:`COLUMNS`."""
        values = asdict(self)
        return {column.name: values[column.name] for column in COLUMNS}

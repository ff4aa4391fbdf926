"""What is to be known of a source besides its files: where its losses, tokens and constants are, and in which unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayescpt.data.importers.collect import Collector
from bayescpt.data.importers.entry import KINDS, Entry
from bayescpt.data.importers.registry import BY_NAME
from bayescpt.data.importers.units import BY_NAME as UNITS_BY_NAME
from bayescpt.data.importers.units import BYTES_REFUSED, Unit
from bayescpt.schema import SHARE, TARGETS

KEYS = (
    *("path", "from", "columns", "targets", "loss_se", "where", "step", "tokens_per_step", "base_step", "base_tokens"),
    *("base_loss", "unit", "tokens_per_byte", "keep_last", "skip_not_finite"),
)
"""Keys of a source besides its constants, which have the names of the contract's columns."""


@dataclass(frozen=True)
class Source:
    """Files of one format and what they do not say themselves.

    Args:
        paths: pieces of one log, in the order in which they were written.
        importer: its name; None where it is to be found out.
        constants: columns of the contract that have one value throughout.
        columns: columns of the contract and the names that hold them.
        targets: names of the losses by target; in a long table what its target column calls them.
        errors: names of the standard errors of the losses by target.
        where: names and the values that they must have for a record to count.
        step: name of the step; None for that of the format.
        tokens_per_step: tokens of a batch over all devices and accumulation; None where a name holds the tokens.
        base_step, base_tokens: what the counters showed at the base.
        base_loss: losses of the base by target, in ``unit``, where the log does not start with them.
        unit: of all losses and their errors.
        tokens_per_byte: by target, of its validation set under the tokenizer; for bits per byte.
        keep_last: a table may hold a loss several times, and the last counts; as it always is in a log.
        skip_not_finite: losses that are NaN or infinite are left out instead of refused.
    """

    paths: tuple[Path, ...]
    importer: str | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    step: str | None = None
    tokens_per_step: float | None = None
    base_step: float = 0.0
    base_tokens: float = 0.0
    base_loss: Mapping[str, float] = field(default_factory=dict)
    unit: Unit = UNITS_BY_NAME["nats"]
    tokens_per_byte: Mapping[str, float] = field(default_factory=dict)
    keep_last: bool = False
    skip_not_finite: bool = False

    def nats(self, loss: float, target: str) -> float:
        """A loss of this source in nats per token."""
        return self.unit.to_nats(loss, self.tokens_per_byte.get(target, math.nan))

    def nats_error(self, error: float, loss: float, target: str) -> float:
        """A standard error in nats per token; ``loss`` in the unit of the source."""
        return error * self.unit.slope(loss, self.tokens_per_byte.get(target, math.nan))


def source_of(entry: Mapping[str, Any], faults: Collector) -> Source:
    """A source from plain values, as a file of sources or the command line gives them; faults go to ``faults``."""
    read = Entry(entry, faults)
    for key in entry:
        if key not in KEYS and key not in KINDS and not key.startswith(SHARE):
            known = ", ".join((*KEYS, *(name for name in KINDS if name != "loss")))
            faults.add("unknown_key", f"unknown key {key!r}; known are {known}, {SHARE}<source>", key)
    source = Source(
        paths=read.paths(),
        importer=read.choice("from", tuple(BY_NAME)),
        constants=read.constants(),
        columns=read.names("columns", None),
        targets=read.names("targets", TARGETS),
        errors=read.names("loss_se", TARGETS) if isinstance(entry.get("loss_se"), Mapping) else {},
        where=read.names("where", None),
        step=read.text("step"),
        tokens_per_step=read.number("tokens_per_step", lower_open=True),
        base_step=read.number("base_step") or 0.0,
        base_tokens=read.number("base_tokens") or 0.0,
        base_loss=read.numbers("base_loss", TARGETS),
        unit=UNITS_BY_NAME[read.choice("unit", tuple(UNITS_BY_NAME)) or "nats"],
        tokens_per_byte=read.numbers("tokens_per_byte", TARGETS),
        keep_last=read.flag("keep_last"),
        skip_not_finite=read.flag("skip_not_finite"),
    )
    _contradictions(source, faults)
    return source


def _contradictions(source: Source, faults: Collector) -> None:
    for name in source.columns:
        if name not in KINDS and not name.startswith(SHARE):
            faults.add(
                "unknown_column", f"columns: the contract has no column {name!r}; it has {', '.join(KINDS)}", name
            )
        if name in source.constants:
            faults.add("given_twice", f"{name} is set and read from {source.columns[name]!r}; drop one of them", name)
    ways = {"tokens_per_step": source.tokens_per_step is not None, "columns.tokens": "tokens" in source.columns}
    ways |= {"tokens": "tokens" in source.constants}
    if sum(ways.values()) > 1:
        told = " and ".join(name for name, given in ways.items() if given)
        faults.add("given_twice", f"{told} both say how many tokens a step has seen; drop one of them", "tokens")
    if source.unit.needs_bytes and not source.tokens_per_byte:
        faults.add("unit_refused", f"unit: {BYTES_REFUSED}", "loss")
    elif source.unit.needs_bytes:
        for target in source.base_loss.keys() - source.tokens_per_byte.keys():
            faults.add("unit_refused", f"base_loss.{target}: give tokens_per_byte of the {target} set", "loss")
    if source.tokens_per_byte and not source.unit.needs_bytes:
        faults.add(
            "given_twice", f"tokens_per_byte has no use for losses in {source.unit.name}; drop it, or say bits_per_byte"
        )

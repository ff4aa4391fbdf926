"""Losses of the base that a log does not start with, given by hand."""

from __future__ import annotations

from bayescpt.data.importers.collect import Collector
from bayescpt.data.importers.row import Row
from bayescpt.data.importers.source import Source
from bayescpt.data.row_rules import BASE_AGREEMENT
from bayescpt.schema import CONSTANT_IN_RUN


def with_bases(source: Source, rows: list[Row], faults: Collector) -> list[Row]:
    """The rows and, for each run, the base losses that the source gives."""
    found = list(rows)
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.values["run"], row)
    measured = {row.key: row for row in rows}
    for run, row in first.items():
        for target, given in source.base_loss.items():
            loss = source.nats(given, target)
            same = measured.get((run, 0.0, target))
            if same is None:
                # the columns that a base shares with its run; what the run did later is none of it
                held = {name: row.values[name] for name in CONSTANT_IN_RUN if name in row.values}
                values = held | {"run": run, "ratio": 0.0, "tokens": 0.0, "target": target, "loss": loss}
                found.append(Row(values, f"base_loss.{target}"))
            elif abs(same.values["loss"] - loss) > BASE_AGREEMENT:
                message = (
                    f"base_loss.{target} is {loss:.6g} nats, but run {run!r} starts at {same.values['loss']:.6g} in "
                    f"{same.place}; drop base_loss, or what the log says at 0 tokens"
                )
                faults.add("base_conflict", message, "loss")
    return found

"""Losses that a log holds twice, because the run was started again or evaluated again: the last written counts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from bayescpt.data.faults import abbreviated
from bayescpt.data.importers.collect import Collector, losses
from bayescpt.data.importers.record import Importer
from bayescpt.data.importers.row import Row
from bayescpt.data.importers.source import Source


def once(source: Source, importer: Importer, rows: list[Row], faults: Collector) -> list[Row]:
    """Each loss once: of a log that was written again the last, and so of a table where that is wanted."""
    latest: dict[tuple[Hashable, ...], Row] = {}
    again: dict[str, list[tuple[Row, Row]]] = defaultdict(list)
    for row in rows:
        if row.key in latest:
            again[row.values["run"]].append((latest.pop(row.key), row))
        latest[row.key] = row
    for run, pairs in again.items():
        parts = [f"{new.point} in {old.place} and {new.place}" for old, new in pairs]
        if not (importer.is_log or source.keep_last):
            message = f"expected each loss of run {run!r} once, got {abbreviated(parts, 'losses')}"
            remedy = "delete one of each, give each run its own id, or take the last (--keep-last; `keep_last: true`)"
            faults.add("duplicate_key", f"{message}; {remedy}", "loss")
            continue
        changes = [abs(old.values["loss"] - new.values["loss"]) for old, new in pairs]
        most = max((change for change in changes if math.isfinite(change)), default=0.0)
        told = (
            f"run {run!r}: {losses(len(pairs))} logged again, the last counts, they differ by at most {most:.3g} nats"
        )
        faults.note(f"{told}: {abbreviated(parts, 'losses')}")
        _left_over(run, rows, latest, faults)
    return list(latest.values())


def _left_over(run: str, rows: Sequence[Row], latest: Mapping[tuple[Hashable, ...], Row], faults: Collector) -> None:
    """Tell of losses beyond a point that a run was started again from, at which it logged nothing since."""
    by_target: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.values["run"] == run:
            by_target[row.values["target"]].append(row)
    left: list[str] = []
    for mine in by_target.values():
        lowest = math.inf
        for row in reversed(mine):
            if row.values["tokens"] > lowest and latest[row.key] is row:
                left.append(f"{row.point} in {row.place}")
            lowest = min(lowest, row.values["tokens"])
    if left:
        told = f"run {run!r}: {losses(len(left))} beyond a point that the run later started again from, kept"
        faults.note(f"{told}: {abbreviated(left[::-1], 'losses')}")

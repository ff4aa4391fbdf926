"""Records become rows of the contract: losses in nats per token, steps as tokens since the base."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from bayescpt.data.faults import abbreviated
from bayescpt.data.importers.bases import with_bases
from bayescpt.data.importers.collect import Collector, losses
from bayescpt.data.importers.entry import KINDS, amount, constant
from bayescpt.data.importers.plan import NEEDED, Plan
from bayescpt.data.importers.record import Importer, Record
from bayescpt.data.importers.relogged import once
from bayescpt.data.importers.row import Row
from bayescpt.data.importers.source import Source
from bayescpt.schema import GENERAL

IMPLAUSIBLE = 20.0
"""Nats per token: more than log of any vocabulary, so that a loss above it is likely in another unit."""


def rows_of(source: Source, importer: Importer, plan: Plan, records: Sequence[Record], faults: Collector) -> list[Row]:
    """The rows of a source, each loss once, with those of its bases where they are given."""
    reading = _Reading(source, plan, records, faults)
    rows = _finite(source, once(source, importer, list(reading.rows()), faults), faults)
    rows = with_bases(source, rows, faults)
    _too_large(source, rows, faults)
    runs = {run: i for i, run in enumerate(dict.fromkeys(row.values["run"] for row in rows))}
    return sorted(
        rows, key=lambda row: (runs[row.values["run"]], row.values["tokens"], row.values["target"] != GENERAL)
    )


def _finite(source: Source, rows: Sequence[Row], faults: Collector) -> list[Row]:
    """The rows whose loss is one; the others are left out where that is wanted, else they are faults."""
    skipped = []
    for row in rows:
        if row.wrong is not None and row.wrong[0] == "not_finite" and source.skip_not_finite:
            skipped.append(row.place)
        elif row.wrong is not None:
            faults.at(row.place, row.row, *row.wrong, "loss")
    if skipped:
        faults.note(f"{losses(len(skipped))} not finite and left out: {abbreviated(skipped, 'places')}")
    return [row for row in rows if row.wrong is None]


def _too_large(source: Source, rows: Sequence[Row], faults: Collector) -> None:
    largest = max((row.values["loss"] for row in rows), default=0.0)
    if largest > IMPLAUSIBLE:
        told = f"losses of up to {largest:.4g} nats per token are more than guessing costs; these may be another unit"
        faults.note(f"{told} (--unit perplexity)" if source.unit.name == "nats" else told)


class _Reading:
    """The way from records to rows; what is wrong with a record goes to ``faults``, and it gives no row."""

    def __init__(self, source: Source, plan: Plan, records: Sequence[Record], faults: Collector) -> None:
        self._source = source
        self._plan = plan
        self._records = records
        self._faults = faults
        wanted = plan.used
        self._at_step: dict[tuple[Hashable, ...], dict[str, Any]] = defaultdict(dict)
        for record in records:
            at = self._step_key(record)
            if at is not None:
                self._at_step[at].update((name, record.values[name]) for name in wanted if name in record.values)

    def rows(self) -> Iterator[Row]:
        """Rows in the order written."""
        before = 0
        for record in self._records:
            for target, name, error in self._losses(record):
                raw = self._number(record, name, record.values[name])
                loss = None if raw is None else self._source.nats(raw, target)
                if raw is None or loss is None:
                    continue
                values = self._columns(record) | self._tokens(record)
                if values.get("tokens", 0) < 0:
                    before += 1
                    continue
                values |= {"target": target, "loss": loss}
                if error is not None and error in record.values:
                    se = self._number(record, error, record.values[error])
                    values |= {} if se is None else {"loss_se": self._source.nats_error(se, raw, target)}
                if self._is_whole(record, values):
                    yield Row(values, record.place, record.row, self._wrong(name, target, raw, loss))
        if before:
            self._faults.note(f"{losses(before)} from before the base, left out")

    def _losses(self, record: Record) -> Iterator[tuple[str, str, str | None]]:
        """Target, name of the loss and name of its standard error, for each loss that a record holds."""
        plan = self._plan
        if plan.loss is None:
            for of, name in plan.losses.items():
                if name in record.values:
                    yield of, name, plan.errors.get(of)
            return
        if plan.loss not in record.values:
            if self._label(record) is not None:
                remedy = "fill in the measured loss or delete the row"
                self._faults.at(record.place, record.row, "blank_cell", f"no {plan.loss}", remedy, "loss")
            return
        label = self._label(record)
        if label is None:
            remedy = "say which validation set the loss was measured on"
            self._faults.at(record.place, record.row, "blank_cell", f"no {plan.target}", remedy, "target")
        elif not plan.labels:
            yield label, plan.loss, None
        elif label in plan.labels:
            yield plan.labels[label], plan.loss, None

    def _label(self, record: Record) -> str | None:
        if self._plan.target is None:
            return str(self._source.constants["target"])
        value = record.values.get(self._plan.target)
        return None if value is None else str(value)

    def _step_key(self, record: Record) -> tuple[Hashable, ...] | None:
        if self._plan.step is None or self._plan.step not in record.values:
            return None
        step = record.values[self._plan.step]
        try:
            return (self._run(record), amount(step))
        except ValueError:
            return (self._run(record), str(step))

    def _run(self, record: Record) -> Hashable:
        name = self._plan.columns.get("run")
        return None if name is None else str(record.values.get(name, record.about.get(name)))

    def _value(self, record: Record, name: str) -> Any:
        """What a name holds for a record: its own, that of its step, or that of its run."""
        if name in record.values:
            return record.values[name]
        at = self._step_key(record)
        held = self._at_step[at] if at is not None else {}
        return held.get(name, record.about.get(name))

    def _columns(self, record: Record) -> dict[str, Any]:
        found = {name: value for name, value in self._source.constants.items() if name not in ("tokens", "target")}
        for name, held in self._plan.columns.items():
            value = self._value(record, held)
            if value is None:
                continue
            try:
                found[name] = constant(name, KINDS.get(name, "number"), value)
            except ValueError:
                expected = {"text": "text", "integer": "a whole number"}.get(KINDS.get(name, "number"), "a number")
                expected = f"expected {expected} as {held}, got {value!r}"
                self._faults.at(record.place, record.row, "wrong_type", expected, "correct it there", name)
        return found

    def _tokens(self, record: Record) -> dict[str, Any]:
        source, plan = self._source, self._plan
        if source.tokens_per_step is not None and plan.step is not None:
            step = self._counter(record, plan.step)
            return {} if step is None else {"tokens": (step - source.base_step) * source.tokens_per_step}
        if plan.tokens is not None:
            tokens = self._counter(record, plan.tokens)
            return {} if tokens is None else {"tokens": tokens - source.base_tokens}
        return {"tokens": source.constants["tokens"]}

    def _counter(self, record: Record, name: str) -> float | None:
        """A step or a number of tokens."""
        value = self._value(record, name)
        if value is None:
            remedy = "the loss has no place along the run without it; log it with the losses, or use --tokens-per-step"
            self._faults.at(record.place, record.row, "blank_cell", f"no {name} with the loss", remedy, "tokens")
            return None
        found = self._number(record, name, value, "tokens")
        if found is None or math.isfinite(found):
            return found
        self._faults.at(record.place, record.row, "not_finite", f"{name} is {found:g}", "correct it there", "tokens")
        return None

    def _number(self, record: Record, name: str, value: Any, column: str = "loss") -> float | None:
        try:
            return amount(value, counts=column == "tokens")
        except ValueError:
            expected = f"expected a number as {name}, got {value!r}"
            remedy = "write plain numbers, without units or thousands separators"
            self._faults.at(record.place, record.row, "wrong_type", expected, remedy, column)
            return None

    def _wrong(self, name: str, target: str, raw: float, loss: float) -> tuple[str, str, str] | None:
        """What is wrong with a loss, for its row to carry: one that was logged again since is no fault."""
        if math.isfinite(loss):
            return None
        if self._source.unit.needs_bytes and target not in self._source.tokens_per_byte:
            return "unit_refused", f"{name} is in bits per byte", f"give tokens_per_byte of the {target} set"
        if math.isfinite(raw):
            unit = self._source.unit.name
            return "out_of_bounds", f"{name} is {raw:g}, which is no loss in {unit}", "correct the unit or the value"
        remedy = "a loss that diverged teaches nothing; leave it out (--skip-not-finite, `skip_not_finite: true`)"
        return "not_finite", f"{name} is {raw:g}", remedy

    def _is_whole(self, record: Record, values: dict[str, Any]) -> bool:
        """Whether all required columns have a value; a base has seen no stream, so that its ratio is set to 0."""
        if values.get("tokens") == 0:
            values.setdefault("ratio", 0.0)
        missing = [name for name in NEEDED if name not in values and name in self._plan.columns]
        for name in missing:
            expected = f"no {self._plan.columns[name]} with the loss"
            remedy = f"set the {name} (--set {name}=VALUE), or fill it in there"
            self._faults.at(record.place, record.row, "blank_cell", expected, remedy, name)
        return "tokens" in values and all(name in values for name in NEEDED)

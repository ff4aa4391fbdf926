"""Rules that compare rows: keys, what runs keep, what checkpoints and bases agree on, what was measured."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator

import numpy as np

from bayescpt.data.cells import Mask, Sheet
from bayescpt.data.faults import Fault, abbreviated, row_list
from bayescpt.schema import CONSTANT_IN_RUN, DOMAIN, KEY, PHASE, TARGETS

RATIO_DRIFT = 0.02
"""How far the realised ratio may lie from its last value near the end of a run; sampling noise in a realised
share shrinks as 1/sqrt(tokens), so at a fraction f of the run the allowance is RATIO_DRIFT / sqrt(f)."""
ROW_TOKENS = 4096
"""A mixture is exact to a packed row at best: a row more or less of this many tokens is counting, not drift."""
SAME_CHECKPOINT = 1e-6
"""Relative difference above which two rows of one checkpoint contradict each other."""
BASE_AGREEMENT = 1e-4
"""Nats per token within which repeated evaluations of one base agree: the noise of parallel arithmetic."""
CHECKPOINT_COLUMNS = ("flops", "lr", "lr_sum", "lr_anneal", "domain_epochs", *PHASE, "gpu_hours")
"""What a checkpoint has one value of, besides what was trained on."""


def duplicate_keys(sheet: Sheet) -> Iterator[Fault]:
    again = [g for g in _groups(sheet, KEY, sheet.usable(*KEY)).items() if len(g[1]) > 1]
    if again:
        parts = [f"{_label(KEY, key)} in {row_list(_numbers(places))}" for key, places in again]
        message = (
            f"expected one row for each ({', '.join(KEY)}), got {abbreviated(parts, 'keys')}; "
            "delete the copies, or give each run its own id"
        )
        yield Fault("duplicate_key", message, rows=_numbers(i for _, places in again for i in places))


def changing_runs(sheet: Sheet) -> Iterator[Fault]:
    for name in CONSTANT_IN_RUN:
        parts, odd = _deviating(sheet, "run", name)
        if parts:
            message = (
                f"expected one {name} in each run, got {abbreviated(parts, 'runs')}; correct these rows, "
                "or give "
                "each run (and each base on each domain) an id of its own"
            )
            yield Fault("run_changes", message, name, _numbers(odd))


def moving_ratios(sheet: Sheet) -> Iterator[Fault]:
    for name in sheet.stream_columns:
        if {name, "run", "tokens"} <= set(sheet.cells):
            yield from moving(sheet, name, ~sheet.later_phase, sheet.cells["tokens"].values)


def moving(
    sheet: Sheet, name: str, among: Mask, tokens: np.ndarray, by: tuple[str, ...] = ("run",), what: str = "one run"
) -> Iterator[Fault]:
    """Runs, or parts of runs, that do not keep a share, beyond what counting it over ``tokens`` explains."""
    rows = sheet.usable(*by, name, "tokens") & sheet.is_training & among
    parts, odd = [], []
    for (run, *_), places in _groups(sheet, by, rows).items():
        read, ratio = tokens[places].astype(float), sheet.cells[name].values[places]
        last = ratio[np.argmax(read)]
        away = np.abs(ratio - last) > RATIO_DRIFT / np.sqrt(read / read.max()) + ROW_TOKENS / read
        if away.any():
            odd += [places[i] for i in np.flatnonzero(away)]
            first = int(np.argmax(away))
            parts.append(f"run {run!r} ends at {last:g} but has {ratio[first]:g} in row {places[first] + 1}")
    if parts:
        message = (
            f"expected a {name} that {what} keeps, within what realised counting explains ({RATIO_DRIFT:g} near the "
            f"end), got {abbreviated(parts, 'runs')}; of a run whose mixture changes on the way say in phase_start "
            "and phase_ratio since when it has which share, or leave it out"
        )
        yield Fault("ratio_moves", message, name, _numbers(odd))


def contradicting_checkpoints(sheet: Sheet) -> Iterator[Fault]:
    for name in (*sheet.stream_columns, *CHECKPOINT_COLUMNS):
        if name not in sheet.cells:
            continue
        values = sheet.cells[name].values
        rows = sheet.usable("run", "tokens", name) & sheet.is_training
        parts, odd = [], []
        for (run, tokens), places in _groups(sheet, ("run", "tokens"), rows).items():
            here = values[places]
            if np.ptp(here) > SAME_CHECKPOINT * np.abs(here).max():
                odd += places
                parts.append(f"run {run!r} at {tokens:g} tokens has {here.min():g} and {here.max():g}")
        if parts:
            message = (
                f"expected one {name} at each checkpoint, whatever the target, got "
                f"{abbreviated(parts, 'checkpoints')}"
                f" in {row_list(_numbers(odd))}; correct these rows"
            )
            yield Fault("checkpoint_conflict", message, name, _numbers(odd))


def changing_bases(sheet: Sheet) -> Iterator[Fault]:
    parts, odd = _deviating(sheet, "base", "size")
    if parts:
        message = (
            f"expected one size for each base, got {abbreviated(parts, 'bases')}; correct the size, or "
            "give each "
            "base checkpoint an id of its own"
        )
        yield Fault("base_changes", message, "size", _numbers(odd))


def conflicting_base_losses(sheet: Sheet) -> Iterator[Fault]:
    groups = base_groups(sheet)
    parts, odd = [], []
    for (base, domain, target), places in groups.items():
        losses = sheet.cells["loss"].values[places]
        if np.ptp(losses) > BASE_AGREEMENT:
            odd += places
            where = row_list(_numbers(places))
            parts.append(f"base {base!r} on {domain!r}, {target}: {losses.min():g} to {losses.max():g} in {where}")
    if parts:
        help_ = (
            "evaluate each base once on the same validation set"
            if "base" in sheet.cells
            else "runs that start from different checkpoints of one size need a base column"
        )
        message = (
            f"expected one loss for each base, domain and target at tokens = 0, got "
            f"{abbreviated(parts, 'base losses')}; {help_}"
        )
        yield Fault("base_conflict", message, "loss", _numbers(odd))


def unmeasured_targets(sheet: Sheet) -> Iterator[Fault]:
    if sheet.rows == 0 or "tokens" not in sheet.cells or "target" not in sheet.cells:
        return
    # a row that cannot be read may be the very one that is looked for: accuse only when none is left in doubt
    doubtful = ~sheet.usable("tokens", "target")
    training = sheet.is_training & ~doubtful
    if not training.any() and not doubtful.any():
        message = "expected rows measured after training (tokens > 0), got base rows only; add those of runs"
        yield Fault("no_training_rows", message, "tokens")
        return
    targets = sheet.cells["target"].values
    never = [t for t in TARGETS if not (training & (targets == t)).any() and not doubtful.any()]
    if DOMAIN in never:
        message = (
            f"expected training rows of the target {DOMAIN!r}, got none; measure the loss on the domain's validation "
            "set at the checkpoints too"
        )
        yield Fault("target_unmeasured", message, "target")
    if "domain" not in sheet.cells:
        return
    places_of = _groups(sheet, ("domain",), sheet.usable("domain"))
    hidden = (~sheet.usable("domain") & (training | doubtful)).any()
    for (domain,), places in places_of.items():
        mine = [i for i in places if training[i]]
        for target in TARGETS:
            if target in never or not mine or hidden or doubtful[places].any():
                continue
            if not any(targets[i] == target for i in mine):
                message = (
                    f"expected training rows of both targets in domain {domain!r}, got none of {target!r} in "
                    f"{row_list(_numbers(mine))}; measure the {target} loss there too, or leave the "
                    "domain out"
                )
                yield Fault("target_unmeasured", message, "target", _numbers(mine))


def base_groups(sheet: Sheet) -> dict[tuple[str, str, str], list[int]]:
    """Positions of the readable base rows by (base, domain, target)."""
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    rows = sheet.usable("domain", "target", "loss") & sheet.is_base & sheet.base_known
    for i in np.flatnonzero(rows):
        key = (sheet.base_ids[i], sheet.cells["domain"].values[i], sheet.cells["target"].values[i])
        groups[key].append(int(i))
    return groups


def _deviating(sheet: Sheet, group: str, name: str) -> tuple[list[str], list[int]]:
    """Groups that hold several values of a column: phrases, and the places off the most common."""
    parts: list[str] = []
    odd: list[int] = []
    for (label,), places in _groups(sheet, (group,), sheet.usable(group, name)).items():
        values = sheet.cells[name].values
        counts = Counter(values[i] for i in places)
        if len(counts) > 1:
            kept = counts.most_common(1)[0][0]
            away = [i for i in places if values[i] != kept]
            odd += away
            got = _text(values[away[0]])
            parts.append(f"{group} {label!r} has {_text(kept)} but {got} in row {away[0] + 1}")
    return parts, odd


def _groups(sheet: Sheet, names: tuple[str, ...], rows: Mask) -> dict[tuple[Hashable, ...], list[int]]:
    groups: dict[tuple[Hashable, ...], list[int]] = defaultdict(list)
    places = np.flatnonzero(rows)
    if len(places):
        columns = (sheet.cells[name].values[places] for name in names)
        for place, *key in zip(places, *columns, strict=True):
            groups[tuple(key)].append(int(place))
    return groups


def _numbers(places: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(int(i) + 1 for i in places))


def _label(names: tuple[str, ...], key: tuple[Hashable, ...]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in zip(names, key, strict=True))


def _text(value: object) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.15g}" if isinstance(value, float) else str(value)

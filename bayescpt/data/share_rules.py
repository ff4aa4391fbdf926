"""Rules for the shares of the sources of a stream: together they are the whole, and a domain's own is the ratio."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayescpt.data.cells import Sheet
from bayescpt.data.faults import Fault, row_list
from bayescpt.schema import SHARE

SHARE_TOLERANCE = 0.005
"""How far shares may be off: those of ten sources written to three digits can miss 1 by that much."""


def share_sums(sheet: Sheet) -> Iterator[Fault]:
    columns = [SHARE + source for source in sheet.sources]
    if not columns:
        return
    rows = sheet.usable(*columns) & sheet.is_training
    total = np.sum([sheet.cells[name].values for name in columns], axis=0)
    places = np.flatnonzero(rows & (np.abs(np.where(rows, total, 1.0) - 1) > SHARE_TOLERANCE))
    if len(places):
        numbers = tuple(int(i) + 1 for i in places)
        message = (
            f"expected the shares of all sources to add up to 1 within {SHARE_TOLERANCE:g}, got "
            f"{total[places[0]]:g} in {row_list(numbers)} from {', '.join(columns)}; "
            "give every source of the stream a column"
        )
        yield Fault("shares_not_whole", message, rows=numbers)


def share_conflicts(sheet: Sheet) -> Iterator[Fault]:
    if "ratio" not in sheet.cells or "domain" not in sheet.cells:
        return
    domain, ratio = sheet.cells["domain"].values, sheet.cells["ratio"].values
    for source in sheet.sources:
        name = SHARE + source
        own = sheet.usable("domain", "ratio", name) & sheet.is_training & (domain == source)
        values = sheet.cells[name].values
        places = np.flatnonzero(own & (np.abs(np.where(own, values - ratio, 0.0)) > SHARE_TOLERANCE))
        if len(places):
            numbers = tuple(int(i) + 1 for i in places)
            message = (
                f"expected the ratio of domain {source!r} to be the share of the source of that name, got ratio "
                f"{ratio[places[0]]:g} and {name} {values[places[0]]:g} in {row_list(numbers)}; "
                "correct either, or rename the source"
            )
            yield Fault("share_conflict", message, name, numbers)

"""Every rule an observation table must keep; to add one, write a function and put its name into RULES."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from bayescpt.data import cell_rules, phase_rules, row_rules, share_rules
from bayescpt.data.cells import Sheet, sheet_of
from bayescpt.data.faults import Fault

Rule = Callable[[Sheet], Iterator[Fault]]

RULES: tuple[Rule, ...] = (
    cell_rules.missing_columns,
    cell_rules.repeated_columns,
    cell_rules.unnamed_sources,
    cell_rules.no_rows,
    cell_rules.wrong_types,
    cell_rules.empty_ids,
    cell_rules.padded_ids,
    cell_rules.unprintable_ids,
    cell_rules.unknown_targets,
    cell_rules.not_finite,
    cell_rules.out_of_bounds,
    cell_rules.partly_missing,
    row_rules.duplicate_keys,
    row_rules.changing_runs,
    row_rules.moving_ratios,
    phase_rules.half_told,
    phase_rules.late_starts,
    phase_rules.impossible_shares,
    phase_rules.other_trunks,
    phase_rules.moving_shares,
    share_rules.share_sums,
    share_rules.share_conflicts,
    row_rules.contradicting_checkpoints,
    row_rules.changing_bases,
    row_rules.conflicting_base_losses,
    row_rules.unmeasured_targets,
)


def validate(frame: pd.DataFrame) -> tuple[Fault, ...]:
    """Every fault of an observation table, in one pass; empty if the table can be used.

    Args:
        frame: columns of :data:`bayescpt.schema.COLUMNS`, others are ignored; rows count from 1 in the
            frame's order, whatever its index.

    Examples:
        >>> from bayescpt.data import validate
        >>> frame = table.frame()
        >>> frame.loc[2, "loss"] = -1.0
        >>> for fault in validate(frame):
        ...     print(fault)
        out_of_bounds: loss must be > 0 nats/token, got -1 in row 3; loss is the mean cross-entropy
    """
    return validate_sheet(sheet_of(frame))


def validate_sheet(sheet: Sheet) -> tuple[Fault, ...]:
    """The faults of a table whose columns are typed already."""
    return tuple(fault for rule in RULES for fault in rule(sheet))

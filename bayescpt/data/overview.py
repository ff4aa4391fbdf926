"""A sound table at a glance: what is in it, and what a model will and will not be able to learn from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bayescpt.data.findings import FINDINGS, Finding
from bayescpt.data.runs import SAME_RATIO, Run, distinct, runs_of
from bayescpt.data.table import Table
from bayescpt.schema import COLUMNS, SHARE


@dataclass(frozen=True)
class DomainCounts:
    """One domain of a table.

    Args:
        rows: training rows; sizes: parameters, distinct; ratios: realised at the end of its runs, distinct.
        tokens: fewest and most tokens of a checkpoint.
    """

    name: str
    rows: int
    runs: int
    sizes: tuple[float, ...]
    ratios: tuple[float, ...]
    tokens: tuple[float, float]


@dataclass(frozen=True)
class Overview:
    """What ``bayescpt check`` tells of a table.

    Args:
        rows: training rows; base_losses: known losses at tokens = 0, by base, domain and target.
        domains: those with training rows.
        given: optional columns of the contract that the table has; unused: columns outside the contract.
    """

    digest: str
    rows: int
    base_losses: int
    runs: int
    bases: int
    sizes: tuple[float, ...]
    ratios: tuple[float, ...]
    domains: tuple[DomainCounts, ...]
    given: tuple[str, ...]
    unused: tuple[str, ...]
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """The overview as plain values for JSON."""
        return {**asdict(self), "findings": [finding.as_dict() for finding in self.findings]}


def overview(table: Table) -> Overview:
    """Count what is in a table and say what can be learned from it.

    Args:
        table: at least one training row.

    Raises:
        ValueError: the table has no training row.

    Examples:
        >>> from bayescpt import overview
        >>> seen = overview(table)
        >>> seen.runs, seen.base_losses
        (36, 12)
        >>> [finding.code for finding in seen.findings if finding.level == "REVIEW"]
        ['two_sizes', 'no_repeated_seeds']
    """
    if not len(table):
        raise ValueError("expected a table with training rows, got none; select at least one row")
    runs = runs_of(table)
    trained = sorted({run.domain for run in runs})
    optional = tuple(c.name for c in COLUMNS if not c.required and c.name != "base")
    return Overview(
        digest=table.digest,
        rows=len(table),
        base_losses=int((table.base_losses > 0).sum()),
        runs=len(runs),
        bases=len({run.base for run in runs}),
        sizes=tuple(sorted({run.size for run in runs})),
        ratios=distinct((run.ratio for run in runs), SAME_RATIO),
        domains=tuple(_counts(table, name, runs) for name in trained),
        given=(
            *(name for name in optional if getattr(table, name) is not None),
            *(SHARE + source for source in table.sources),
        ),
        unused=table.unused,
        findings=tuple(finding for rule in FINDINGS for finding in rule(table, runs)),
    )


def _counts(table: Table, name: str, runs: tuple[Run, ...]) -> DomainCounts:
    rows = table.domain == table.domains.index(name)
    mine = [run for run in runs if run.domain == name]
    tokens = table.tokens[rows]
    return DomainCounts(
        name=name,
        rows=int(rows.sum()),
        runs=len(mine),
        sizes=tuple(sorted({run.size for run in mine})),
        ratios=distinct((run.ratio for run in mine), SAME_RATIO),
        tokens=(float(tokens.min()), float(tokens.max())),
    )

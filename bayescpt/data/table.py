"""The observation table as arrays: what a model reads, with pandas left at the door."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import fsum
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from bayescpt.data.cells import Sheet, sheet_of
from bayescpt.data.checks import validate_sheet
from bayescpt.data.faults import TableError
from bayescpt.data.read import read_frame
from bayescpt.data.row_rules import base_groups
from bayescpt.schema import COLUMNS, DOMAIN, SHARE, TARGETS

DOMAIN_CODE = TARGETS.index(DOMAIN)
COVARIATES = (
    "loss_se",
    "flops",
    "lr",
    "lr_sum",
    "lr_anneal",
    "domain_epochs",
    "phase_start",
    "phase_ratio",
    "gpu_hours",
)
"""Optional columns of numbers, each a field of its own."""


@dataclass(frozen=True, eq=False)
class Table:
    """Training rows (tokens > 0) as arrays, and the losses of the bases they start from.

    Rows are ordered by run, target and tokens, and names alphabetically, so that a shuffled file gives the
    same table. Arrays are read-only.

    Args:
        domains, runs, bases: names; ``domain``, ``run`` and ``base`` are positions in them. ``runs`` are
            those with training rows; a domain may have base losses only.
        target: position in :data:`bayescpt.schema.TARGETS`: 0 general, 1 domain.
        size: non-embedding parameters; tokens: since the base; ratio: realised share of domain tokens.
        loss: nats per token.
        base_size: parameters of each base.
        base_losses, base_losses_se: nats per token at tokens = 0, NaN where unknown.
        sources: names of the sources of the stream, sorted; empty where their shares are not told.
        shares: realised share of each of them in the stream, together 1; None where they are not told.
        loss_se, flops, lr, lr_sum, lr_anneal, domain_epochs, phase_start, phase_ratio, gpu_hours, seed: as in the
            contract, or None if not given.
        unused: columns of the source outside the contract.

    Examples:
        >>> from bayescpt import Table
        >>> table = Table.read("examples/data/quickstart.parquet")
        >>> len(table), table.domains
        (792, ('cpp', 'metrics', 'python'))
    """

    domains: tuple[str, ...]
    runs: tuple[str, ...]
    bases: tuple[str, ...]
    domain: Int[np.ndarray, " row"]
    run: Int[np.ndarray, " row"]
    base: Int[np.ndarray, " row"]
    target: Int[np.ndarray, " row"]
    size: Float[np.ndarray, " row"]
    tokens: Float[np.ndarray, " row"]
    ratio: Float[np.ndarray, " row"]
    loss: Float[np.ndarray, " row"]
    base_size: Float[np.ndarray, " base"]
    base_losses: Float[np.ndarray, "base domain target"]
    base_losses_se: Float[np.ndarray, "base domain target"]
    loss_se: Float[np.ndarray, " row"] | None = None
    flops: Float[np.ndarray, " row"] | None = None
    lr: Float[np.ndarray, " row"] | None = None
    lr_sum: Float[np.ndarray, " row"] | None = None
    lr_anneal: Float[np.ndarray, " row"] | None = None
    domain_epochs: Float[np.ndarray, " row"] | None = None
    phase_start: Float[np.ndarray, " row"] | None = None
    phase_ratio: Float[np.ndarray, " row"] | None = None
    gpu_hours: Float[np.ndarray, " row"] | None = None
    seed: Int[np.ndarray, " row"] | None = None
    shares: Float[np.ndarray, "row source"] | None = None
    sources: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rows = len(self.loss)
        shape = (len(self.bases), len(self.domains), len(TARGETS))
        shapes: dict[str, tuple[int, ...]] = {"base_size": shape[:1], "base_losses": shape, "base_losses_se": shape}
        shapes["shares"] = (rows, len(self.sources))
        assert (self.shares is None) == (not self.sources), "shares and names of sources go together"
        for name, array in self._arrays().items():
            assert array.shape == shapes.get(name, (rows,)), f"{name} has shape {array.shape}"
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        for codes, names in ((self.domain, self.domains), (self.run, self.runs), (self.base, self.bases)):
            assert rows == 0 or (codes.min() >= 0 and codes.max() < len(names)), "a code points past its names"

    def _arrays(self) -> dict[str, np.ndarray]:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if isinstance(value, np.ndarray)}

    def __len__(self) -> int:
        return len(self.loss)

    @cached_property
    def share(self) -> Float[np.ndarray, " row"]:
        """Share of the target's own corpus: r for the domain loss, 1 - r for the general loss."""
        share = np.where(self.target == DOMAIN_CODE, self.ratio, 1.0 - self.ratio)
        share.flags.writeable = False
        return share

    @cached_property
    def base_loss(self) -> Float[np.ndarray, " row"]:
        """Loss of each row's base on that row's domain and target, nats per token; NaN where not measured."""
        loss = self.base_losses[self.base, self.domain, self.target]
        loss.flags.writeable = False
        return loss

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, whatever the row order, unused columns and unused names."""
        frame = self.frame()
        # the runs of base rows are made up, so they are no content
        frame.loc[frame["tokens"] == 0, "run"] = ""
        frame = frame.sort_values(["tokens", "target", "run", "base", "domain"])
        content = hashlib.sha256()
        for name in frame.columns:
            # adding zero makes -0.0 and 0.0 the same text
            values = [
                None if pd.isna(cell) else cell if isinstance(cell, str) else cell + 0 for cell in frame[name].tolist()
            ]
            content.update(json.dumps([name, values], separators=(",", ":")).encode())
        return content.hexdigest()

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, source: str | None = None) -> Table:
        """Check a frame and take its contract columns.

        Args:
            frame: one row per (run, checkpoint, target), columns of :data:`bayescpt.schema.COLUMNS`.
            source: what to call the frame in an error.

        Raises:
            TableError: with every fault that :func:`bayescpt.data.checks.validate` finds.

        Examples:
            >>> from bayescpt import Table
            >>> frame = table.frame()
            >>> len(Table.from_frame(frame[frame["domain"] == "cpp"]))
            264
        """
        sheet = sheet_of(frame)
        faults = validate_sheet(sheet)
        if faults:
            raise TableError(faults, source)
        return _from_sheet(sheet)

    @classmethod
    def read(cls, path: str | Path) -> Table:
        """Read and check a CSV or Parquet file.

        Raises:
            TableError: the file cannot be read, or what it holds breaks the contract.
        """
        return cls.from_frame(read_frame(path), source=str(path))

    def select(self, mask: np.ndarray) -> Table:
        """The rows where the mask holds; names and base losses stay, so that codes keep their meaning.

        Args:
            mask: [row] booleans.

        Raises:
            ValueError: the mask is not one boolean for each row.

        Examples:
            >>> early = table.select(table.tokens < 1e5)
            >>> bool(early.tokens.max() < 1e5), early.domains == table.domains
            (True, True)
        """
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            raise ValueError(
                f"expected a mask of {len(self)} booleans, one for each row, got {mask.dtype} of shape {mask.shape}"
            )
        per_base = ("base_size", "base_losses", "base_losses_se")
        return replace(self, **{k: a[mask] for k, a in self._arrays().items() if k not in per_base})

    def frame(self) -> pd.DataFrame:
        """The table as the contract's data frame: training rows, then one row for each known base loss."""
        known = np.argwhere(~np.isnan(self.base_losses))
        base, domain, target = known.T
        pairs = self._base_runs()
        ids: dict[str, np.ndarray] = {
            "run": np.concatenate(
                [
                    _named(self.runs, self.run),
                    _objects([pairs[b, d] for b, d in zip(base.tolist(), domain.tolist(), strict=True)]),
                ]
            ),
            "domain": _named(self.domains, np.concatenate([self.domain, domain])),
            "size": np.concatenate([self.size, self.base_size[base]]),
            # a base has seen no stream: its ratio says nothing, and readers ignore it
            "ratio": np.concatenate([self.ratio, np.zeros(len(known))]),
            "tokens": np.concatenate([self.tokens, np.zeros(len(known))]),
            "target": _named(TARGETS, np.concatenate([self.target, target])),
            "loss": np.concatenate([self.loss, self.base_losses[tuple(known.T)]]),
            "base": _named(self.bases, np.concatenate([self.base, base])),
        }
        frame = pd.DataFrame({k: _series(v) for k, v in ids.items()})
        blank = np.full(len(known), np.nan)
        for name in COVARIATES:
            own = getattr(self, name)
            of_base = self.base_losses_se[tuple(known.T)] if name == "loss_se" else blank
            if own is not None or not np.isnan(of_base).all():
                mine = np.full(len(self), np.nan) if own is None else own
                frame[name] = np.concatenate([mine, of_base])
        if self.seed is not None:
            frame["seed"] = pd.Series([*self.seed.tolist(), *[pd.NA] * len(known)], dtype="Int64")
        frame = frame[[column.name for column in COLUMNS if column.name in frame.columns]].copy()
        if self.shares is not None:
            for source, own in zip(self.sources, self.shares.T, strict=True):
                frame[SHARE + source] = np.concatenate([own, blank])
        return frame

    def _base_runs(self) -> dict[tuple[int, int], str]:
        """A run id for the rows of each base on each domain that no training run has."""
        ids = {}
        for b, d in np.argwhere(~np.isnan(self.base_losses).all(axis=2)).tolist():
            name = json.dumps([self.bases[b], self.domains[d]])
            while name in self.runs:
                name += "'"
            ids[b, d] = name
        return ids


def _from_sheet(sheet: Sheet) -> Table:
    column = {name: cells.values for name, cells in sheet.cells.items()}
    rows = np.flatnonzero(sheet.is_training)
    target_codes = np.array([TARGETS.index(t) for t in column["target"]], dtype=np.int64)
    runs, run = _codes(column["run"][rows])
    order = np.lexsort((column["tokens"][rows], target_codes[rows], run))
    rows, run = rows[order], run[order]
    domains, domain = _codes(column["domain"])
    bases, base = _codes(sheet.base_ids)
    base_size = np.empty(len(bases))
    base_size[base] = column["size"]
    shape = (len(bases), len(domains), len(TARGETS))
    base_losses, base_losses_se = np.full(shape, np.nan), np.full(shape, np.nan)
    for places in base_groups(sheet).values():
        at = base[places[0]], domain[places[0]], target_codes[places[0]]
        base_losses[at] = _mean(column["loss"][places])
        if "loss_se" in column:
            base_losses_se[at] = _mean(column["loss_se"][places])
    optional: Mapping[str, np.ndarray] = {
        name: column[name][rows]
        for name in (*COVARIATES, "seed")
        if name in column and not sheet.cells[name].missing[rows].any()
    }
    sources = tuple(source for source in sheet.sources if not sheet.cells[SHARE + source].missing[rows].any())
    shares = np.stack([column[SHARE + source][rows] for source in sources], axis=1) if sources else None
    return Table(
        domains=domains,
        runs=runs,
        bases=bases,
        domain=domain[rows],
        run=run,
        base=base[rows],
        target=target_codes[rows],
        base_size=base_size,
        base_losses=base_losses,
        base_losses_se=base_losses_se,
        shares=shares,
        sources=sources,
        unused=sheet.unused,
        **{name: column[name][rows].astype(np.float64) for name in ("size", "tokens", "ratio", "loss")},
        **optional,
    )


def _codes(texts: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    names = tuple(sorted(set(texts.tolist())))
    place = {name: i for i, name in enumerate(names)}
    return names, np.array([place[text] for text in texts], dtype=np.int64)


def _mean(values: np.ndarray) -> float:
    # fsum rounds once, so the mean does not depend on the order of the rows
    given = values[~np.isnan(values)].tolist()
    return fsum(given) / len(given) if given else float("nan")


def _objects(texts: list[str]) -> np.ndarray:
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def _named(names: tuple[str, ...], codes: np.ndarray) -> np.ndarray:
    return _objects([names[code] for code in codes.tolist()])


def _series(values: np.ndarray) -> pd.Series:
    return pd.Series(values.tolist(), dtype="str") if values.dtype == object else pd.Series(values)

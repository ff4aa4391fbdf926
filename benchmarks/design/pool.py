"""The study's full grid as a lookup: what may be bought of a new domain, what it costs, and what it then shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bayescpt.data.table import Table
from bayescpt.fit.folds import planned_ratio

WHOLE = (262_144.0,)
PARTS = (39_936.0, 122_880.0, 262_144.0)
"""Tokens at which a run may end; a longer one shows the checkpoints of the shorter ones."""
CHECKPOINTS = (12_288.0, *PARTS)
"""Checkpoints that fits read: a third of the rows says nearly as much, and replays take thousands of fits."""


@dataclass(frozen=True)
class Pool:
    """Runs of one domain in a table of several.

    Args:
        table: the full grid, all domains.
        domain: the one that counts as new.
        known: domains whose rows are all there from the beginning.
        lengths: tokens at which its runs may end.
    """

    table: Table
    domain: str
    known: Sequence[str]
    lengths: Sequence[float] = WHOLE

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Every run of the domain at every length: run, size, ratio, seed, tokens and the FLOPs from its start."""
        table, mine = self.table, self.table.domain == self.table.domains.index(self.domain)
        assert table.flops is not None, "the table says what its runs cost"
        assert table.seed is not None, "and which seeds they have"
        frame = pd.DataFrame(
            {
                "run": np.array(table.runs)[table.run],
                "domain": self.domain,
                "size": table.size,
                "ratio": planned_ratio(table),
                "seed": table.seed,
                "tokens": table.tokens,
                "flops": table.flops,
            }
        )[mine & np.isin(table.tokens, self.lengths) & (table.target == 0)]
        return frame.sort_values(["run", "tokens"]).reset_index(drop=True)

    @cached_property
    def whole(self) -> float:
        """FLOPs of the full grid of this domain."""
        return float(self.runs.groupby("run")["flops"].max().sum())

    def offers(self, bought: Mapping[str, float]) -> pd.DataFrame:
        """What may still be bought: runs not yet there, and those there at greater length, for the rest of their cost.

        Args:
            bought: run and its tokens.
        """
        reached = self.runs["run"].map(bought).fillna(0.0)
        left = self.runs[self.runs["tokens"] > reached].copy()
        paid = {(run, tokens): flops for run, tokens, flops in self.runs[["run", "tokens", "flops"]].to_numpy()}
        left["start"] = reached[left.index]
        before = [paid.get((run, start), 0.0) for run, start in zip(left["run"], left["start"], strict=True)]
        left["cost"] = left["flops"] - before
        return left.reset_index(drop=True)

    def rows(self, bought: Mapping[str, float]) -> Table:
        """The table with the rows of the known domains and of what was bought. Losses of bases are free."""
        table = self.table
        limit = np.array([bought.get(run, 0.0) for run in table.runs])[table.run]
        known = np.isin(np.array(table.domains)[table.domain], list(self.known))
        mine = (table.domain == table.domains.index(self.domain)) & (table.tokens <= limit)
        others = set(table.domains) - set(self.known) - {self.domain}
        kept = table.select((known | mine) & np.isin(table.tokens, CHECKPOINTS))
        frame = kept.frame()
        return Table.from_frame(frame[~frame["domain"].isin(others)])

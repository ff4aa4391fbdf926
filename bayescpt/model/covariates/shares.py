"""Mixtures of many sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from bayescpt.data.share_rules import SHARE_TOLERANCE
from bayescpt.data.table import Table
from bayescpt.laws import Law
from bayescpt.model.covariates.base import Covariate, Question
from bayescpt.schema import DOMAIN, GENERAL, TARGETS, TWO_SOURCES, Target


class Shares(Covariate):
    """Share of every source of the stream, in the order of the table's sources.

    A table that does not tell them has two, the general corpus and the domain, with 1 - r and r. At a question stated
    ``shares`` (by source, all of them) count; without, the domain's own source has the ratio, and the others keep the
    proportions that they have in the mean mixture of the domain's rows, or of all rows for a new domain.
    """

    name = "shares"
    meaning = "share of every source of the stream"
    statement = "shares"

    def of_rows(self, table: Table) -> Float[np.ndarray, "row source"]:
        return np.stack([1 - table.ratio, table.ratio], axis=1) if table.shares is None else table.shares

    def asked(self, question: Question) -> Float[np.ndarray, "*grid source"]:
        table, ratio = question.table, question.ratio
        sources = table.sources or TWO_SOURCES
        own = own_source(table, question.domain, DOMAIN)
        if "shares" in question.stated:
            return _stated_shares(question.stated["shares"], sources, ratio, own)
        if table.shares is None:
            return np.stack([1 - ratio, ratio], axis=-1)
        if own is None:
            raise ValueError(
                f"the stream has no source of the name of domain '{question.domain}' (sources: {', '.join(sources)}), "
                "so that its ratio is no mixture: state the shares of all sources"
            )
        mine = table.domain == table.domains.index(question.domain) if question.domain in table.domains else False
        mean = table.shares[mine if np.any(mine) else slice(None)].mean(axis=0)
        mean[own] = 0.0
        if not mean.sum() > 0:
            raise ValueError(
                f"the rows of domain '{question.domain}' hold no other source, so that nothing says how the others "
                "share what it leaves: state the shares of all sources"
            )
        shares = (1 - ratio)[..., None] * (mean / mean.sum())
        shares[..., own] = ratio
        return shares


def _stated_shares(
    stated: Any, sources: tuple[str, ...], ratio: Float[np.ndarray, "*grid"], own: int | None
) -> Float[np.ndarray, "*grid source"]:
    """Stated shares as an array. Raises ValueError where they are no mixture of the sources at this ratio."""
    faults = [f"no share of {source}" for source in sources if source not in stated]
    faults += [f"'{name}' is no source" for name in stated if name not in sources]
    if faults:
        raise ValueError(f"shares must be stated for the sources {', '.join(sources)}: {'; '.join(faults)}")
    shares = np.stack(np.broadcast_arrays(ratio, *(np.asarray(stated[s], float) for s in sources))[1:], axis=-1)
    if not (np.isfinite(shares) & (shares >= 0) & (shares <= 1)).all():
        raise ValueError("stated shares must lie within [0, 1]")
    if (np.abs(shares.sum(axis=-1) - 1) > SHARE_TOLERANCE).any():
        raise ValueError(f"stated shares must add up to 1, got {shares.sum(axis=-1).ravel()[0]:g}")
    if own is not None and (np.abs(shares[..., own] - ratio) > SHARE_TOLERANCE).any():
        raise ValueError(
            f"the ratio is the share of {sources[own]}, but {np.ravel(ratio)[0]:g} is asked for and "
            f"{shares[..., own].ravel()[0]:g} is stated: leave one of them out or make them agree"
        )
    return shares


class OwnSource(Covariate):
    """1 at the source that is the validation set's own, 0 elsewhere: named as the domain, or 'general'."""

    name = "own_source"
    meaning = "which source is the validation set's own"
    statement = None

    def of_rows(self, table: Table) -> Float[np.ndarray, "row source"]:
        found = np.zeros((len(table), len(table.sources or TWO_SOURCES)))
        for t, target in enumerate(TARGETS):
            for d, domain in enumerate(table.domains):
                own = own_source(table, domain, target)
                if own is not None:
                    found[(table.target == t) & (table.domain == d), own] = 1.0
        return found

    def asked(self, question: Question) -> Float[np.ndarray, "*grid source"]:
        found = np.zeros((*question.ratio.shape, len(question.table.sources or TWO_SOURCES)))
        own = own_source(question.table, question.domain, question.target)
        if own is not None:
            found[..., own] = 1.0
        return found


def without_own_share(table: Table, law: Law) -> Bool[np.ndarray, "target domain"]:
    """Where a share of the own corpus means nothing: the law does not see it, or the stream has no source of that name.

    Such losses count as measured at an even mix wherever only the own share is asked for, as in the noise.
    """
    return np.array(
        [[own_share_missing(table, law, domain, t) for domain in table.domains] for t in TARGETS], dtype=bool
    )


def own_share_missing(table: Table, law: Law, domain: str, target: Target) -> bool:
    """The same of one domain, in the table or new."""
    return not law.uses_share or (law.from_scratch and own_source(table, domain, target) is None)


def own_source(table: Table, domain: str, target: Target) -> int | None:
    """Place of the source that is the target's own; None where the stream has none of that name."""
    name = GENERAL if target == GENERAL else domain
    if not table.sources:
        return TWO_SOURCES.index(target)
    return table.sources.index(name) if name in table.sources else None

"""What a law may ask of every point besides size, tokens, share and base: from the rows, and at a question's point.

A law names what it needs (:attr:`bayescpt.laws.base.Law.covariates`). To add a covariate, write its class and name it
in ``ALL``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from bayescpt.data.share_rules import SHARE_TOLERANCE
from bayescpt.data.table import Table
from bayescpt.laws import Law
from bayescpt.schema import DOMAIN, GENERAL, TARGETS, TWO_SOURCES, Target


class Question(NamedTuple):
    """Where a covariate is asked for."""

    table: Table
    domain: str
    size: float
    tokens: float
    ratio: Float[np.ndarray, "*grid"]
    """share of domain tokens"""
    stated: Mapping[str, Any]
    """what the user says of the run, by name"""
    target: Target = DOMAIN


class Covariate(ABC):
    """One covariate. Subclasses are final and hold no state."""

    name: ClassVar[str]
    meaning: ClassVar[str]

    @abstractmethod
    def of_rows(self, table: Table) -> Float[np.ndarray, " row *own"]:
        """Values of the training rows. Raises ValueError where the table does not give them."""

    @abstractmethod
    def asked(self, question: Question) -> Float[np.ndarray, "*grid *own"]:
        """Values at the ratios of a question; without a statement of the user, of a run as the table's were."""


def column_of(table: Table, name: str, use: str) -> Float[np.ndarray, " row"]:
    """An optional column of the contract. Raises ValueError where the table lacks it."""
    values = getattr(table, name)
    if values is None:
        raise ValueError(f"the column {name} is needed ({use}) and is not given, or not in every row: add it")
    return values


class DomainEpochs(Covariate):
    """How often the domain corpus has been read: r D / U, U the stated ``domain_tokens``; 0 where none are stated."""

    name = "domain_epochs"
    meaning = "how often the domain corpus has been read"

    def of_rows(self, table: Table) -> Float[np.ndarray, " row"]:
        return column_of(table, self.name, "how often the domain corpus was repeated")

    def asked(self, question: Question) -> Float[np.ndarray, "*grid"]:
        tokens = question.stated.get("domain_tokens", np.inf)
        if not tokens > 0:
            raise ValueError(f"domain_tokens must be a positive number of tokens, got {tokens}")
        return question.ratio * question.tokens / tokens


class Shares(Covariate):
    """Share of every source of the stream, in the order of the table's sources.

    A table that does not tell them has two, the general corpus and the domain, with 1 - r and r. At a question stated
    ``shares`` (by source, all of them) count; without, the domain's own source has the ratio, and the others keep the
    proportions that they have in the mean mixture of the domain's rows, or of all rows for a new domain.
    """

    name = "shares"
    meaning = "share of every source of the stream"

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
    none = [[own_source(table, domain, target) is None for domain in table.domains] for target in TARGETS]
    return np.array(none, dtype=bool) & law.from_scratch | (not law.uses_share)


def own_source(table: Table, domain: str, target: Target) -> int | None:
    """Place of the source that is the target's own; None where the stream has none of that name."""
    name = GENERAL if target == GENERAL else domain
    if not table.sources:
        return TWO_SOURCES.index(target)
    return table.sources.index(name) if name in table.sources else None


ALL: tuple[Covariate, ...] = (DomainEpochs(), Shares(), OwnSource())
COVARIATES: dict[str, Covariate] = {covariate.name: covariate for covariate in ALL}


def covariates_of(table: Table, law: Law) -> dict[str, Float[np.ndarray, " row *own"]]:
    """What ``law`` needs of the training rows of ``table``, by name.

    Raises ValueError naming everything that the table does not give, and where the law is for other sources.
    """
    if law.on(table.sources) != law:
        raise ValueError(
            f"{law!r} is for other sources than the table's ({', '.join(table.sources or TWO_SOURCES)}): "
            "bind it to them (Model.on, Law.on)"
        )
    found, faults = {}, []
    for name in law.covariates:
        try:
            found[name] = COVARIATES[name].of_rows(table)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError(f"the law '{law.name}' cannot be fitted to these rows: " + "; ".join(faults))
    return found

"""The rows of a table as the rectangular arrays a NumPyro program needs: (target, group, run, checkpoint), padded.

A group is what has coordinates of its own: a domain, or all of them where the hierarchy pools completely. Padding is to
multiples of a block, so that a table with a few rows more keeps its shapes and nothing is compiled again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from bayescpt.data.learnability import Traits
from bayescpt.data.table import Table
from bayescpt.laws import BILLION, Law, Point, Reference
from bayescpt.model.base import usual_losses
from bayescpt.model.covariates import covariates_of, without_own_share
from bayescpt.model.misfit import LEAST_SPAN, alike
from bayescpt.schema import GENERAL, TARGETS

ROUNDING = 1e-9
"""Of a position along the run."""
CHECKPOINT_BLOCK = 4
RUN_BLOCK = 4

EVEN = 0.5
"""Share of an even mix."""
BASE_SHARE = np.array([1.0 if target == GENERAL else 0.0 for target in TARGETS])
"""The base was trained on the general corpus and has not seen the domain as such."""


class Rows(NamedTuple):
    """Training rows (tokens > 0), grouped. Axes: target, group, run slot, checkpoint; padded places are masked out.

    Where a field does not vary along an axis that axis may have length 1: see :func:`compact`.
    """

    point: Point
    """fields of shape (target, group, slot, checkpoint); sizes and tokens in billions"""
    loss: Float[Array, "target group slot checkpoint"]
    se: Float[Array, "target group slot checkpoint"] | None
    """known standard error of the loss, 0 where none is to be counted; None where that holds for all"""
    progress: Float[Array, "#target #group #slot #checkpoint"]
    """position along the run in log tokens: 0 at the table's first checkpoint, 1 at its last"""
    gap: Float[Array, "#target #group #slot #checkpoint"]
    """log tokens since the run's checkpoint before; 0 at its first"""
    mask: Bool[Array, "target group slot checkpoint"]
    base: Int[Array, "group slot"]
    """place of the run's base among the bases of its group"""
    base_mask: Bool[Array, "target group base"]
    """places that hold a base with rows of that target"""
    base_root: Float[Array, "group base base"]
    """Cholesky factor of how alike the law's misfit is at those bases"""
    base_inverse: Float[Array, "group base base"]
    """its inverse"""
    traits: Float[Array, "group trait"]
    """early statistics of the group in units of their spread over domains, 0 where unknown; none where not asked for"""
    trait_se: Float[Array, "group trait"]
    """their standard errors, infinite where unknown"""


def compact(rows: Rows) -> Rows:
    """The same rows with every axis along which a field does not vary cut to length 1, padded places aside.

    Runs have one size, most have one share, and many tables one set of checkpoints for all runs: powers of them are
    then computed once a run, or once a checkpoint, instead of once a row. Shapes stay those of a table with a run more
    as long as that run does not break the pattern.
    """
    mask = np.asarray(rows.mask)

    def cut(values: Array) -> Array:
        found: np.ndarray = np.asarray(values)
        seen: np.ndarray = mask
        for axis in range(mask.ndim):
            own = range(mask.ndim, found.ndim)
            # the first real value along the axis stands for all, if all are like it
            place = np.minimum(seen.argmax(axis, keepdims=True), found.shape[axis] - 1)
            first = np.take_along_axis(found, np.expand_dims(place, tuple(own)), axis)
            if ((found == first) | ~np.expand_dims(seen, tuple(own))).all():
                found, seen = first, np.asarray(seen.any(axis, keepdims=True))
        return jnp.asarray(found)

    given = {name: cut(values) for name, values in rows.point.given.items()}
    fields = {name: cut(values) for name, values in rows.point._asdict().items() if name != "given"}
    return rows._replace(
        point=Point(**fields, given=given),
        se=rows.se if rows.se is not None and np.asarray(rows.se).any() else None,
        progress=cut(rows.progress),
        gap=cut(rows.gap),
    )


class Layout(NamedTuple):
    """Grouped rows, and how to lead each of them back to the table."""

    rows: Rows
    row_index: Int[np.ndarray, "target group slot checkpoint"]
    """position of the row in the table; -1 where padded"""
    runs: Int[np.ndarray, "group slot"]
    """code of the run in the table; -1 where padded"""
    bases: Int[np.ndarray, "group base two"]
    """codes of base and domain in the table; -1 where padded"""
    group: Int[np.ndarray, " domain"]
    """group of every domain"""


def compacted(layout: Layout) -> Layout:
    """The same layout with compact rows."""
    return layout._replace(rows=compact(layout.rows))


def reference_of(table: Table) -> Reference:
    """The reference point of a table: the middle of its sizes, the last decade of its tokens."""
    size = math.sqrt(table.size.min() * table.size.max())
    return Reference(
        size=size / BILLION,
        tokens=float(table.tokens.max()) / math.sqrt(10) / BILLION,
        tokens_min=float(table.tokens.min()) / BILLION,
        lr_sum=None if table.lr_sum is None else float(table.lr_sum.max()) / math.sqrt(10),
    )


def progress_of(tokens: Float[Array, "*shape"], reference: Reference) -> Float[Array, "*shape"]:
    """Position of ``tokens`` (billions) between the table's first and last checkpoint in log tokens, held to [0, 1].

    The last is at 1, and the first at 0 where the two are at least a factor 4 apart; of checkpoints that are nearer to
    one another, which differ by counting alone, the first is near 1 too.
    """
    last = math.log(reference.tokens * math.sqrt(10))
    return jnp.clip(1 + (jnp.log(tokens) - last) / _span(reference), 0.0, 1.0)


def progress_rate(tokens: Float[np.ndarray, "*shape"], reference: Reference) -> Float[np.ndarray, "*shape"]:
    """Derivative of :func:`progress_of` by log tokens; at a checkpoint that by which it was reached."""
    span = _span(reference)
    along = 1 + (np.log(tokens) - math.log(reference.tokens * math.sqrt(10))) / span
    return np.where((along > ROUNDING) & (along < 1 + ROUNDING), 1 / span, 0.0)


def _span(reference: Reference) -> float:
    """E-folds of tokens between the table's first and last checkpoint, at least those of a factor 4."""
    return max(math.log(reference.tokens * math.sqrt(10) / reference.tokens_min), LEAST_SPAN)


def _padded(count: int, block: int) -> int:
    return max(block, -(-count // block) * block)


def refuse_missing_bases(table: Table, law: Law) -> None:
    """Raise ValueError where the law starts at the base's loss and a row has none."""
    if law.needs_base and np.isnan(table.base_loss).any():
        lost = sorted({table.bases[code] for code in table.base[np.isnan(table.base_loss)]})
        raise ValueError(
            f"the law '{law.name}' starts at the base's loss, and {int(np.isnan(table.base_loss).sum())} rows "
            f"have no base loss: add rows with tokens = 0 for every domain and target of {', '.join(lost)}, "
            "or fit with --law dcpt"
        )


def refuse_missing_errors(table: Table, use_se: bool) -> None:
    """Raise ValueError where standard errors are to be counted and there are none."""
    if use_se and table.loss_se is None:
        raise ValueError(
            "standard errors of rows are to be counted (use_se), but the table has none: add the column loss_se, or "
            "leave the option out"
        )


def layout_of(
    table: Table,
    law: Law,
    group: Int[np.ndarray, " domain"] | None = None,
    use_se: bool = False,
    reference: Reference | None = None,
    known: Table | None = None,
    traits: Traits | None = None,
) -> Layout:
    """Group the rows of ``table`` for ``law``.

    Args:
        group: group of every domain; each is one of its own by default.
        use_se: whether the table's standard errors are to be counted as noise of single rows.
        reference: of the table that a law was fitted on, where it is another.
        known: the table that a law was fitted on, where it is another: covariates of a domain are those known from it.
        traits: early statistics of the domains and their errors, NaN where unknown, every domain being a group.

    Raises ValueError where the law starts at the base's loss and a row has none, needs a column that is not given, or
    where standard errors are to be counted and there are none.
    """
    refuse_missing_bases(table, law)
    refuse_missing_errors(table, use_se)
    group = np.arange(len(table.domains)) if group is None else group
    targets, groups = len(TARGETS), int(group.max()) + 1
    of_row = group[table.domain]
    # rows are ordered by run, target and tokens: the place of a row is its distance from the first of its kind
    kind = table.run * targets + table.target
    first = np.searchsorted(kind, kind) if len(kind) else kind
    assert (np.diff(kind) >= 0).all(), "rows are not ordered by run and target"
    checkpoint = np.arange(len(table)) - first
    runs_of = [np.unique(table.run[of_row == g]) for g in range(groups)]
    slots = _padded(max(map(len, runs_of)), RUN_BLOCK)
    shape = (targets, groups, slots, _padded(int(checkpoint.max()) + 1, CHECKPOINT_BLOCK))

    runs = np.full((groups, slots), -1)
    slot_of = np.zeros(len(table.runs), dtype=np.int64)
    for g, codes in enumerate(runs_of):
        runs[g, : len(codes)] = codes
        slot_of[codes] = np.arange(len(codes))
    index = np.full(shape, -1)
    index[table.target, of_row, slot_of[table.run], checkpoint] = np.arange(len(table))
    mask = index >= 0
    base, bases, base_mask = _bases(table, of_row, slot_of, (targets, groups, slots))

    def column(values: Float[np.ndarray, " table_row"], fill: float) -> Float[Array, "target group slot checkpoint"]:
        return jnp.asarray(np.where(mask, values[index], fill))

    def spread(values: Float[np.ndarray, " table_row *own"]) -> Float[Array, "target group slot checkpoint *own"]:
        # the first row stands in for a padded place: any point that the law can be asked at will do
        return jnp.asarray(values[np.where(mask, index, 0)])

    typical = reference or reference_of(table)
    # a padded place holds a harmless point, so that neither its value nor its gradient can be NaN
    point = Point(
        size=column(table.size / BILLION, typical.size),
        tokens=column(table.tokens / BILLION, typical.tokens),
        share=column(np.where(without_own_share(table, law)[table.target, table.domain], EVEN, table.share), EVEN),
        base_loss=column(table.base_loss, 1.0),
        base_share=jnp.broadcast_to(BASE_SHARE[:, None, None, None], shape),
        base_usual=column(usual_losses(table)[table.base, table.domain, table.target], 1.0),
        given={name: spread(values) for name, values in covariates_of(table, law, known).items()},
    )
    before = np.concatenate([table.tokens[:1], table.tokens[:-1]])
    gap = np.where(checkpoint > 0, np.log(table.tokens / np.where(checkpoint > 0, before, table.tokens)), 0.0)
    se = np.zeros(len(table)) if table.loss_se is None or not use_se else table.loss_se
    roots = _base_roots(table, bases)
    grouped = Rows(
        point=point,
        loss=column(table.loss, 1.0),
        se=column(se, 0.0),
        progress=progress_of(point.tokens, typical),
        gap=column(gap, 0.0),
        mask=jnp.asarray(mask),
        base=jnp.asarray(base),
        base_mask=jnp.asarray(base_mask),
        base_root=jnp.asarray(roots),
        base_inverse=jnp.asarray(np.linalg.inv(roots)),
        **_traits(groups, traits),
    )
    return Layout(rows=grouped, row_index=index, runs=runs, bases=bases, group=group)


def _traits(groups: int, traits: Traits | None) -> dict[str, Array]:
    """Early statistics and their errors, as the fields of :class:`Rows`."""
    if traits is None:
        return {name: jnp.zeros((groups, 0)) for name in ("traits", "trait_se")}
    value, se = traits
    assert len(value) == groups, "early statistics are those of single domains"
    return {"traits": jnp.asarray(np.nan_to_num(value)), "trait_se": jnp.asarray(np.nan_to_num(se, nan=np.inf))}


def _bases(
    table: Table, of_row: np.ndarray, slot_of: np.ndarray, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place of every run's base, and what the places hold: pairs of base and domain, which share what a law misses."""
    targets, groups, slots = shape
    pair = table.base * len(table.domains) + table.domain
    pairs_of = [np.unique(pair[of_row == g]) for g in range(groups)]
    width = max(1, *map(len, pairs_of))
    base = np.zeros((groups, slots), dtype=np.int64)
    bases = np.full((groups, width, 2), -1)
    held = np.zeros((targets, groups, width), dtype=bool)
    for g, pairs in enumerate(pairs_of):
        mine = of_row == g
        place = np.searchsorted(pairs, pair[mine])
        base[g, slot_of[table.run[mine]]] = place
        bases[g, : len(pairs)] = np.stack([pairs // len(table.domains), pairs % len(table.domains)], axis=-1)
        held[table.target[mine], g, place] = True
    return base, bases, held


def _base_roots(table: Table, bases: np.ndarray) -> np.ndarray:
    roots = np.broadcast_to(np.eye(bases.shape[1]), (*bases.shape[:2], bases.shape[1])).copy()
    for g, pairs in enumerate(bases):
        held = int((pairs[:, 0] >= 0).sum())
        if held:
            base, domain = pairs[:held].T
            roots[g, :held, :held] = np.linalg.cholesky(alike(np.log(table.base_size[base]), domain))
    return roots

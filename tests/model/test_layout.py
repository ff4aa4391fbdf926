"""Every row of a table has one place among the grouped rows, and can be led back."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayescpt.data.table import Table
from bayescpt.laws import BILLION, LAWS
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.model.layout import BASE_SHARE, CHECKPOINT_BLOCK, RUN_BLOCK, layout_of, reference_of
from bayescpt.schema import TARGETS


@settings(max_examples=25)
@given(data=st.data())
def test_every_row_is_led_back_to_the_table(study_table: Table, data: st.DataObject) -> None:
    rows = len(study_table)
    bits = data.draw(st.integers(1, 2**rows - 1))
    table = study_table.select(np.array([bits >> row & 1 == 1 for row in range(rows)]))
    grouped, index, runs, bases, group = jax.tree.map(np.asarray, layout_of(table, LAWS["memory"]))
    real = index >= 0
    np.testing.assert_array_equal(np.sort(index[real]), np.arange(len(table)))
    np.testing.assert_array_equal(grouped.mask, real)
    np.testing.assert_array_equal(group, np.arange(len(table.domains)))
    back = index[real]
    target, domain, slot, _ = np.nonzero(real)
    np.testing.assert_array_equal(target, table.target[back])
    np.testing.assert_array_equal(domain, table.domain[back])
    np.testing.assert_array_equal(runs[domain, slot], table.run[back])
    np.testing.assert_array_equal(grouped.loss[real], table.loss[back])
    np.testing.assert_array_equal(grouped.point.size[real] * BILLION, table.size[back])
    np.testing.assert_allclose(grouped.point.tokens[real] * BILLION, table.tokens[back], rtol=1e-15)
    np.testing.assert_array_equal(grouped.point.share[real], table.share[back])
    np.testing.assert_array_equal(grouped.point.base_loss[real], table.base_loss[back])
    np.testing.assert_array_equal(grouped.point.base_share[real], BASE_SHARE[table.target[back]])
    place = grouped.base[domain, slot]
    np.testing.assert_array_equal(bases[domain, place], np.stack([table.base[back], table.domain[back]], -1))
    assert grouped.base_mask[target, domain, place].all()
    assert grouped.base_mask.sum() == len({*zip(target, domain, place, strict=True)})


def test_checkpoints_of_a_run_stand_in_order_with_the_gaps_between_them(study_table: Table) -> None:
    few = study_table.select(np.arange(len(study_table)) % 5 != 1)
    rows = layout_of(few, LAWS["memory"]).rows
    mask, tokens, gap = (np.asarray(a) for a in (rows.mask, rows.point.tokens, rows.gap))
    assert (np.diff(mask.astype(int), axis=-1) <= 0).all()  # no hole before a checkpoint
    both = mask[..., 1:] & mask[..., :-1]
    step = np.log(tokens[..., 1:] / tokens[..., :-1])
    assert (step[both] > 0).all()
    np.testing.assert_allclose(gap[..., 1:][both], step[both], rtol=1e-12)
    assert (gap[..., 0] == 0).all()
    assert (gap[~mask] == 0).all()


def test_complete_pooling_puts_all_domains_in_one_group_and_keeps_their_bases_apart(study_table: Table) -> None:
    hierarchy = HIERARCHIES["complete"]
    layout = layout_of(study_table, LAWS["memory"], hierarchy.groups(study_table))
    assert layout.rows.loss.shape[1] == 1
    assert int(layout.rows.mask.sum()) == len(study_table)
    held = {tuple(pair) for pair in layout.bases[0].tolist()}
    assert held == {(b, d) for b in range(2) for d in range(2)}


def test_standard_errors_count_only_when_asked_for(study_table: Table) -> None:
    told = replace(study_table, loss_se=np.full(len(study_table), 0.03))
    assert (layout_of(told, LAWS["memory"]).rows.se == 0).all()
    used = layout_of(told, LAWS["memory"], use_se=True).rows
    np.testing.assert_array_equal(used.se, np.where(used.mask, 0.03, 0.0))


def test_padding_is_finite_and_in_blocks(study_table: Table) -> None:
    few = study_table.select(np.arange(len(study_table)) < 40)
    layout = layout_of(few, LAWS["memory"])
    assert (layout.row_index < 0).any()
    assert all(np.isfinite(field).all() for field in jax.tree.leaves((layout.rows.point, layout.rows.loss)))
    assert layout.rows.loss.shape[-1] % CHECKPOINT_BLOCK == 0
    assert layout.runs.shape[-1] % RUN_BLOCK == 0


def test_a_few_rows_more_keep_the_shapes(study_table: Table) -> None:
    shapes = {
        layout_of(study_table.select(np.arange(len(study_table)) < count), LAWS["memory"]).rows.loss.shape
        for count in range(len(study_table) - 3, len(study_table) + 1)
    }
    assert len(shapes) == 1


def test_a_law_that_starts_at_the_base_refuses_rows_without_one(baseless_table: Table) -> None:
    with pytest.raises(ValueError, match=r"'memory' starts at the base's loss, and 72 rows have no base loss") as error:
        layout_of(baseless_table, LAWS["memory"])
    for base in baseless_table.bases:
        assert base in str(error.value)
    assert "tokens = 0" in str(error.value)


def test_a_law_without_a_base_takes_them(baseless_table: Table) -> None:
    grouped = layout_of(baseless_table, LAWS["dcpt"]).rows
    assert grouped.mask.sum() == len(baseless_table)


def test_the_reference_is_the_middle_of_the_table(study_table: Table) -> None:
    reference = reference_of(study_table)
    low, high = study_table.size.min() / BILLION, study_table.size.max() / BILLION
    assert reference.size / low == pytest.approx(high / reference.size)
    assert reference.tokens * 10 / (study_table.tokens.max() / BILLION) == pytest.approx(np.sqrt(10))
    assert reference.tokens_min * BILLION == pytest.approx(study_table.tokens.min())


def test_the_base_has_seen_the_general_corpus_only() -> None:
    assert dict(zip(TARGETS, BASE_SHARE, strict=True)) == {"general": 1.0, "domain": 0.0}

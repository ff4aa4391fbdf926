"""The mixture as a covariate: of rows, and of a question that states it or leaves it to the ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bayescpt.data.table import Table
from bayescpt.laws import LAWS
from bayescpt.model.covariates import COVARIATES, Question, covariates_of
from bayescpt.model.layout import layout_of
from bayescpt.model.model import Model
from bayescpt.schema import GENERAL, TARGETS

SHARES, OWN = COVARIATES["shares"], COVARIATES["own_source"]
SOURCES = ("books", "code", "general")


@pytest.fixture
def told(study_table: Table) -> Table:
    """The small study with three sources: what a domain leaves is general text and books, 4 : 1, in its own rows."""
    code = np.where(study_table.domain == 0, study_table.ratio, 0.0)
    shares = np.stack([0.2 * (1 - code), code, 0.8 * (1 - code)], axis=1)
    return replace(study_table, shares=shares, sources=SOURCES)


def asked(table: Table, domain: str, ratio: Any, stated: Mapping[str, Any] | None = None) -> np.ndarray:
    given = {} if stated is None else {"shares": stated}
    return SHARES.asked(Question(table, domain, 1e6, 1e6, np.asarray(ratio, float), given))


def test_without_shares_a_stream_has_two_sources(study_table: Table) -> None:
    rows = SHARES.of_rows(study_table)
    np.testing.assert_array_equal(rows, np.stack([1 - study_table.ratio, study_table.ratio], axis=1))
    np.testing.assert_array_equal(asked(study_table, "code", [[0.0], [0.3]]), [[[1.0, 0.0]], [[0.7, 0.3]]])
    own = OWN.of_rows(study_table)
    np.testing.assert_array_equal(own.argmax(axis=1), study_table.target)
    np.testing.assert_array_equal(np.einsum("rs,rs->r", rows, own), study_table.share)


def test_shares_of_rows_are_the_tables(told: Table) -> None:
    np.testing.assert_array_equal(SHARES.of_rows(told), told.shares)
    own = OWN.of_rows(told)
    for target, domain, expected in ((0, 0, [0, 0, 1]), (0, 1, [0, 0, 1]), (1, 0, [0, 1, 0]), (1, 1, [0, 0, 0])):
        mine = (told.target == target) & (told.domain == domain)
        np.testing.assert_array_equal(own[mine], np.tile(expected, (mine.sum(), 1)))


def test_the_own_source_has_the_ratio_and_the_others_keep_their_proportions(told: Table) -> None:
    found = asked(told, "code", [[0.0], [0.4], [1.0]])
    assert found.shape == (3, 1, 3)
    np.testing.assert_allclose(found[:, 0], [[0.2, 0.0, 0.8], [0.12, 0.4, 0.48], [0.0, 1.0, 0.0]])


def test_a_domain_without_a_source_of_its_name_must_state_its_mixture(told: Table) -> None:
    with pytest.raises(ValueError, match=r"no source of the name of domain 'law'.*state the shares of all sources"):
        asked(told, "law", [0.2])
    stated = {"general": 0.5, "books": 0.3, "code": 0.2}
    np.testing.assert_allclose(asked(told, "law", [0.1, 0.9], stated), [[0.3, 0.2, 0.5]] * 2)


def test_stated_shares_may_differ_by_point(told: Table) -> None:
    ratio = np.array([[0.1], [0.5]])
    stated = {"books": 0.0, "code": ratio, "general": 1 - ratio}
    np.testing.assert_allclose(asked(told, "code", ratio, stated)[:, 0], [[0.0, 0.1, 0.9], [0.0, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"code": 0.5, "general": 0.5}, "no share of books"),
        ({"code": 0.5, "general": 0.5, "books": 0.0, "web": 0.0}, "'web' is no source"),
        ({"code": 0.5, "general": 0.5, "books": 0.1}, "add up to 1, got 1.1"),
        ({"code": 0.5, "general": 0.6, "books": -0.1}, r"within \[0, 1\]"),
        ({"code": np.nan, "general": 0.6, "books": 0.4}, r"within \[0, 1\]"),
        ({"code": 0.4, "general": 0.6, "books": 0.0}, "0.5 is asked for and 0.4 is stated"),
    ],
)
def test_what_is_no_mixture_is_refused(told: Table, stated: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        asked(told, "code", [0.5], stated)


def test_where_nothing_says_how_the_others_share_it_must_be_stated(told: Table) -> None:
    alone = replace(told, shares=np.tile([0.0, 1.0, 0.0], (len(told), 1)))
    with pytest.raises(ValueError, match="hold no other source"):
        asked(alone, "code", [0.5])


def test_the_own_source_at_a_question_is_the_targets(told: Table) -> None:
    for target, domain, expected in (("general", "code", 2), ("domain", "code", 1), ("domain", "law", None)):
        place = Question(told, domain, 1e6, 1e6, np.zeros((4, 1)), {}, target)
        found = OWN.asked(place)
        assert found.shape == (4, 1, 3)
        assert found.sum() == (0 if expected is None else 4)
        assert expected is None or (found[..., expected] == 1).all()
    assert TARGETS[0] == GENERAL


def test_a_law_bound_to_other_sources_is_refused(told: Table, study_table: Table) -> None:
    law = LAWS["additive"]
    bound = Model(law).on(told).law
    assert [c.name for c in bound.coordinates if c.name.startswith("worth_")] == [f"worth_{s}" for s in SOURCES]
    assert layout_of(told, bound).rows.point.given["shares"].shape[-1] == 3
    assert layout_of(study_table, law).rows.point.given["shares"].shape[-1] == 2
    for table, wrong in ((told, law), (study_table, bound)):
        with pytest.raises(ValueError, match="is for other sources than the table's"):
            covariates_of(table, wrong)
    assert Model(LAWS["memory"]).on(told) == Model(LAWS["memory"])

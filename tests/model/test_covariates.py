"""What a law asks of every point besides size, tokens, share and base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayescpt.data.learnability import paper_statistics
from bayescpt.data.table import Table
from bayescpt.laws import DCPT
from bayescpt.model.covariates import ALL, COVARIATES, Question, covariates_of
from bayescpt.model.layout import layout_of
from bayescpt.schema import TARGETS


class Needy(DCPT):
    """D-CPT, asking for what it does not use."""

    name = "needy"
    covariates = ("domain_epochs",)


@pytest.fixture
def told(study_table: Table) -> Table:
    epochs = np.linspace(0, 3, len(study_table))
    return replace(study_table, domain_epochs=epochs)


def test_the_registry_leads_every_name_to_its_covariate() -> None:
    assert [COVARIATES[one.name] for one in ALL] == list(ALL)


def test_rows_keep_their_covariates_and_padding_has_one_that_occurs(told: Table) -> None:
    few = told.select(np.arange(len(told)) % 5 != 1)
    layout = layout_of(few, Needy())
    given = np.asarray(layout.rows.point.given["domain_epochs"])
    real = layout.row_index >= 0
    np.testing.assert_array_equal(given[real], few.domain_epochs[layout.row_index[real]])
    assert (given[~real] == few.domain_epochs[0]).all()
    assert layout_of(few, DCPT()).rows.point.given == {}


def test_a_table_without_the_column_is_refused_by_name(study_table: Table) -> None:
    with pytest.raises(ValueError, match="'needy' cannot be fitted to these rows: the column domain_epochs is needed"):
        covariates_of(study_table, Needy())


def test_epochs_at_a_question_follow_from_the_domain_tokens(told: Table) -> None:
    ratio = np.array([[0.0], [0.5]])
    place = Question(told, "code", 1e6, 8e5, ratio, {"domain_tokens": 1e5})
    np.testing.assert_allclose(COVARIATES["domain_epochs"].asked(place), [[0.0], [4.0]])
    assert (COVARIATES["domain_epochs"].asked(place._replace(stated={})) == 0).all()
    with pytest.raises(ValueError, match="domain_tokens must be a positive number of tokens, got 0"):
        COVARIATES["domain_epochs"].asked(place._replace(stated={"domain_tokens": 0}))


@pytest.fixture
def falling(study_table: Table) -> Table:
    """The small study with domain losses that fall by domain data from the start."""
    fall = 0.6 * study_table.ratio * (study_table.target == TARGETS.index("domain"))
    return replace(study_table, loss=study_table.loss - fall)


def test_learnability_is_the_domains_and_known_from_the_rows_of_the_fit_alone(falling: Table) -> None:
    covariate = COVARIATES["learnability"]
    values = covariate.of_rows(falling)
    assert values.shape == (len(falling), 2)
    for code in range(len(falling.domains)):
        assert len(np.unique(values[falling.domain == code], axis=0)) == 1
    late = falling.select(falling.tokens > 1e5)
    np.testing.assert_array_equal(covariate.foreseen(late, falling), values[falling.tokens > 1e5])
    np.testing.assert_allclose(np.log(np.unique(values, axis=0)).sum(axis=0), 0, atol=1e-12)


def test_learnability_at_a_question_is_the_tables_or_what_is_stated(falling: Table) -> None:
    covariate, ratio = COVARIATES["learnability"], np.array([[0.1], [0.5]])
    place = Question(falling, "law", 1e6, 8e5, ratio, {})
    own = covariate.of_rows(falling)[falling.domain == falling.domains.index("law")][0]
    np.testing.assert_array_equal(covariate.asked(place), np.broadcast_to(own, (2, 1, 2)))
    k1, k2, _ = paper_statistics(falling)
    law = falling.domains.index("law")
    stated = {"learnability": (k1.value[law], k2.value[law])}
    np.testing.assert_allclose(covariate.asked(place._replace(domain="new", stated=stated)), covariate.asked(place))
    with pytest.raises(ValueError, match="k1, k2 of new cannot be told from these rows"):
        covariate.asked(place._replace(domain="new"))
    for wrong in ((3.0,), (3.0, -0.1), (3.0, np.nan)):
        with pytest.raises(ValueError, match="learnability must be k1, k2 in nats per token, all positive"):
            covariate.asked(place._replace(stated={"learnability": wrong}))

"""What a law asks of every point besides size, tokens, share and base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayescpt.data.table import Table
from bayescpt.laws import DCPT
from bayescpt.model.covariates import ALL, COVARIATES, Question, covariates_of
from bayescpt.model.layout import layout_of


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

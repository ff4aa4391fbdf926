"""What a law asks of every point besides size, tokens, share and base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayescpt.data.learnability import paper_statistics
from bayescpt.data.table import Table
from bayescpt.laws import DCPT, Trajectory
from bayescpt.model.covariates import ALL, COVARIATES, Question, covariates_of, refuse_statements
from bayescpt.model.layout import layout_of, reference_of
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


# ---- learning rates


def rated(table: Table, rate: float = 2e-9, warm: float = 2e3, **columns: np.ndarray) -> Table:
    """The table with S1 of a rate per token after a warm-up that costs ``warm`` tokens of it."""
    path = rate * np.maximum(table.tokens - warm, 0)
    return replace(table, lr_sum=path, **({"lr_anneal": np.zeros(len(table))} | columns))


def asked(table: Table, name: str, tokens: float, size: float = 1e5, **stated: float) -> tuple[float, float]:
    """A covariate at a question, and its derivative along the run."""
    question = Question(table, "code", size, tokens, np.array([[0.3], [0.6]]), stated)
    values = [np.asarray(one(question)) for one in (COVARIATES[name].asked, COVARIATES[name].along)]
    for value in values:
        assert value.shape == (2, 1)
        assert (value == value[0]).all()
    return float(values[0][0, 0]), float(values[1][0, 0])


def test_the_trajectory_law_asks_for_both_learning_rate_columns(study_table: Table) -> None:
    with pytest.raises(
        ValueError, match=r"'trajectory' .*: the column lr_sum is needed.*; the column lr_anneal is needed"
    ):
        covariates_of(study_table, Trajectory())
    table = rated(study_table)
    given = layout_of(table, Trajectory()).rows.point.given
    assert set(given) == {"lr_sum", "lr_anneal"}
    assert reference_of(table).lr_sum == pytest.approx(table.lr_sum.max() / np.sqrt(10))
    assert reference_of(study_table).lr_sum is None


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"lr_sum": 0.0}, "lr_sum is 0 in every row"),
        ({"lr_anneal": -1.0}, "lr_anneal is below 0 in 72 rows"),
    ],
)
def test_columns_that_mean_something_else_are_refused(
    study_table: Table, columns: dict[str, float], match: str
) -> None:
    bad = {name: np.full(len(study_table), value) for name, value in columns.items()}
    with pytest.raises(ValueError, match=match):
        covariates_of(replace(rated(study_table), **bad), Trajectory())


@pytest.mark.parametrize("tokens", [1e4, 5e4, 2e5, 7e6])
def test_s1_at_a_question_is_that_of_the_table_s_runs(study_table: Table, tokens: float) -> None:
    # rows at 5e3, 3e4 and 2e5 tokens: in between, and beyond the last, at the rate between checkpoints
    value, slope = asked(rated(study_table), "lr_sum", tokens)
    assert value == pytest.approx(2e-9 * (tokens - 2e3), rel=1e-9)
    assert slope == pytest.approx(2e-9 * tokens, rel=1e-6)
    assert asked(rated(study_table), "lr_anneal", tokens) == (0, 0)


def test_before_the_first_checkpoint_s1_rises_from_the_base(study_table: Table) -> None:
    value, slope = asked(rated(study_table), "lr_sum", 1e3)
    assert value == pytest.approx(2e-9 * 3e3 / 5, rel=1e-9)
    assert slope == pytest.approx(value, rel=1e-6)


def test_runs_that_anneal_do_not_count(study_table: Table) -> None:
    table = rated(study_table)
    run = table.run == table.run[0]
    branch = replace(table, lr_sum=np.where(run, 0.2, 1.0) * table.lr_sum, lr_anneal=np.where(run, 1e-6, 0.0))
    assert asked(branch, "lr_sum", 2e5) == asked(table, "lr_sum", 2e5)
    lost = replace(table, lr_anneal=np.full(len(table), 1e-6))
    with pytest.raises(ValueError, match="every run of the table anneals"):
        asked(lost, "lr_sum", 2e5)
    assert asked(lost, "lr_sum", 2e5, lr_sum=3e-4)[0] == 3e-4
    assert asked(replace(table, lr_anneal=None), "lr_sum", 2e5) == asked(table, "lr_sum", 2e5)


def test_the_path_is_the_median_of_the_runs_of_the_nearest_size(study_table: Table) -> None:
    table = rated(study_table)
    smaller = table.size == table.size.min()
    odd = table.run == table.run[np.flatnonzero(smaller)[0]]
    factor = np.where(smaller, 4.0, 1.0) * np.where(odd, 50.0, 1.0)
    mixed = replace(table, lr_sum=factor * table.lr_sum)
    for size, rate in ((1e4, 8e-9), (1.2e5, 8e-9), (5e5, 2e-9), (1e9, 2e-9)):
        assert asked(mixed, "lr_sum", 2e5, size=size)[0] == pytest.approx(rate * (2e5 - 2e3), rel=1e-9)


def test_a_run_that_ends_early_leaves_no_jump(study_table: Table) -> None:
    table = rated(study_table)
    long = np.isin(table.run, np.unique(table.run)[:2]) & (table.size == table.size.min())
    faster = rated(study_table.select(long | (study_table.tokens < 1e5)))
    faster = replace(faster, lr_sum=np.where(np.isin(faster.run, table.run[long]), 3.0, 1.0) * faster.lr_sum)
    values = [asked(faster, "lr_sum", tokens)[0] for tokens in (2.9e4, 3e4, 3.1e4, 2e5)]
    assert values[1] - values[0] == pytest.approx(2e-9 * 1e3, rel=1e-6)  # of most runs
    assert values[2] - values[1] == pytest.approx(6e-9 * 1e3, rel=1e-6)  # of those that go on


def test_a_statement_wins_and_goes_along_the_run(study_table: Table) -> None:
    table = rated(study_table)
    assert asked(table, "lr_sum", 2e5, lr_sum=7e-4) == (7e-4, 7e-4)
    assert asked(table, "lr_anneal", 2e5, lr_anneal=1e-5) == (1e-5, 0)
    assert asked(table, "lr_sum", 2e5, lr_sum=0) == (0, 0)
    for name, value, wanted in (
        ("lr_sum", -1.0, "a sum of learning rates of at least 0, got -1"),
        ("lr_anneal", np.nan, "an annealing area of at least 0, got nan"),
        ("lr_sum", "much", "a sum of learning rates of at least 0, got much"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be {wanted}"):
            asked(table, name, 2e5, **{name: value})


def test_what_a_law_does_not_look_at_cannot_be_stated() -> None:
    refuse_statements(Trajectory(), {"lr_sum": 1.0, "lr_anneal": 0.0})
    with pytest.raises(
        ValueError, match="'trajectory' does not look at domain_tokens; it can be told lr_sum, lr_anneal"
    ):
        refuse_statements(Trajectory(), {"lr_sum": 1.0, "domain_tokens": 1e5})
    with pytest.raises(ValueError, match="'dcpt' does not look at lr_sum; it can be told nothing"):
        refuse_statements(DCPT(), {"lr_sum": 1.0})


def test_epochs_follow_the_tokens_of_every_ratio(told: Table) -> None:
    ratio = np.array([[0.25], [0.5]])
    place = Question(told, "code", 1e6, 1e5 / ratio, ratio, {"domain_tokens": 5e4})
    np.testing.assert_allclose(COVARIATES["domain_epochs"].asked(place), [[2.0], [2.0]])
    np.testing.assert_allclose(COVARIATES["domain_epochs"].along(place), [[2.0], [2.0]], rtol=1e-7)


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

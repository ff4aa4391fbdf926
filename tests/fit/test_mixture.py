"""A mixture divides its draws as its weights say, survives its file unchanged, and refuses what it cannot average."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.data.table import Table
from bayescpt.fit import Check, Fit, Mixture, UnreliableFit, load
from bayescpt.fit.averaging import LEAST_WEIGHT, Comparison, compare, compare_models, models_of, stacked
from bayescpt.fit.compare import Held
from bayescpt.fit.held_out import Judged
from bayescpt.model.model import Model
from tests.tables import with_every_column

FAILED = Check("r_hat", False, "1.2 at a; wanted below 1.01")


@pytest.fixture(scope="module")
def half(prior: Fit) -> Fit:
    """Half the draws, under another seed."""
    return replace(prior, tree=prior.tree.isel(draw=slice(0, 250)), seed=11)


@pytest.fixture(scope="module")
def mixture(prior: Fit, half: Fit) -> Mixture:
    frame = pd.DataFrame({"model": ["b", "a", "c"], "runs": 12, "elpd": [-1.5, -2.0, -9.0], "weight": [0.7, 0.3, 0.0]})
    return Mixture({"a": prior, "b": half}, {"a": 0.3, "b": 0.7}, seed=5, made="a test", comparison=frame)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2).filter(lambda w: sum(w) > 0.01))
def test_draws_are_to_each_other_as_the_weights(prior: Fit, half: Fit, raw: list[float]) -> None:
    first, second = np.array(raw) / sum(raw)
    found = Mixture({"a": prior, "b": half}, {"a": first, "b": second}, seed=3)
    assert found.size == half.size == 250
    counts = {name: len(draws) for name, draws in found.chosen.items()}
    assert sum(counts.values()) == found.size
    assert abs(counts["a"] - first * found.size) < 1
    for name, draws in found.chosen.items():
        assert len(np.unique(draws)) == len(draws)  # none twice
        assert (np.diff(draws) > 0).all()
        assert len(draws) == 0 or draws.max() < found.members[name].size


def test_the_choice_of_draws_depends_on_the_seed_alone(mixture: Mixture) -> None:
    again = replace(mixture)
    other = replace(mixture, seed=6)
    assert again.chosen is not mixture.chosen
    for name, draws in mixture.chosen.items():
        np.testing.assert_array_equal(again.chosen[name], draws)
        assert not np.array_equal(other.chosen[name], draws)
    (whole,) = Mixture({"a": mixture.members["a"]}, {"a": 1.0}).chosen.values()
    np.testing.assert_array_equal(whole, np.arange(500))


def test_a_mixture_read_back_is_the_same(mixture: Mixture, tmp_path: Path) -> None:
    path = tmp_path / "mix.nc"
    mixture.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["mix.nc"]
    again = load(path)
    assert isinstance(again, Mixture)
    assert (list(again.members), again.weights, again.seed, again.made) == (
        ["a", "b"],
        mixture.weights,
        mixture.seed,
        "a test",
    )
    pd.testing.assert_frame_equal(again.comparison, mixture.comparison, check_dtype=False)
    for name, fit in mixture.members.items():
        found = again.members[name]
        assert (found.table.digest, found.seed, found.model) == (fit.table.digest, fit.seed, fit.model)
        assert set(found.tree.children) == set(fit.tree.children)
        xr.testing.assert_identical(found.posterior, fit.posterior)
        np.testing.assert_array_equal(again.chosen[name], mixture.chosen[name])
    assert again.members["a"].draws("law").run_sd.shape == (2, 500)


def test_each_file_is_told_from_the_other(mixture: Mixture, prior: Fit, tmp_path: Path) -> None:
    mixture.save(tmp_path / "mix.nc")
    prior.save(tmp_path / "fit.nc")
    assert isinstance(load(tmp_path / "fit.nc"), Fit)
    with pytest.raises(ValueError, match=r"holds a mixture of fits \(a, b\), not one of them: read it with"):
        Fit.load(tmp_path / "mix.nc")
    with pytest.raises(ValueError, match="holds one fit, not a mixture"):
        Mixture.load(tmp_path / "fit.nc")
    with pytest.raises(ValueError, match="no fit at"):
        load(tmp_path / "none.nc")


def test_what_is_no_mixture_is_refused(prior: Fit, study_table: Table) -> None:
    with pytest.raises(ValueError, match=r"sum to 1, got a 0\.5, b 0\.4"):
        Mixture({"a": prior, "b": prior}, {"a": 0.5, "b": 0.4})
    with pytest.raises(ValueError, match=r"at least 0 that sum to 1, got a 1\.5, b -0\.5"):
        Mixture({"a": prior, "b": prior}, {"a": 1.5, "b": -0.5})
    with pytest.raises(ValueError, match="members a and weights of b"):
        Mixture({"a": prior}, {"b": 1.0})
    with pytest.raises(ValueError, match="at least one of them"):
        Mixture({}, {})
    fewer = replace(prior, table=study_table.select(study_table.run > 0))
    with pytest.raises(ValueError, match="of different rows"):
        Mixture({"a": prior, "b": fewer}, {"a": 0.5, "b": 0.5})


def test_one_member_that_failed_keeps_the_mixture_from_answering(mixture: Mixture) -> None:
    good = Check("r_hat", True, "1.001 at a")
    members = {"a": replace(mixture.members["a"], checks=(good,)), "b": replace(mixture.members["b"], checks=(FAILED,))}
    found = replace(mixture, members=members)
    assert not found.passed
    assert [(check.name, check.passed) for check in found.checks] == [("a: r_hat", True), ("b: r_hat", False)]
    with pytest.raises(UnreliableFit, match=r"1\.2 at a"):
        found.members["b"].draws("code")
    accepted = found.accept("a look")
    assert accepted.accepted == "a look"
    assert accepted.members["a"].accepted is None
    accepted.members["b"].draws("code")
    with pytest.raises(ValueError, match="for a reason"):
        found.accept(" ")


def test_a_mixture_with_an_approximation_in_it_is_one(mixture: Mixture) -> None:
    assert mixture.method == "prior"
    some = {**mixture.members, "b": replace(mixture.members["b"], method="laplace")}
    assert replace(mixture, members=some).method == "laplace"


# ---- from a comparison


def test_models_are_every_law_with_every_pooling_and_noise() -> None:
    found = models_of(["memory", "dcpt"], ["partial", "none"], ["normal"])
    assert list(found) == [f"{law}/{pooling}/normal" for law in ("memory", "dcpt") for pooling in ("partial", "none")]
    assert found["dcpt/none/normal"].law.name == "dcpt"
    with pytest.raises(ValueError, match="no law is called 'oracle'"):
        models_of(["oracle"])


def test_rows_are_refused_before_anything_is_fitted(baseless_table: Table, study_table: Table) -> None:
    with pytest.raises(ValueError, match="starts at the base's loss"):
        compare(baseless_table, ["dcpt", "memory"])
    with pytest.raises(ValueError, match="no folds are called 'week'"):
        compare(study_table, "dcpt", by="week")
    with pytest.raises(ValueError, match="no method is called 'guess'"):
        compare(study_table, ["dcpt"], method="guess")


def test_what_a_fold_could_not_be_asked_is_refused_before_anything_is_fitted() -> None:
    """Learnability of a domain is read from its own rows, which are held out."""
    with pytest.raises(ValueError, match=r"dcpt_cross/partial cannot be held .* by domain \(domain .*\): "):
        compare(with_every_column(), ["memory", "dcpt_cross"], by="domain")


def test_the_stacked_mixture_has_the_members_with_weight(prior: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three models right by turns, two are averaged; the one that was not fitted on the way is fitted last."""
    table = prior.table
    models = models_of(["memory", "dcpt", "anchored"])
    right = np.arange(40) % 4
    density = {"memory": np.where(right < 3, 0.0, -20.0), "dcpt": np.where(right < 3, -20.0, 0.0)}
    failed = {"memory": 0, "dcpt": 1, "anchored": 0}
    asked: list[str] = []

    def judge(table: Table, model: object, by: str, *rest: object) -> Judged:
        name = model.law.name  # type: ignore[attr-defined]
        held = Held(density.get(name, np.full(40, -50.0)), 0)
        return Judged(held, failed[name], prior if name == "memory" else None)

    def refit(table: Table, model: Model, *rest: object) -> Fit:
        asked.append(model.law.name)
        return replace(prior, seed=8)

    module = importlib.import_module("bayescpt.fit.averaging")
    monkeypatch.setattr(module, "hold_out", judge)
    monkeypatch.setattr(module, "posterior", refit)
    said: list[str] = []
    found = compare_models(table, models, "size", say=said.append)
    assert isinstance(found, Comparison)
    assert said == [f"{name}, by size" for name in models]
    assert list(found.frame.set_index("model").loc[list(models), "failed_fits"]) == [0, 1, 0]
    mixture = stacked(found, table, models, seed=2, say=said.append)
    assert asked == ["dcpt"]
    assert said[-1] == "dcpt/partial/student, all rows"
    assert list(mixture.members) == ["memory/partial/student", "dcpt/partial/student"]
    assert list(mixture.weights.values()) == pytest.approx([0.75, 0.25], abs=1e-6)
    assert sum(mixture.weights.values()) == pytest.approx(1, abs=1e-12)
    assert mixture.members["memory/partial/student"] is prior
    assert mixture.made == "stacking of log predictive densities, held out by size"
    assert mixture.comparison is found.frame
    assert len(mixture.comparison) == 3
    assert found.frame["weight"].min() < LEAST_WEIGHT

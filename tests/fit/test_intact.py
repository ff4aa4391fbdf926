"""A file that lacks something, or holds it in another form, is refused with all that is wrong in one error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import pandas as pd
import pytest

from bayescpt.data.table import Table
from bayescpt.fit import Fit, Mixture, load, prior_fit

Spoil = Callable[[h5py.File], None]


@pytest.fixture(scope="module")
def small(study_table: Table) -> Fit:
    return prior_fit(study_table, "memory", seed=3, draws=20)


@pytest.fixture
def path(small: Fit, tmp_path: Path) -> Path:
    small.save(tmp_path / "fit.nc")
    return tmp_path / "fit.nc"


def told_of(path: Path) -> str:
    """What is said of a file that is no whole fit."""
    with pytest.raises(ValueError) as caught:
        load(path)
    found = re.fullmatch(rf"{path} is damaged or was not written by bayescpt: (.*); fit again", str(caught.value))
    assert found, str(caught.value)
    return found[1]


def without(*names: str) -> Spoil:
    def spoil(file: h5py.File) -> None:
        for name in names:
            if name in file.attrs:
                del file.attrs[name]
            else:
                del file[name]

    return spoil


def having(**values: object) -> Spoil:
    return lambda file: file.attrs.update(values)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        *((without(name), f"no attribute {name}") for name in ("law", "model", "pooling", "noise", "method")),
        *((without(name), f"no attribute {name}") for name in ("reference", "digest", "seed", "checks")),
        (without("rows"), "no group 'rows'"),
        (without("posterior"), "no group 'posterior'"),
        (without("posterior/coordinates"), "the posterior has no coordinates"),
        (without("posterior/spread", "posterior/noise_df"), "the posterior has no spread, noise_df"),
        (without("rows", "law", "seed"), "no attribute law, seed; no group 'rows'"),
        (having(checks="{"), "the attribute checks cannot be read, got '{'"),
        (having(checks='[{"name": "r_hat"}]'), """the attribute checks cannot be read, got '[{"name": "r_hat"}]'"""),
        (having(checks="[3]"), "the attribute checks cannot be read, got '[3]'"),
        (having(checks=1), "the attribute checks cannot be read, got '1'"),
        (having(seed="x"), "the attribute seed cannot be read, got 'x'"),
        (having(seed=-1), "the attribute seed cannot be read, got '-1'"),
        (having(reference="{}"), "the attribute reference cannot be read, got '{}'"),
        (having(method="guess"), "the method 'guess' is unknown, known are nuts, laplace, prior"),
        (
            having(seed="x", checks="{", method="guess"),
            "the attribute checks cannot be read, got '{'; the attribute seed cannot be read, got 'x'; the method "
            "'guess' is unknown, known are nuts, laplace, prior",
        ),
    ],
)
def test_what_a_fit_lacks_is_named_at_once(path: Path, spoil: Spoil, told: str) -> None:
    with h5py.File(path, "r+") as file:
        spoil(file)
    assert told_of(path) == told


def test_rows_that_are_no_table_are_named(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["rows/loss"]
    assert told_of(path).startswith("its rows are no table (")


def test_another_shape_and_other_names_are_named(small: Fit, path: Path) -> None:
    tree = small.tree.copy()
    tree["posterior"] = tree["posterior"].to_dataset().isel(domain=[0], base=[0])
    Fit(small.model, small.table, small.reference, tree, (), 0, "prior").save(path)
    assert told_of(path) == f"the posterior has no domain law; the posterior has no base {small.table.bases[1]}"
    posterior = small.posterior.assign(run_sd=small.posterior["run_sd"].isel(target=0))
    tree["posterior"] = posterior.drop_vars("coordinate")
    Fit(small.model, small.table, small.reference, tree, (), 0, "prior").save(path)
    assert told_of(path) == (
        "the posterior's run_sd runs over chain, draw, expected chain, draw, target; the posterior has no names of "
        "coordinate"
    )


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without("members"), "no attribute members"),
        (without("seed", "made"), "no attribute seed, made"),
        (having(weights="{}"), "the attribute weights cannot be read, got '{}'"),
        (having(weights="[1.0]"), "weights of 2 members expected, got [1.0]"),
        (having(members="[1, 2]"), "the attribute members cannot be read, got '[1, 2]'"),
        (
            without("member_0/rows", "member_1/posterior/run_sd"),
            "member a: no group 'rows'; member b: the posterior has no run_sd",
        ),
        (without("member_1"), "no group 'member_1', member b"),
    ],
)
def test_what_a_mixture_lacks_is_named_at_once(small: Fit, tmp_path: Path, spoil: Spoil, told: str) -> None:
    path = tmp_path / "mixture.nc"
    Mixture({"a": small, "b": small}, {"a": 0.5, "b": 0.5}).save(path)
    with h5py.File(path, "r+") as file:
        spoil(file)
    assert told_of(path) == told
    with pytest.raises(ValueError, match="holds a mixture of fits"):
        Fit.load(path)


def test_a_comparison_without_its_columns_is_named(small: Fit, tmp_path: Path) -> None:
    path = tmp_path / "mixture.nc"
    frame = pd.DataFrame({"model": ["a"], "weight": [1.0]})
    Mixture({"a": small}, {"a": 1.0}, comparison=frame).save(path)
    with h5py.File(path, "r+") as file:
        del file["comparison/weight"]
    assert told_of(path) == "the comparison has no column weight"
    with h5py.File(path, "r+") as file:
        del file["comparison"].attrs["columns"]
    assert told_of(path) == "the comparison does not tell its columns"

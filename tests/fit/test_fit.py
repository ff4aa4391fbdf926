"""A fit survives its file unchanged, refuses a changed one, and answers only when it may."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayescpt.ask import predict, ratio_under_budget, summary
from bayescpt.data.table import Table
from bayescpt.fit import Check, Fit, SamplerSettings, UnreliableFit, averaging, fit, load, prior_fit, run
from bayescpt.fit.run import check_method, model_of

FAILED = Check("r_hat", False, "1.2 at spread[general, change]; wanted below 1.01: sample more")


@pytest.fixture(scope="module")
def saved(prior: Fit, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of the prior fit."""
    path = tmp_path_factory.mktemp("fit") / "fit.nc"
    prior.save(path)
    return path.read_bytes()


@pytest.fixture
def path(saved: bytes, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    copy = tmp_path / "fit.nc"
    copy.write_bytes(saved)
    return copy


def test_a_fit_read_back_gives_identical_answers(prior: Fit, path: Path) -> None:
    again = Fit.load(path)
    assert again.table.digest == prior.table.digest
    assert again.seed == prior.seed
    assert again.reference == prior.reference
    assert again.checks == prior.checks
    assert again.model == prior.model
    xr.testing.assert_identical(again.posterior, prior.posterior)
    assert set(again.tree.children) == set(prior.tree.children)
    points = pd.DataFrame(
        [("code", 3e5, 0.4, 1e5, "general"), ("never seen", 5e6, 0.4, 1e6, "domain")],
        columns=["domain", "size", "ratio", "tokens", "target"],
    )
    xr.testing.assert_identical(predict(again, points), predict(prior, points))
    for domain, size in (("law", 6e5), ("law", 1e7), ("never seen", 1e7)):
        answers = [summary(ratio_under_budget(f, domain, size, 1e6, 0.05)) for f in (prior, again)]
        assert answers[0] == answers[1]


def test_checks_travel_with_the_file(prior: Fit, tmp_path: Path) -> None:
    failed = replace(prior, checks=(Check("divergences", True, "none"), FAILED))
    failed.save(tmp_path / "failed.nc")
    again = Fit.load(tmp_path / "failed.nc")
    assert again.checks == failed.checks
    assert not again.passed


def test_saving_leaves_nothing_beside_the_file(prior: Fit, tmp_path: Path) -> None:
    prior.save(tmp_path / "fit.nc")
    prior.save(tmp_path / "fit.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_a_save_that_fails_keeps_the_file_that_was_there(
    prior: Fit, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    with pytest.raises(OSError, match="no space"):
        prior.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["fit.nc"]


def test_changed_rows_are_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["rows/loss"][0] += 1e-6
    with pytest.raises(ValueError, match=r"rows do not match the digest"):
        Fit.load(path)


def test_another_format_is_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["bayescpt_format"] = 99
    with pytest.raises(ValueError, match=r"fit format 99, this version reads 4: fit the rows again"):
        Fit.load(path)


def test_an_unknown_law_is_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["law"] = "oracle"
    with pytest.raises(ValueError, match=r"law 'oracle'; known are memory, dcpt, anchored"):
        Fit.load(path)


def test_what_is_no_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no fit at"):
        Fit.load(tmp_path / "absent.nc")
    text = tmp_path / "text.nc"
    text.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(ValueError, match="cannot be read as a fit"):
        Fit.load(text)
    other = tmp_path / "other.nc"
    xr.Dataset({"loss": ("row", np.ones(3))}).to_netcdf(other, engine="h5netcdf")
    with pytest.raises(ValueError, match="fit format none"):
        Fit.load(other)


def test_a_fit_that_failed_answers_only_when_accepted_for_a_reason(prior: Fit) -> None:
    failed = replace(prior, checks=(Check("divergences", True, "none"), FAILED))
    assert not failed.passed
    with pytest.raises(UnreliableFit) as error:
        failed.draws("code")
    assert FAILED.message in str(error.value)
    assert "divergences" not in str(error.value)
    assert "--accept REASON" in str(error.value)
    for reason in ("", "  \n"):
        with pytest.raises(ValueError, match="accepted for a reason; none was given"):
            failed.accept(reason)
    accepted = failed.accept("a smoke test")
    assert accepted.accepted == "a smoke test"
    np.testing.assert_array_equal(accepted.draws("code").run_sd, prior.draws("code").run_sd)


def test_the_refusal_crosses_processes() -> None:
    error = UnreliableFit((FAILED,))
    again = pickle.loads(pickle.dumps(error))
    assert again.checks == error.checks
    assert str(again) == str(error)


def test_draws_of_a_domain_are_those_of_the_tree(prior: Fit) -> None:
    draws = prior.draws("law")
    posterior = prior.posterior.sel(domain="law").isel(chain=0)
    assert draws.noise_sd.shape == (2, prior.size)
    for name, values in draws.theta.items():
        np.testing.assert_allclose(values, posterior[name].transpose("target", "draw"), rtol=1e-9)
    np.testing.assert_array_equal(draws.noise_sd, posterior["noise_sd"].transpose("target", "draw"))


def test_a_new_domain_is_drawn_from_the_population(prior: Fit) -> None:
    """Under the prior a new domain and a known one are distributed alike; the sd of 500 draws is sure to 3 %."""
    new, again, other, known = (
        np.log(prior.draws(name).theta["beta"][1]) for name in ("never seen", "never seen", "another", "code")
    )
    np.testing.assert_array_equal(new, again)
    assert not np.array_equal(new, other)
    population = prior.posterior["population"].sel(target="domain", coordinate="log_beta").values.ravel()
    assert new.std() > population.std()
    for values in (new, other):
        assert values.std() == pytest.approx(known.std(), rel=0.15)
        assert values.mean() == pytest.approx(known.mean(), abs=5 * known.std() / np.sqrt(prior.size))


def test_the_seed_decides_the_prior_draws(prior: Fit, study_table: Table) -> None:
    same = prior_fit(study_table, "memory", seed=prior.seed, draws=prior.size)
    other = prior_fit(study_table, "memory", seed=prior.seed + 1, draws=prior.size)
    xr.testing.assert_equal(same.posterior, prior.posterior)
    assert not np.array_equal(other.posterior["population"], prior.posterior["population"])


def test_an_unknown_law_is_named_with_those_on_offer() -> None:
    with pytest.raises(ValueError, match="no law is called 'oracle'; on offer: memory, dcpt") as error:
        model_of("oracle", "fuzzy", "loud")
    assert "no pooling is called 'fuzzy'; on offer: partial, correlated, learnability, none, " in str(error.value)
    assert "no noise is called 'loud'; on offer: normal, student" in str(error.value)
    with pytest.raises(ValueError, match="no method is called 'guess'; on offer: nuts, laplace"):
        check_method("guess")


def test_under_complete_pooling_a_new_domain_is_like_the_one_there_is(study_table: Table) -> None:
    one = study_table.select(study_table.domain == 0)
    for table in (study_table, one):
        fit = prior_fit(table, "dcpt_l5", "complete", draws=20)
        known, new = (fit.draws(name).theta["beta"] for name in ("code", "never seen"))
        np.testing.assert_array_equal(new, known)


def test_a_draw_that_was_changed_is_noticed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["posterior/run_sd"][0, 0, 0] *= 1.001
    with pytest.raises(
        ValueError, match="its draws are not those that were written; the file was changed or is damaged"
    ):
        Fit.load(path)


# h5netcdf closes a file that it could not open when it is collected, and stumbles
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", range(12))
def test_a_file_with_bytes_that_flipped_is_refused_by_name_or_whole(path: Path, seed: int) -> None:
    written = Fit.load(path)
    content = bytearray(path.read_bytes())
    for place in np.random.default_rng(seed).integers(0, len(content), 20):
        content[place] ^= 0xFF
    path.write_bytes(content)
    try:
        again = load(path)
    except ValueError as error:
        told = str(error)
    else:
        told = str(path)
        assert isinstance(again, Fit)
        np.testing.assert_array_equal(again.posterior["coordinates"], written.posterior["coordinates"])
    assert str(path) in told


def test_a_folder_is_no_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is a folder"):
        Fit.load(tmp_path)
    with pytest.raises(ValueError, match="it cannot be looked at"):
        Fit.load(tmp_path / ("x" * 300))


@pytest.mark.parametrize("laws", ["dcpt", ["dcpt", "memory"]])
def test_what_rows_cannot_teach_is_logged_before_anything_is_fitted(
    laws: str | list[str], study_table: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise InterruptedError

    run._log_once.cache_clear()
    monkeypatch.setattr(run, "posterior", refuse)
    monkeypatch.setattr(averaging, "compare_models", refuse)
    ask = fit if isinstance(laws, str) else averaging.compare
    rows = study_table.frame()
    with pytest.raises(InterruptedError):
        ask(study_table, laws)  # type: ignore[arg-type]
    assert not caplog.records
    with pytest.raises(InterruptedError):
        ask(Table.from_frame(rows[rows["size"] == rows["size"].min()]), laws)  # type: ignore[arg-type]
    assert [(one.name, one.levelname) for one in caplog.records] == [("bayescpt.fit.run", "WARNING")]
    assert "one_size: All runs have one size" in caplog.text
    assert "Train one run at another size" in caplog.text


def test_errors_of_single_rows_count_where_that_is_asked(study_table: Table, tmp_path: Path) -> None:
    few = SamplerSettings(chains=1, draws=200)
    told = Table.from_frame(study_table.frame().assign(loss_se=1.0))
    with pytest.raises(ValueError, match=r"counted \(use_se\), but the table has none"):
        fit(study_table, "dcpt", method="laplace", settings=few, use_se=True)
    shared = fit(told, "dcpt", method="laplace", settings=few)
    own = fit(told, "dcpt", method="laplace", settings=few, use_se=True)
    where = {"domain": ["law"], "size": 6e5, "ratio": 0.5, "tokens": 2e5, "target": "domain"}
    spread, wider = (float(predict(one, pd.DataFrame(where))["expected"].std()) for one in (shared, own))
    assert wider > 3 * spread  # the rows say next to nothing
    assert "standard errors of rows" in own.model.describe()
    assert "standard errors" not in shared.model.describe()
    own.save(tmp_path / "own.nc")
    assert Fit.load(tmp_path / "own.nc").model == own.model

"""Power scaling of a conjugate normal, whose sensitivity is known, and of the decisions that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayescpt.ask import ratio_under_budget
from bayescpt.ask.sensitivity import CONFLICT, FINE, WEAK, decisions, sensitivity, verdict
from bayescpt.data import Table
from bayescpt.fit import Fit, SamplerSettings, fit, prior_fit

DRAWS = 2000


@pytest.fixture(scope="module")
def wide(ramp: Fit, altered: Callable[..., Fit]) -> Fit:
    return altered(prior_fit(ramp.table, ramp.model.law, seed=1, draws=DRAWS), base_effect=0.0, base_sd=0.0)


def conjugate(wide: Fit, seen: float, error: float) -> Fit:
    """A fit in which log a of the general loss in code has prior N(0, 0.4) and was seen as ``seen`` +- ``error``."""
    weight = 0.4**-2 + error**-2
    mean, sd = seen / error**2 / weight, weight**-0.5
    value = mean + sd * np.random.default_rng(4).standard_normal((1, DRAWS))
    tree = wide.tree.copy(deep=True)
    for name in ("coordinates", "population"):
        tree["posterior"][name].loc[{"target": "general", **({"domain": "code"} if name == "coordinates" else {})}] = (
            value[..., None]
        )
    tree["posterior"]["a"].loc[{"target": "general", "domain": "code"}] = np.exp(value)
    for name in tree["log_prior"].data_vars:
        tree["log_prior"][name][...] = stats.norm(0, 0.4).logpdf(value) if name == "population" else 0.0
    tree["log_likelihood"]["run_loss"][...] = 0.0
    tree["log_likelihood"]["run_loss"][..., 0] = stats.norm(seen, error).logpdf(value)
    return replace(wide, tree=tree, method="nuts")


def row(fit: Fit, quantity: str, answers: dict[str, xr.Dataset]) -> dict[str, object]:
    frame = sensitivity(fit, answers)
    (found,) = frame[frame["quantity"] == quantity].to_dict("records")
    return found


@pytest.mark.parametrize(("seen", "error", "told"), [(0.2, 0.02, FINE), (0.3, 4.0, WEAK), (4.0, 0.3, CONFLICT)])
def test_a_conjugate_normal_is_told_as_what_it_is(wide: Fit, seen: float, error: float, told: str) -> None:
    """By a margin: the values are at least 0.045 from the threshold, which 2000 draws never bridge."""
    found = conjugate(wide, seen, error)
    answers = {"ratio": ratio_under_budget(found, "code", 4e7, 1e9, 0.3)}
    parameter = row(found, "coordinates[general, code, log_a]", answers)
    decision = row(found, "ratio", answers)
    assert parameter["verdict"] == decision["verdict"] == told
    assert (parameter["kind"], decision["kind"]) == ("parameter", "decision")
    # nothing was seen of the other domain, whose prior is not that of the population here
    assert row(found, "coordinates[general, law, log_a]", answers)["prior"] < 0.05


def test_a_quantity_that_never_moves_is_sensitive_to_nothing(wide: Fit) -> None:
    found = conjugate(wide, 4.0, 0.3)
    answers = {"all": ratio_under_budget(found, "code", 4e7, 1e9, 1e3)}
    assert (answers["all"]["value"] == 1).all()
    assert row(found, "all", answers) == {
        "quantity": "all",
        "kind": "decision",
        "prior": 0.0,
        "likelihood": 0.0,
        "verdict": FINE,
    }


def test_decisions_are_those_of_the_longest_run_of_the_largest_size(wide: Fit, table: Table) -> None:
    found = decisions(wide)
    assert list(found) == [f"{what} ratio, {name}" for name in ("code", "law") for what in ("optimal", "critical")]
    same = ratio_under_budget(wide, "law", 4e7, 1e9, 0.05)
    xr.testing.assert_identical(found["optimal ratio, law"], same)
    assert list(decisions(wide, ["art"], 1e8, 1e10, 0.1)) == ["optimal ratio, art", "critical ratio, art"]
    baseless = replace(table, base_losses=np.full(table.base_losses.shape, np.nan))
    assert decisions(replace(wide, table=baseless)) == {}


def test_verdicts() -> None:
    assert [verdict(*pair) for pair in ((0.04, 0.9), (0.05, 0.05), (0.3, 0.04))] == [FINE, CONFLICT, WEAK]


def test_of_a_fit_on_rows_everything_is_told_and_finite(ramp: Fit) -> None:
    found = fit(ramp.table, ramp.model.law, method="laplace", settings=SamplerSettings(chains=1, draws=400))
    frame = sensitivity(found)
    assert list(frame["kind"].unique()) == ["decision", "parameter"]
    assert np.isfinite(frame[["prior", "likelihood"]]).all(axis=None)
    assert (frame[["prior", "likelihood"]] >= 0).all(axis=None)
    assert frame["verdict"].isin((FINE, WEAK, CONFLICT)).all()
    # runs measured to a few thousandths of a nat say more of a slope than its prior does
    own = frame.set_index("quantity").loc["coordinates[general, code, log_a]"]
    assert own["likelihood"] > own["prior"]


def test_without_a_likelihood_or_a_log_prior_it_is_refused(ramp: Fit) -> None:
    with pytest.raises(ValueError, match="no likelihood that they hang on; fit the rows first"):
        sensitivity(ramp)
    old = ramp.tree.copy()
    del old["log_prior"]
    with pytest.raises(ValueError, match="no log prior, an earlier version wrote it: fit the rows again"):
        sensitivity(replace(ramp, tree=old, method="nuts"))

"""Each check fails for its own fault, and says which parameter is at fault and what to do."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayescpt.fit.checks import CHECKED, ESS_ABOVE, R_HAT_BELOW, Check, check_posterior

CHAINS, DRAWS = 4, 1000
NAMES = ("divergences", "r_hat", "ess_bulk", "ess_tail")


def posterior(seed: int = 0) -> xr.Dataset:
    """Independent draws of two parameters: what a perfect sampler gives."""
    rng = np.random.default_rng(seed)
    shape = (CHAINS, DRAWS)
    return xr.Dataset(
        {
            "spread": (("chain", "draw", "target", "coordinate"), rng.standard_normal((*shape, 2, 2))),
            "run_sd": (("chain", "draw", "target"), rng.standard_normal((*shape, 2))),
            "scratch": (("chain", "draw"), np.zeros(shape)),
        },
        coords={"target": ["general", "domain"], "coordinate": ["change", "log_beta"]},
    )


def stats(divergent: int = 0) -> xr.Dataset:
    """Sampler statistics with this many divergent draws."""
    flags = np.zeros(CHAINS * DRAWS, dtype=bool)
    flags[:divergent] = True
    return xr.Dataset({"diverging": (("chain", "draw"), flags.reshape(CHAINS, DRAWS))})


def outcome(draws: xr.Dataset, divergent: int = 0) -> dict[str, Check]:
    checks = {check.name: check for check in check_posterior(draws, stats(divergent))}
    assert tuple(checks) == NAMES
    return checks


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if not check.passed}


def test_independent_draws_pass() -> None:
    checks = outcome(posterior())
    assert failed(checks) == set()
    assert f"wanted below {R_HAT_BELOW}" in checks["r_hat"].message
    assert f"wanted above {ESS_ABOVE}" in checks["ess_bulk"].message


def test_a_single_divergence_fails() -> None:
    checks = outcome(posterior(), divergent=1)
    assert failed(checks) == {"divergences"}
    assert "1 of 4000 draws diverged" in checks["divergences"].message
    assert "--target-accept" in checks["divergences"].message


def test_a_chain_elsewhere_fails_r_hat_and_names_the_parameter() -> None:
    draws = posterior()
    draws["spread"][2, :, 1, 0] += 3.0
    checks = outcome(draws)
    assert "r_hat" in failed(checks)
    assert "spread[domain, change]" in checks["r_hat"].message
    assert "sample more" in checks["r_hat"].message
    assert "divergences" not in failed(checks)


def test_slow_chains_fail_the_effective_sample_size_alone() -> None:
    draws = posterior()
    rng = np.random.default_rng(1)
    slow = np.empty((CHAINS, DRAWS))
    slow[:, 0] = rng.standard_normal(CHAINS)
    for i in range(1, DRAWS):  # AR(1): about (1 - 0.9) / (1 + 0.9) of the draws count
        slow[:, i] = 0.9 * slow[:, i - 1] + np.sqrt(1 - 0.9**2) * rng.standard_normal(CHAINS)
    draws["run_sd"][:, :, 0] = slow
    checks = outcome(draws)
    assert "ess_bulk" in failed(checks)
    assert "divergences" not in failed(checks)
    assert "run_sd[general]" in checks["ess_bulk"].message
    assert float(checks["ess_bulk"].message.split()[0]) < ESS_ABOVE


def test_chains_that_visit_their_tails_by_turns_fail_the_tail_size() -> None:
    draws = posterior()
    # half of every chain is quiet and half is wild: the middle mixes well, the tails are met in one stretch only
    scale = np.where(np.arange(DRAWS) % DRAWS < DRAWS // 2, 0.2, 2.0)
    draws["run_sd"][:, :, 1] = draws["run_sd"][:, :, 1] * scale
    checks = outcome(draws)
    assert "ess_tail" in failed(checks)
    assert "ess_bulk" not in failed(checks)
    assert "run_sd[domain]" in checks["ess_tail"].message


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_a_value_that_never_moved_fails(value: float) -> None:
    draws = posterior()
    draws["spread"][..., 0, 1] = value
    with np.errstate(invalid="ignore"):
        checks = outcome(draws)
    assert "r_hat" in failed(checks)
    assert "nan at spread[general, log_beta]" in checks["r_hat"].message


def test_what_is_not_a_parameter_is_not_checked() -> None:
    assert "scratch" not in CHECKED  # constant in these tests, and yet they pass
    hyper = {"base_sd", "run_sd", "noise_sd", "noise_memory", "noise_df", "noise_share_exponent", "noise_early"}
    hyper |= {"noise_typical"}
    assert {"coordinates", "population", "spread", "loading", "learnability", *hyper} == set(CHECKED)


def test_effects_of_bases_and_correlations_are_checked_where_they_are_drawn() -> None:
    """What is nothing, as where a domain has no runs of a base, or fixed, as above a diagonal, fails nothing."""
    rng = np.random.default_rng(2)
    effect, root = rng.standard_normal((CHAINS, DRAWS, 2, 3)), rng.standard_normal((CHAINS, DRAWS, 2, 2))
    effect[..., 1, 2], root[..., 0, 1] = np.nan, 0.0
    names = {"target": ["general", "domain"], "base": ["a", "b", "c"]}
    added = {
        "base_effect": xr.DataArray(effect, dims=("chain", "draw", "target", "base"), coords=names),
        "correlation_root": (("chain", "draw", "coordinate", "coordinate_of"), root),
    }
    draws = posterior().assign(added)
    assert failed(outcome(draws)) == set()
    stuck = draws.copy(deep=True)
    stuck["base_effect"][0, :, 1, 0] += 3
    checks = outcome(stuck)
    assert "r_hat" in failed(checks)
    assert "base_effect[domain, a]" in checks["r_hat"].message

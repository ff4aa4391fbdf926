"""The loss of a base of a size that was not trained: exact where measured, and less sure the further out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bayescpt.data.table import Table
from bayescpt.model.base import base_loss_draws
from bayescpt.schema import GENERAL, TARGETS, Target

COUNT = 4000


def draws(table: Table, domain: str, size: float, target: Target, count: int = COUNT) -> np.ndarray:
    return base_loss_draws(table, domain, size, target, count, np.random.default_rng(0))


def spread(table: Table, domain: str, size: float, target: Target) -> float:
    """Standard deviation of the log loss."""
    return float(np.log(draws(table, domain, size, target)).std())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("domain", ["code", "law"])
def test_a_measured_base_has_its_measured_loss(study_table: Table, domain: str, target: Target) -> None:
    for b, size in enumerate(study_table.base_size):
        measured = study_table.base_losses[b, study_table.domains.index(domain), TARGETS.index(target)]
        assert (draws(study_table, domain, float(size), target) == measured).all()


@pytest.mark.parametrize("target", TARGETS)
def test_the_further_out_the_wider(study_table: Table, target: Target) -> None:
    largest = study_table.base_size.max()
    spreads = [spread(study_table, "code", factor * largest, target) for factor in (1.0, 3.0, 30.0, 1000.0)]
    assert spreads[0] < 1e-12
    assert all(near < far for near, far in pairwise(spreads))
    assert 0.01 < spreads[1] < 0.1


def test_a_new_domain_has_the_general_loss_that_all_share(study_table: Table) -> None:
    for b, size in enumerate(study_table.base_size):
        common = study_table.base_losses[b, 0, TARGETS.index(GENERAL)]
        assert draws(study_table, "never seen", float(size), "general") == pytest.approx(common)
    between = 3 * study_table.base_size.max()
    known, new = (draws(study_table, domain, between, "general") for domain in ("code", "never seen"))
    np.testing.assert_allclose(new, known)


def test_a_new_domain_has_a_domain_loss_of_its_own(study_table: Table) -> None:
    size = float(study_table.base_size[0])
    assert spread(study_table, "never seen", size, "domain") > 0.2
    assert spread(study_table, "never seen", size, "domain") > spread(study_table, "code", 2 * size, "domain")


def test_the_general_loss_follows_the_power_law_through_the_measured_bases(study_table: Table) -> None:
    size = np.array([1e5, 1e6, 1e7, 1e8])
    losses = np.full((4, 2, 2), np.nan)
    losses[:, :, 0] = (4.0 * (size / 1e5) ** -0.05)[:, None]
    table = replace(
        study_table.select(np.zeros(len(study_table), dtype=bool)),
        bases=tuple("abcd"),
        base_size=size,
        base_losses=losses,
        base_losses_se=np.full_like(losses, np.nan),
    )
    far = draws(table, "code", 1e9, "general")
    expected = 4.0 * 1e4**-0.05
    assert np.median(far) == pytest.approx(expected, rel=0.01)
    low, high = np.quantile(far, (0.05, 0.95))
    assert low < expected < high


def test_without_any_base_loss_it_says_what_to_measure(baseless_table: Table) -> None:
    with pytest.raises(ValueError, match=r"no base loss on the general set is known .*tokens = 0.*--base-loss"):
        draws(baseless_table, "code", 1e6, "general")


def test_bases_known_in_one_domain_only_serve_the_others_less_surely(study_table: Table) -> None:
    losses = study_table.base_losses.copy()
    law, domain_set = study_table.domains.index("law"), TARGETS.index("domain")
    losses[:, law, domain_set] = np.nan
    table = replace(study_table, base_losses=losses)
    size = float(study_table.base_size[0])
    assert spread(table, "code", size, "domain") < 1e-12
    assert spread(table, "law", size, "domain") > 0.2

"""Ridges of known posteriors are named with the run that would tell, and those of a table of one size name another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.ask.ridges import COORDINATES, NATURAL, TELLS, Ridge, Telling, ratios_of, ridges, steps
from bayescpt.ask.sensitivity import decisions
from bayescpt.data import Table
from bayescpt.fit import Check, Fit, SamplerSettings, fit, prior_fit
from bayescpt.laws import Coordinate, Law, Param, Point, Prior, Reference
from bayescpt.laws.base import Scalar
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.schema import TARGETS
from tests.tables import with_every_column

DRAWS = 1000


class Sized(Law):
    """L = L0 + a n^nu (s0 - s), n the size over the reference size: one size says nothing of nu."""

    name: ClassVar[str] = "sized"
    reference: ClassVar[str] = "test"
    equation: ClassVar[str] = "L = L0 + a n^nu (s0 - s)"
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = False
    params: ClassVar[tuple[Param, ...]] = (
        Param("a", "nats/token", "worth of the whole share"),
        Param("nu", "-", "size exponent"),
        Param("size", "billion parameters", "reference size"),
    )
    coordinates: ClassVar[tuple[Coordinate, ...]] = tuple(
        Coordinate(name, "-", "of the test", "made up", general=prior, domain=prior)
        for name, prior in (("log_a", Prior(0.0, 0.4, 0.2)), ("size_exponent", Prior(0.0, 0.2, 0.1)))
    )

    def natural(self, coordinates: Scalar, reference: Reference, base_share: Scalar) -> dict[str, Scalar]:
        return {"a": jnp.exp(coordinates[0]), "nu": coordinates[1], "size": jnp.asarray(reference.size)}

    def loss(self, theta: Mapping[str, Scalar], point: Point) -> Scalar:
        worth = theta["a"] * (point.size / theta["size"]) ** theta["nu"]
        return point.base_loss + worth * (point.base_share - point.share)


def by_name(found: tuple[Ridge, ...], target: str, kind: str = COORDINATES) -> dict[str, Ridge]:
    return {one.name: one for one in found if (one.target, one.kind) == (target, kind)}


@pytest.fixture(scope="module")
def ridged(hump: Fit, altered: Callable[..., Fit]) -> Fit:
    """A hump whose general loss was seen in code while x = D/(k (1-s)) is small, and so a/k alone; the rest is known.

    Height a and turn k can rise together by their priors. The noise of a run is 0.001 nats.
    """
    found = altered(prior_fit(hump.table, hump.model.law, seed=2, draws=DRAWS), base_effect=0.0, base_sd=0.0)
    found = altered(found, run_sd=0.0, noise_sd=1e-3, noise_share_exponent=0.0, noise_early=0.0)
    rng = np.random.default_rng(6)
    values = 0.02 * rng.standard_normal((1, DRAWS, 2, 2, 2))  # chain, draw, target, domain, coordinate
    along = 0.32 * rng.standard_normal((1, DRAWS))
    values[:, :, 0, 0, 0] = along
    values[:, :, 0, 0, 1] = along + 0.02 * rng.standard_normal((1, DRAWS))
    found.tree["posterior"]["coordinates"][...] = values
    for place, name in enumerate(("a", "k")):
        found.tree["posterior"][name][...] = np.exp(values[..., place])
    return found


def test_a_known_ridge_is_named_with_the_run_that_would_tell(ridged: Fit) -> None:
    found = ridges(ridged)
    (one,) = by_name(found, "general").values()
    assert (one.name, one.domains, one.kind) == ("log_a with log_k", ("code",), COORDINATES)
    assert not one.learned
    # the prior variance of a coordinate is 0.4^2 + 0.2^2 e^0.32; along the ridge both move
    assert one.contraction == pytest.approx(2 * 0.32**2 / (0.4**2 + 0.2**2 * np.exp(0.32)), rel=0.15)
    assert one.carriers == pytest.approx({"log_a": 0.5**0.5, "log_k": 0.5**0.5}, rel=1e-2)
    # by the law a x^2 e^(1-x) is moved, 0.02 where the table begins and 1 where it ends
    run = one.run
    assert run.tokens >= 1e9
    assert run.removes > 0.5
    assert str(run) in run.text
    assert f"would remove {run.removes:.0%} of it" in run.text
    assert by_name(found, "domain") == {}
    # the natural parameters hang together in the same way
    assert by_name(found, "general", NATURAL)["a with k"].contraction is None
    assert by_name(found, "general", NATURAL)["a with k"].learned


def test_what_a_run_is_said_to_move_is_what_the_law_says(ridged: Fit) -> None:
    """L - L0 = a x e^(1-x) moves by a x^2 e^(1-x) dt where log a and log k rise by dt."""
    (one,) = by_name(ridges(ridged), "general").values()
    run = one.run
    log_a, log_k = ridged.posterior["coordinates"].sel(target="general", domain="code").values[0].T
    x = run.tokens / 1e9 / (np.exp(log_k) * run.ratio + 1e-9)
    slope = np.exp(log_a) * x**2 * np.exp(1 - x)
    # by 400 of the 1000 draws
    assert run.moves == pytest.approx(np.median(slope) * ((log_a + log_k) / 2).std(), rel=0.15)
    losses = np.exp(log_a) * x * np.exp(1 - x)
    assert run.removes == pytest.approx(min(1, run.moves**2 / losses.var()), abs=0.15)


def test_a_direction_that_no_loss_hangs_on_says_so(ridged: Fit) -> None:
    """Where the general loss is known whatever a and k are, for a is nothing: no run could tell its ridge."""
    tree = ridged.tree.copy(deep=True)
    tree["posterior"]["coordinates"][:, :, 0, 0, 0] -= 30.0
    tree["posterior"]["a"][:, :, 0, 0] *= np.exp(-30.0)
    (one,) = by_name(ridges(replace(ridged, tree=tree)), "general").values()
    assert one.run.moves == pytest.approx(0, abs=1e-6)
    assert "no loss within a step of the table hangs on it" in one.run.text


def test_ridges_of_several_domains_are_told_once(ridged: Fit) -> None:
    tree = ridged.tree.copy(deep=True)
    coordinates = tree["posterior"]["coordinates"]
    coordinates[:, :, 0, 1] = 0.9 * coordinates[:, :, 0, 0]
    (one,) = by_name(ridges(replace(ridged, tree=tree)), "general").values()
    assert one.domains == ("code", "law")
    assert one.contraction == by_name(ridges(ridged), "general")[one.name].contraction


def test_a_fit_that_failed_is_looked_into_all_the_same(ridged: Fit) -> None:
    failed = replace(ridged, checks=(Check("r_hat", False, "1.2"),))
    assert [one.as_dict() for one in ridges(failed)] == [one.as_dict() for one in ridges(ridged)]
    told = json.loads(json.dumps([one.as_dict() for one in ridges(failed)], allow_nan=False))
    assert told[0]["run"]["text"]


@pytest.mark.parametrize("law", ["sized", "memory"])
def test_of_one_size_the_exponent_is_open_and_another_size_would_tell(law: str, study_table: Table) -> None:
    """A real fit: everything that is named for size is named with a run of another size, and what is not is not."""
    one = study_table.select(study_table.size == 1e5)
    found = ridges(
        fit(one, Sized() if law == "sized" else law, method="laplace", settings=SamplerSettings(chains=1, draws=DRAWS))
    )
    exponents = {"size_exponent"} if law == "sized" else {"share_size_exponent", "progress_size_exponent"}
    for target in ("general", "domain"):
        named = by_name(found, target)
        for exponent in exponents:
            (ridge,) = (ridge for ridge in named.values() if exponent in ridge.carriers)
            assert list(ridge.carriers) == [exponent]
            assert ridge.contraction is not None
            assert ridge.contraction > 0.85
            assert ridge.domains == ("code", "law")
            assert ridge.run.size in (1e5 / 4, 1e5 * 4)
            assert ridge.run.removes > TELLS
        assert any(not exponents & set(ridge.carriers) for ridge in named.values()) == (law == "memory")


def test_the_grid_reaches_one_step_beyond_the_table() -> None:
    assert steps(np.array([2e6, 2e6]), 4.0) == [5e5, 2e6, 8e6]
    assert steps(np.arange(1.0, 10.0), 3.0) == [1 / 3, 1, 5, 9, 27]


def test_ratios_of_the_grid_are_the_tables_and_the_ends(table: Table) -> None:
    assert ratios_of(table) == [0.0, 0.1, 0.5, 0.9, 1.0]


def test_a_run_in_words() -> None:
    run = Telling(size=2.5e6, ratio=0.25, tokens=3e8, last=1e8, moves=0.2, removes=0.345)
    assert str(run) == "a run of 2.5e+06 parameters at ratio 0.25 for 3e+08 tokens"
    assert run.text == f"{run} would remove 34% of it"
    early = replace(run, tokens=1e7, removes=0.001)
    assert str(early) == "a run of 2.5e+06 parameters at ratio 0.25 with a checkpoint at 1e+07 tokens"
    assert early.text == f"no single loss within a step of the table tells; it moves most (0.2 nats) in {early}"


def test_of_one_target_everything_is_told_that_can_be(table: Table) -> None:
    one = table.select(table.target == TARGETS.index("domain"))
    fit = prior_fit(one, "memory", seed=1, draws=60)
    assert {ridge.target for ridge in ridges(fit)} == {"domain"}
    assert decisions(fit) == {}
    blind = prior_fit(table, "chinchilla", seed=1, draws=20)
    assert decisions(blind) == {}


@pytest.mark.parametrize(
    "pooling", [pytest.param(name, marks=() if name == "learnability" else pytest.mark.slow) for name in HIERARCHIES]
)
def test_every_pooling_names_what_its_rows_leave_open(pooling: str) -> None:
    """Draws of the prior have learnt nothing: every domain is open."""
    fit = prior_fit(with_every_column(), "memory", pooling, seed=1, draws=200)
    named = [ridge for ridge in ridges(fit) if ridge.contraction is not None]
    assert {domain for ridge in named for domain in ridge.domains} == set(fit.table.domains)


def test_base_losses_of_the_other_target_are_not_needed(table: Table) -> None:
    rows = table.frame()
    fit = prior_fit(Table.from_frame(rows[rows["target"] == "domain"]), "memory", seed=1, draws=60)
    assert {ridge.target for ridge in ridges(fit)} == {"domain"}

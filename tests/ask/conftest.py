"""A small table, and three laws whose questions have closed-form answers, with prior draws of each.

Their bases miss nothing, so that the answers are those of the law.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

import jax.numpy as jnp
import pandas as pd
import pytest

from bayescpt.data import Table
from bayescpt.fit import Fit, prior_fit
from bayescpt.laws import Coordinate, Law, Param, Point, Prior, Reference
from bayescpt.laws.base import Scalar
from bayescpt.schema import TARGETS, Observation, Target

DRAWS = 60
PRIOR = Prior(0.0, 0.4, 0.2)


def _coordinate(name: str) -> Coordinate:
    return Coordinate(name, "log", "of the test", "made up", general=PRIOR, domain=PRIOR)


class Ramp(Law):
    """L = L0 + a (s0 - s): the general loss ends a r above the base's, whatever the tokens."""

    name: ClassVar[str] = "ramp"
    reference: ClassVar[str] = "test"
    equation: ClassVar[str] = "L = L0 + a (s0 - s)"
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = False
    params: ClassVar[tuple[Param, ...]] = (Param("a", "nats/token", "worth of the whole share"),)
    coordinates: ClassVar[tuple[Coordinate, ...]] = (_coordinate("log_a"),)

    def natural(self, coordinates: Scalar, reference: Reference, base_share: Scalar) -> dict[str, Scalar]:
        return {"a": jnp.exp(coordinates[0])}

    def loss(self, theta: Mapping[str, Scalar], point: Point) -> Scalar:
        return point.base_loss + theta["a"] * (point.base_share - point.share)


class Level(Law):
    """L = a (2 - s): knows no base, so the general loss of a (1 + r) may lie above or below any base's."""

    name: ClassVar[str] = "level"
    reference: ClassVar[str] = "test"
    equation: ClassVar[str] = "L = a (2 - s)"
    needs_base: ClassVar[bool] = False
    can_rise: ClassVar[bool] = False
    params: ClassVar[tuple[Param, ...]] = (Param("a", "nats/token", "loss of the whole share"),)
    coordinates: ClassVar[tuple[Coordinate, ...]] = (_coordinate("log_a"),)

    def natural(self, coordinates: Scalar, reference: Reference, base_share: Scalar) -> dict[str, Scalar]:
        return {"a": jnp.exp(coordinates[0])}

    def loss(self, theta: Mapping[str, Scalar], point: Point) -> Scalar:
        return theta["a"] * (2 - point.share)


class Hump(Law):
    """L = L0 + a x e^(1-x), x = D / (k (1-s)): rises to a at D = k (1-s), then falls."""

    name: ClassVar[str] = "hump"
    reference: ClassVar[str] = "test"
    equation: ClassVar[str] = "L = L0 + a x exp(1 - x), x = D / (k (1 - s))"
    needs_base: ClassVar[bool] = True
    can_rise: ClassVar[bool] = True
    params: ClassVar[tuple[Param, ...]] = (Param("a", "nats/token", "height"), Param("k", "billion tokens", "turn"))
    coordinates: ClassVar[tuple[Coordinate, ...]] = (_coordinate("log_a"), _coordinate("log_k"))

    def natural(self, coordinates: Scalar, reference: Reference, base_share: Scalar) -> dict[str, Scalar]:
        return {"a": jnp.exp(coordinates[0]), "k": jnp.exp(coordinates[1])}

    def loss(self, theta: Mapping[str, Scalar], point: Point) -> Scalar:
        x = point.tokens / (theta["k"] * (1 - point.share) + 1e-9)
        return point.base_loss + theta["a"] * x * jnp.exp(1 - x)


def base_loss(size: int, target: Target) -> float:
    return 3.0 - size / 1e9 + (0.5 if target == "domain" else 0.0)


@pytest.fixture(scope="session")
def table() -> Table:
    """Two domains, two sizes of base, three ratios, two checkpoints."""
    rows = [
        Observation(f"base-{size}", domain, size, 0.0, 0, target, base_loss(size, target))
        for domain, size, target in itertools.product(("code", "law"), (10_000_000, 40_000_000), TARGETS)
    ]
    runs = itertools.product(("code", "law"), (10_000_000, 40_000_000), (0.1, 0.5, 0.9))
    for number, (domain, size, ratio) in enumerate(runs):
        for tokens, target in itertools.product((100_000_000, 1_000_000_000), TARGETS):
            share = ratio if target == "domain" else 1 - ratio
            loss = base_loss(size, target) + 0.1 - 0.2 * share - 0.02 * (tokens / 1e9)
            rows.append(Observation(f"r{number}", domain, size, ratio, tokens, target, loss))
    frame = pd.DataFrame([row.row() for row in rows]).drop(columns="base")
    frame["run"] = frame["run"].where(frame["tokens"] > 0, frame["run"] + frame["domain"])
    return Table.from_frame(frame)


def alter(fit: Fit, **values: float) -> Fit:
    """A copy of a fit in which some posterior variables hold one value throughout."""
    tree = fit.tree.copy(deep=True)
    for name, value in values.items():
        tree["posterior"][name][...] = value
    return replace(fit, tree=tree)


@pytest.fixture(scope="session")
def ramp(table: Table) -> Fit:
    return alter(prior_fit(table, Ramp(), seed=1, draws=DRAWS), base_effect=0.0, base_sd=0.0)


@pytest.fixture(scope="session")
def hump(table: Table) -> Fit:
    return alter(prior_fit(table, Hump(), seed=2, draws=DRAWS), base_effect=0.0, base_sd=0.0)


@pytest.fixture(scope="session")
def memory(table: Table) -> Fit:
    return prior_fit(table, "memory", seed=3, draws=DRAWS)


@pytest.fixture(scope="session")
def level(table: Table) -> Fit:
    return alter(prior_fit(table, Level(), seed=4, draws=DRAWS), base_effect=0.0, base_sd=0.0)


@pytest.fixture(scope="session")
def altered() -> Callable[..., Fit]:
    return alter

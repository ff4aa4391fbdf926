"""ScaleBench's tasks: pools of runs with costs, the regions that are to be predicted, and the laws on offer for each.

Laws of this file are of the benchmark alone. ``SizedTokens`` is after Farseer (2506.10972, from memory): what tokens
buy changes with size. ``FromScratch`` reads a corpus again (2305.16264); what it adds, that a model large for its
corpus learns it by heart, was found in the candidates, never in a target region.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from bayescpt.data.table import Table
from bayescpt.laws import BILLION, Coordinate, Law, Param, Point, Prior, Reference
from bayescpt.laws.additive import Additive
from bayescpt.laws.base import Scalar, Theta, raised
from bayescpt.laws.chinchilla import FLOPS, Chinchilla
from bayescpt.laws.mixing import Mixing
from bayescpt.laws.repetition import EPOCHS_WORTH, part_that_counts
from bayescpt.laws.scratch import Form
from bayescpt.laws.sources import OverSources
from bayescpt.schema import DOMAIN, SHARE

SIZES = {"70M": 70e6, "160M": 160e6, "305M": 305e6, "410M": 410e6}
TOKENS = 3e10
"""Of every run of domain_mixture, whose table names none; as they are all alike no number matters."""
SLOTS = (16, 40, 96, 176, 408)
"""Runs are filled up to the next of these, so that few shapes are compiled."""
PER_TOKEN = 4 * math.log(2)
"""Nats per token of about four characters in a bit per character, which losses of farseer seem to be."""


def slots_of(runs: int) -> int:
    """Places for so many runs."""
    return next(places for places in SLOTS if places >= runs)


def _alike(name: str, meaning: str, loc: float, scale: float) -> Coordinate:
    prior = Prior(loc, scale, scale / 2)
    return Coordinate(name, "-", meaning, "own work, wide", general=prior, domain=prior)


@dataclass(frozen=True, repr=False)
class SizedTokens(Chinchilla):
    """L = E + A/N^alpha + B n^-nu/D^(beta n^eta), n the size over that of the reference, where B is read too."""

    name: ClassVar[str] = "sized_tokens"  # type: ignore[assignment]
    extra: ClassVar[tuple[Coordinate, ...]] = (
        _alike("size_on_tokens", "nu: power of size by which the data term falls at the reference tokens", 0.0, 0.2),
        _alike("size_on_exponent", "eta: power of size by which the token exponent grows", 0.0, 0.15),
    )

    @property
    def params(self) -> tuple[Param, ...]:
        own = ("nu", "eta", "N0", "D0")
        return (*super().params, *(Param(name, "-", "see the law") for name in own))

    @property
    def mixture_coordinates(self) -> tuple[Coordinate, ...]:
        return self.extra

    def mixture_natural(self, coordinates: Mapping[str, Scalar], even: Scalar) -> dict[str, Scalar]:
        return {"nu": coordinates["size_on_tokens"], "eta": coordinates["size_on_exponent"]}

    def natural(
        self, coordinates: Float[Array, " coordinate"], reference: Reference, base_share: Scalar
    ) -> dict[str, Scalar]:
        place = {"N0": jnp.asarray(reference.size), "D0": jnp.asarray(reference.tokens)}
        return super().natural(coordinates, reference, base_share) | place

    def loss(self, theta: Theta, point: Point) -> Scalar:
        size = jnp.log(point.size / theta["N0"])
        exponent = theta["beta"] * jnp.exp(theta["eta"] * size)
        tokens = jnp.exp(-theta["nu"] * size - exponent * jnp.log(point.tokens / theta["D0"]))
        data = theta["B"] * raised(theta["D0"], -theta["beta"]) * tokens
        return theta["E"] + theta["A"] * raised(point.size, -theta["alpha"]) + data


@dataclass(frozen=True, repr=False)
class FromScratch(Chinchilla):
    """A law of size and effective tokens; with ``harm`` plus H (N/U)^q log(1 + x/w), x the epochs beyond the first.

    Args:
        harm: whether a model learns a small corpus by heart, the sooner the larger it is for it.
    """

    harm: bool = False

    covariates: ClassVar[tuple[str, ...]] = ("domain_epochs",)
    worth: ClassVar[Coordinate] = _alike("log_epochs_worth", "R*, about 15 in 2305.16264", math.log(EPOCHS_WORTH), 1.0)
    extra: ClassVar[tuple[Coordinate, ...]] = (
        _alike("log_harm", "H, nats where a parameter comes on a unique token", math.log(0.1), 1.0),
        _alike("log_harm_size", "q", 0.0, 0.4),
        _alike("log_harm_start", "w, epochs", math.log(EPOCHS_WORTH), 1.0),
    )

    @property
    def name(self) -> str:
        return f"{'harmed' if self.harm else 'effective'}_{self.form.name.lower()}"

    @property
    def params(self) -> tuple[Param, ...]:
        own = ("R", "H", "q", "w") if self.harm else ("R",)
        return (*super().params, *(Param(name, "-", "see the law") for name in own))

    @property
    def mixture_coordinates(self) -> tuple[Coordinate, ...]:
        return (self.worth, *(self.extra if self.harm else ()))

    def mixture_natural(self, coordinates: Mapping[str, Scalar], even: Scalar) -> dict[str, Scalar]:
        names = {"R": "log_epochs_worth"}
        names |= {"H": "log_harm", "q": "log_harm_size", "w": "log_harm_start"} if self.harm else {}
        return {name: jnp.exp(coordinates[coordinate]) for name, coordinate in names.items()}

    def loss(self, theta: Theta, point: Point) -> Scalar:
        epochs = point.given["domain_epochs"]
        counted = point._replace(tokens=point.tokens * part_that_counts(epochs, theta["R"]))
        loss = super().loss(theta, counted)
        if not self.harm:
            return loss
        large = raised(point.size * epochs / point.tokens, theta["q"])
        return loss + theta["H"] * large * jnp.log1p(jnp.maximum(epochs - 1, 0.0) / theta["w"])


@dataclass(frozen=True)
class Task:
    """One pool and its target region.

    Args:
        name: as in ScaleBench.
        runs: of both, one row a run: size, tokens, cost (0 in the region), held (whether in the region), what the laws
            need besides, and a column ``loss_<domain>`` for every validation set.
        levels: parts of the pool's cost at which predictions are looked at.
        laws: on offer.
        pooling: over validation sets.
        unit: nats per token of a unit of the table's losses.
    """

    name: str
    runs: pd.DataFrame
    levels: tuple[float, ...]
    laws: tuple[Law, ...]
    pooling: str
    unit: float = 1.0

    @cached_property
    def domains(self) -> tuple[str, ...]:
        return tuple(str(name).removeprefix("loss_") for name in self.runs if str(name).startswith("loss_"))

    @cached_property
    def pool(self) -> np.ndarray:
        """Positions of the candidates."""
        return np.flatnonzero(~self.runs["held"].to_numpy())

    @cached_property
    def region(self) -> np.ndarray:
        """Positions of what is to be predicted."""
        return np.flatnonzero(self.runs["held"].to_numpy())

    @cached_property
    def cost(self) -> np.ndarray:
        """Of every run, as a part of the pool's."""
        cost = self.runs["cost"].to_numpy(float)
        return cost / cost[self.pool].sum()

    @cached_property
    def compute(self) -> np.ndarray:
        """Size times tokens of every run."""
        return self.runs["size"].to_numpy(float) * self.runs["tokens"].to_numpy(float)

    @cached_property
    def beyond(self) -> bool:
        """Whether the region lies beyond the pool in compute."""
        return bool(self.compute[self.region].max() > self.compute[self.pool].max())

    @cached_property
    def losses(self) -> Float[np.ndarray, "run domain"]:
        """Nats per token."""
        return self.unit * self.runs[[f"loss_{name}" for name in self.domains]].to_numpy(float)

    def ratio(self, domain: str) -> np.ndarray:
        """Share of the domain's own corpus; 1 where a table has one."""
        return self.runs.get(SHARE + domain, pd.Series(np.ones(len(self.runs)))).to_numpy(float)

    def table(self, which: np.ndarray) -> Table:
        """The rows of these runs: of every validation set one, a run of its own."""
        chosen = self.runs.iloc[which]
        shared = [n for n in self.runs if str(n).startswith(SHARE) or n in ("size", "tokens", "domain_epochs")]
        parts = []
        for place, domain in enumerate(self.domains):
            part = chosen[shared].assign(domain=domain, target=DOMAIN, ratio=self.ratio(domain)[which])
            parts.append(part.assign(run=[f"{domain}-{i:04d}" for i in which], loss=self.losses[which, place]))
        return Table.from_frame(pd.concat(parts, ignore_index=True))

    def given(self, domain: str, which: np.ndarray) -> dict[str, np.ndarray]:
        """Covariates of these runs for a validation set."""
        found: dict[str, np.ndarray] = {}
        if "domain_epochs" in self.runs:
            found["domain_epochs"] = self.runs["domain_epochs"].to_numpy(float)[which]
        if any(str(name).startswith(SHARE) for name in self.runs):
            names = sorted(self.domains)
            found["shares"] = self.runs[[SHARE + name for name in names]].to_numpy(float)[which]
            found["own_source"] = np.tile(np.array(names) == domain, (len(which), 1)).astype(float)
        return found

    def points(self, domain: str, which: np.ndarray) -> Point:
        """Where the laws are asked for these runs."""
        size, tokens = (self.runs[name].to_numpy(float)[which] / BILLION for name in ("size", "tokens"))
        none = np.full(len(which), np.nan)
        fields: dict[str, Any] = {"base_loss": none, "base_usual": none, "base_share": np.zeros(len(which))}
        return Point(size, tokens, self.ratio(domain)[which], given=self.given(domain, which), **fields)  # type: ignore[arg-type]

    @cached_property
    def reference(self) -> Reference:
        """Of the pool's design, for fits by least squares."""
        size, tokens = (self.runs[name].to_numpy(float)[self.pool] / BILLION for name in ("size", "tokens"))
        return Reference(math.sqrt(size.min() * size.max()), float(tokens.max()) / math.sqrt(10), float(tokens.min()))

    def bound(self, law: Law) -> Law:
        """The law for the task's sources."""
        return law.on(tuple(sorted(self.domains))) if isinstance(law, OverSources) else law


def data_constrained(folder: Path) -> Task:
    """Size, tokens and unique tokens: up to 9,000 epochs."""
    read = pd.read_csv(folder / "data_constrained.csv")
    epochs = read["tokens"] / read["unique_tokens"]
    runs = _scaled(read["params"], read["tokens"], read["split"]).assign(domain_epochs=epochs, loss_text=read["loss"])
    laws = [FromScratch(form, harm) for harm in (False, True) for form in (Form.SUM, Form.POWER)]
    return Task("data_constrained", runs, (0.01, 0.05, 0.1), tuple(laws), "none")


def farseer(folder: Path) -> Task:
    """Size and tokens.

    One law, which holds Chinchilla's as a special case. Averaged with Chinchilla's and with skaling's instead, whose
    exponent of tokens is one for all sizes, it was far off: stacking does not tell at these budgets which is right.
    """
    read = pd.read_csv(folder / "farseer.csv")
    runs = _scaled(read["N"], read["D"], read["split"]).assign(loss_text=read["loss"])
    return Task("farseer", runs, (0.01, 0.05, 0.1), (SizedTokens(),), "none", unit=PER_TOKEN)


def domain_mixture(folder: Path) -> Task:
    """Five validation sets of every mixture of five corpora, at four sizes."""
    read = pd.read_csv(folder / "domain_mixture.csv")
    size = read["group"].map(SIZES)
    runs = _scaled(size, pd.Series(TOKENS, read.index), read["split"]).assign(cost=1.0)
    for number in range(1, 6):
        runs[f"loss_d{number}"] = read[f"loss_domain_{number}"]
        runs[f"{SHARE}d{number}"] = read[f"proportion_domain_{number}"]
    return Task("domain_mixture", runs, (0.2, 0.35, 0.5), (Mixing(), Additive()), "partial")


def _scaled(size: pd.Series, tokens: pd.Series, split: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"size": size, "tokens": tokens, "cost": FLOPS * size * tokens, "held": split == "test"})


TASKS = {task.__name__: task for task in (data_constrained, domain_mixture, farseer)}

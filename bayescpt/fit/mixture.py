"""Fits of one table under several models, weighted: what they say together where no single law is known to be right.

A mixture answers what a fit answers (:mod:`bayescpt.ask.each`): each member is asked, and of its answer as many draws
are kept as its weight says. The draws of a member are chosen once, so that answers stay joint over points, domains and
questions. It keeps to one self-contained netCDF file with the members as sub-trees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Int

from bayescpt.data.table import Table
from bayescpt.fit.checks import Check
from bayescpt.fit.fit import (
    FORMAT,
    KIND,
    LAPLACE,
    METHODS,
    MIXTURE,
    PRIOR,
    UNREADABLE,
    Fit,
    read_tree,
    versions,
    write_tree,
)
from bayescpt.fit.intact import damaged, faults_of_mixture, names_of, seed_of, weights_of

STATED = "stated"
TABLE = "comparison"


@dataclass(frozen=True)
class Mixture:
    """Fits of one table with weights that sum to 1.

    Args:
        members: fits by name.
        weights: by the same names.
        seed: of the choice of draws.
        made: where the weights come from, in words.
        comparison: the table that they come from (:func:`bayescpt.fit.compare.comparison`); models that got no weight
            worth a draw are in it and not among the members.

    Raises ValueError where the fits are not of one table, or the weights are not theirs or no weights.

    Examples:
        >>> from bayescpt import Mixture, SamplerSettings, fit, ratio_under_budget, summary
        >>> other = fit(table, method="laplace", seed=1, settings=SamplerSettings(chains=1, draws=200))
        >>> mixture = Mixture({"one": fitted, "other": other}, {"one": 0.75, "other": 0.25})
        >>> answer = ratio_under_budget(mixture, "cpp", size=590720, tokens=204800, max_forgetting=0.05)
        >>> summary(answer)["weights"]
        {'one': 0.75, 'other': 0.25}
    """

    members: Mapping[str, Fit]
    weights: Mapping[str, float]
    seed: int = 0
    made: str = STATED
    comparison: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        if not self.members or set(self.members) != set(self.weights):
            raise ValueError(
                f"expected one weight for each of the members, at least one of them; got members "
                f"{', '.join(self.members) or 'none'} and weights of {', '.join(self.weights) or 'none'}"
            )
        values = np.array(list(self.weights.values()))
        if not ((values >= 0).all() and abs(values.sum() - 1) < 1e-6):
            told = ", ".join(f"{name} {weight:g}" for name, weight in self.weights.items())
            raise ValueError(f"expected weights of at least 0 that sum to 1, got {told}")
        if len({fit.table.digest for fit in self.members.values()}) > 1:
            raise ValueError("the fits are of different rows, so that their answers cannot be averaged: fit one table")

    @property
    def table(self) -> Table:
        """The rows that all members were fitted to."""
        return next(iter(self.members.values())).table

    @property
    def method(self) -> str:
        """How the draws were made: ``laplace`` if only those of one member were."""
        methods = [fit.method for fit in self.members.values()]
        return LAPLACE if LAPLACE in methods else methods[0]

    @property
    def checks(self) -> tuple[Check, ...]:
        """Those of all members."""
        return tuple(
            replace(check, name=f"{name}: {check.name}") for name, fit in self.members.items() for check in fit.checks
        )

    @property
    def passed(self) -> bool:
        """Whether every check of every member passed."""
        return all(fit.passed for fit in self.members.values())

    @property
    def accepted(self) -> str | None:
        """Why members that failed their checks may answer all the same."""
        return next((fit.accepted for fit in self.members.values() if fit.accepted is not None), None)

    def accept(self, reason: str) -> Mixture:
        """The same mixture, allowed to answer although members failed checks; the reason goes with every answer."""
        return replace(
            self, members={name: fit if fit.passed else fit.accept(reason) for name, fit in self.members.items()}
        )

    def thinned(self, draws: int) -> Mixture:
        """The same mixture of thinned members, see :meth:`bayescpt.fit.Fit.thinned`."""
        return replace(self, members={name: fit.thinned(draws) for name, fit in self.members.items()})

    @property
    def size(self) -> int:
        """Number of draws: that of the smallest member, so that no draw of any is used twice."""
        return min(fit.size for fit in self.members.values())

    def rng(self, *labels: str) -> np.random.Generator:
        """Random numbers that depend on the seed and on ``labels`` alone."""
        return np.random.default_rng([self.seed, *"\x1f".join(labels).encode()])

    @cached_property
    def chosen(self) -> dict[str, Int[np.ndarray, " draw"]]:
        """Which draws of every member count, in order; their numbers are to each other as the weights.

        Whole numbers by the method of the largest remainder. The only member takes all its draws.
        """
        exact = np.array([self.weights[name] for name in self.members]) * self.size
        counts = np.floor(exact).astype(int)
        for place in np.argsort(counts - exact, kind="stable")[: self.size - counts.sum()]:
            counts[place] += 1
        found = {}
        for place, (name, fit) in enumerate(self.members.items()):
            rng = np.random.default_rng([self.seed, place])
            found[name] = np.sort(rng.choice(fit.size, counts[place], replace=False))
        return found

    def save(self, path: str | Path) -> None:
        """Write everything to one netCDF file, atomically."""
        tree = xr.DataTree()
        tree.attrs = {
            "bayescpt_format": FORMAT,
            KIND: MIXTURE,
            "members": json.dumps(list(self.members)),
            "weights": json.dumps([self.weights[name] for name in self.members]),
            "seed": self.seed,
            "made": self.made,
            "versions": versions(),
        }
        for place, fit in enumerate(self.members.values()):
            tree[f"member_{place}"] = fit.packed()
        if self.comparison is not None:
            columns = {str(name): ("model_of_row", values.to_numpy()) for name, values in self.comparison.items()}
            columns["model"] = ("model_of_row", self.comparison["model"].to_numpy(dtype=object))
            tree[TABLE] = xr.DataTree(xr.Dataset(columns, attrs={"columns": json.dumps(list(columns))}))
        write_tree(tree, path)

    @classmethod
    def load(cls, path: str | Path) -> Mixture:
        """Read a mixture back. Raises ValueError where the file holds none or lacks something, or a member cannot be
        read."""
        tree = read_tree(path)
        if tree.attrs.get(KIND) != MIXTURE:
            raise ValueError(f"{path} holds one fit, not a mixture: read it with bayescpt.load")
        if faults := faults_of_mixture(tree, TABLE, (*METHODS, PRIOR)):
            raise ValueError(damaged(path, faults))
        names = names_of(tree.attrs["members"])
        comparison = None
        if TABLE in tree.children:
            columns = tree[TABLE].to_dataset()
            order = json.loads(columns.attrs["columns"])
            comparison = pd.DataFrame({name: columns[name].values for name in order})
        return cls(
            # a copy has no parent: the member is a tree of its own again
            members={name: Fit.unpacked(tree.children[f"member_{i}"].copy(), path) for i, name in enumerate(names)},
            weights=dict(zip(names, weights_of(tree.attrs["weights"]), strict=True)),
            seed=seed_of(tree.attrs["seed"]),
            made=str(tree.attrs["made"]),
            comparison=comparison,
        )


def load(path: str | Path) -> Fit | Mixture:
    """What a file of ours holds: a fit or a mixture of fits.

    Raises ValueError where it is no such file, or of another version.

    Examples:
        >>> from bayescpt import load
        >>> fitted.save("fit.nc")
        >>> type(load("fit.nc")).__name__
        'Fit'
    """
    return Mixture.load(path) if _holds_mixture(path) else Fit.load(path)


def _holds_mixture(path: str | Path) -> bool:
    """Whether a file says so; one that cannot be read says nothing."""
    try:
        with xr.open_dataset(path, engine="h5netcdf") as root:
            return root.attrs.get(KIND) == MIXTURE
    except UNREADABLE:
        return False

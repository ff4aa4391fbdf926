"""A fit: model, data and draws in one object and one self-contained file. Draws leave it only through the gate."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from bayescpt.data.files import atomic_path
from bayescpt.data.runs import trained_domains
from bayescpt.data.table import Table
from bayescpt.fit.checks import Check, UnreliableFit
from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.intact import checks_of, damaged, digest_of_draws, faults_of_fit, faults_of_names, members_of, seed_of
from bayescpt.fit.tree import with_densities
from bayescpt.laws import LAWS, Reference
from bayescpt.model.base import base_loss_draws
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.model.layout import BASE_SHARE
from bayescpt.model.model import Model
from bayescpt.model.noise import NOISES
from bayescpt.schema import TARGETS, Target

FORMAT = 4
KIND, MIXTURE = "bayescpt_kind", "mixture"
"""Attribute of a file that does not hold one fit, and its value where it holds several."""
NUTS, LAPLACE, PRIOR = "nuts", "laplace", "prior"
METHODS = (NUTS, LAPLACE)
UNREADABLE = (OSError, KeyError, ValueError, RuntimeError)
"""What reading a damaged file raises, by the part that is damaged."""
PACKAGES = ("bayescpt", "jax", "numpyro", "arviz-base", "numpy", "xarray")


class Draws(NamedTuple):
    """Everything about one domain, one row per posterior draw (chains joined). General first, domain second."""

    theta: dict[str, Float[np.ndarray, "target draw"]]
    base_effects: Float[np.ndarray, "target base end draw"]
    """of the table's bases, in the order of their names, at the first and the last checkpoint; NaN where the domain has
    no rows of that base"""
    base_sd: Float[np.ndarray, "target draw"]
    """of this domain"""
    run_sd: Float[np.ndarray, "target draw"]
    noise_sd: Float[np.ndarray, "target draw"]
    noise_memory: Float[np.ndarray, "target draw"]
    noise_df: Float[np.ndarray, "target draw"]
    """infinite for normal noise"""
    noise_share_exponent: Float[np.ndarray, "target draw"]
    noise_early: Float[np.ndarray, "target draw"]


@dataclass(frozen=True)
class Fit:
    """Posterior (or prior) draws of a model on a table.

    ``tree`` is an ArviZ DataTree: posterior, sample_stats, log_likelihood, observed_data, rows, each with named
    coordinates.

    Examples:
        >>> fitted.model.law.name, fitted.table.domains, fitted.size
        ('memory', ('cpp', 'metrics', 'python'), 200)
        >>> fitted.posterior["run_sd"].dims
        ('chain', 'draw', 'target')
    """

    model: Model
    table: Table
    reference: Reference
    tree: xr.DataTree
    checks: tuple[Check, ...]
    seed: int
    method: str = NUTS
    """how the draws were made: ``nuts``, ``laplace`` or ``prior``"""
    accepted: str | None = None
    """why a fit that failed its checks may answer all the same"""

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def accept(self, reason: str) -> Fit:
        """The same fit, allowed to answer although checks failed; the reason goes with every answer.

        Raises ValueError where no reason is given.
        """
        if not reason.strip():
            raise ValueError("a fit that failed its checks is accepted for a reason; none was given")
        return replace(self, accepted=reason)

    @cached_property
    def posterior(self) -> xr.Dataset:
        """The posterior group."""
        return self.tree["posterior"].to_dataset()

    @cached_property
    def told(self) -> xr.DataTree:
        """The tree with log likelihood by run and log prior by part, which a quick look leaves out."""
        if self.method != LAPLACE or "log_prior" in self.tree.children:
            return self.tree
        return with_densities(self.model, self.table, self.reference, self.tree)

    @property
    def size(self) -> int:
        """Number of draws, all chains together."""
        return int(self.posterior.sizes["chain"] * self.posterior.sizes["draw"])

    def thinned(self, draws: int) -> Fit:
        """The same fit with every n-th draw of each chain, so that about ``draws`` are left; itself if it has no more.

        For questions of many places, which need covariances and not tails. It does not know its sampler's statistics.
        Raises ValueError where no draw is to be left.
        """
        if draws < 1:
            raise ValueError(f"expected at least one draw to be left, got {draws}")
        step = self.size // draws
        if step <= 1:
            return self
        fewer = self.posterior.isel(draw=slice(None, None, step))
        return replace(self, tree=xr.DataTree.from_dict({"posterior": fewer}))

    @cached_property
    def _drawn(self) -> dict[str, Draws]:
        return {}

    def draws(self, domain: str) -> Draws:
        """Draws for ``domain``; for one without training rows in the table, draws of a new domain from the population.

        Raises UnreliableFit where a check failed and the fit was not accepted.

        Examples:
            >>> fitted.draws("cpp").noise_sd.shape
            (2, 200)
            >>> fitted.draws("a new domain").noise_sd.shape
            (2, 200)
        """
        if not self.passed and self.accepted is None:
            raise UnreliableFit(self.checks)
        if domain not in self._drawn:
            self._drawn[domain] = self._draws_of(domain)
        return self._drawn[domain]

    def _draws_of(self, domain: str) -> Draws:
        posterior = self.posterior.stack(sample=("chain", "draw"))

        def each(name: str) -> np.ndarray:
            return posterior[name].transpose("target", ..., "sample").values

        typical = each("noise_typical")
        if domain in trained_domains(self.table) or self._has_early_statistics(domain):
            chosen = posterior.sel(domain=domain)
            coordinates = chosen["coordinates"].transpose("target", "sample", "coordinate").values
            noise_sd = chosen["noise_sd"].transpose("target", "sample").values
            # a table that was read back has no names without rows
            of_bases = chosen["base_effect"].sel(base=list(self.table.bases))
            effects = of_bases.transpose("target", "base", "end", "sample").values
        else:
            coordinates = self._new_domain(domain)
            rng = self.rng("new domain's noise", domain)
            noise_sd = typical * np.exp(self.model.noise.group_spread * rng.standard_normal(typical.shape))
            effects = np.full((len(TARGETS), len(self.table.bases), 2, self.size), np.nan)
        theta = _natural(self.model, jnp.asarray(coordinates), self.reference)
        return Draws(
            theta={name: np.asarray(values) for name, values in theta.items()},
            base_effects=effects,
            base_sd=each("base_sd") * noise_sd / typical,
            run_sd=each("run_sd"),
            noise_sd=noise_sd,
            noise_memory=each("noise_memory"),
            noise_df=each("noise_df") if "noise_df" in posterior else np.full(typical.shape, np.inf),
            noise_share_exponent=each("noise_share_exponent"),
            noise_early=each("noise_early"),
        )

    def _has_early_statistics(self, domain: str) -> bool:
        """Whether the draws of a domain know of it although it has no training rows: from how its bases score there."""
        return self.model.hierarchy.early and domain in self.table.domains

    def _new_domain(self, domain: str) -> Float[np.ndarray, "target draw coordinate"]:
        """Coordinates of a domain that the table does not have: drawn from the population of every draw."""
        law, hierarchy = self.model.law, self.model.hierarchy
        if hierarchy.common:
            chosen = self.posterior.stack(sample=("chain", "draw"))["coordinates"].isel(domain=0)
            return chosen.transpose("target", "sample", "coordinate").values
        posterior = self.posterior.stack(sample=("chain", "draw"))
        sites = {name: jnp.asarray(posterior[name].transpose("sample", ...).values) for name in hierarchy.sites}
        sites = hierarchy.newcomer(sites, self.rng("new domain's population", domain))

        def one(sites: dict[str, Array], score: Array) -> Array:
            population = hierarchy.population(law, sites, 1)
            return population.mean[:, 0] + jnp.einsum("tij,tj->ti", population.root, score)

        scores = self.rng("new domain", domain).standard_normal((self.size, len(TARGETS), len(law.coordinates)))
        drawn = quick_jit(jax.vmap(one))(sites, jnp.asarray(scores))
        return np.moveaxis(np.asarray(drawn), 0, 1)

    def base_loss(self, domain: str, size: float, target: Target) -> Float[np.ndarray, " draw"]:
        """Loss of the base model of this size on the target's validation set, one value a draw.

        Where the table has one base of that size this is its measured loss, the same for every draw; elsewhere it is
        drawn from the power law through the measured ones (see model/base.py), with one score for all sizes, so that
        near ones agree.
        """
        return base_loss_draws(self.table, domain, size, target, self.size, self.rng("base", domain, target))

    def rng(self, *labels: str) -> np.random.Generator:
        """Random numbers that depend on the fit's seed and on ``labels`` alone, so that answers repeat."""
        return np.random.default_rng([self.seed, *"\x1f".join(labels).encode()])

    def packed(self) -> xr.DataTree:
        """All that the fit is, rows and model included: what its file holds."""
        tree = self.tree.copy()
        frame = self.table.frame()
        tree["rows"] = xr.DataTree(xr.Dataset({name: ("row", _plain(frame[name])) for name in frame.columns}))
        tree.attrs |= {
            "bayescpt_format": FORMAT,
            "law": self.model.law.name,
            "model": self.model.describe(),
            "pooling": self.model.hierarchy.name,
            "noise": self.model.noise.name,
            "use_se": int(self.model.use_se),
            "method": self.method,
            "reference": json.dumps(self.reference._asdict()),
            "digest": self.table.digest,
            "digest_of_draws": digest_of_draws(tree),
            "seed": self.seed,
            "checks": json.dumps([vars(check) for check in self.checks]),
            "versions": versions(),
        }
        return tree

    def save(self, path: str | Path) -> None:
        """Write everything to one netCDF file, atomically."""
        write_tree(self.packed(), path)

    @classmethod
    def load(cls, path: str | Path) -> Fit:
        """Read a fit back. Raises ValueError where the file is no fit, has another format, or an unknown law.

        Examples:
            >>> from bayescpt import Fit
            >>> fitted.save("fit.nc")
            >>> Fit.load("fit.nc").table.digest == fitted.table.digest
            True
        """
        tree = read_tree(path)
        if tree.attrs.get(KIND) == MIXTURE:
            names = members_of(tree.attrs)
            raise ValueError(f"{path} holds a mixture of fits ({names}), not one of them: read it with bayescpt.load")
        return cls.unpacked(tree, path)

    @classmethod
    def unpacked(cls, tree: xr.DataTree, path: str | Path) -> Fit:
        """The fit that :meth:`packed` made this tree of; ``path`` is where it came from, for errors.

        Raises ValueError where something is missing, its parts are unknown or of another version, or its rows are not
        those fitted.
        """
        if faults := faults_of_fit(tree, (*METHODS, PRIOR)):
            raise ValueError(damaged(path, faults))
        if tree.attrs["digest_of_draws"] != digest_of_draws(tree):
            raise ValueError(f"{path}: its draws are not those that were written; the file was changed or is damaged")
        for part, known in (("law", LAWS), ("pooling", HIERARCHIES), ("noise", NOISES)):
            if tree.attrs[part] not in known:
                raise ValueError(
                    f"{path} was fitted with the {part} '{tree.attrs[part]}'; known are {', '.join(known)}"
                )
        columns = tree["rows"].to_dataset()
        try:
            frame = pd.DataFrame({str(name): values.values for name, values in columns.data_vars.items()})
            table = Table.from_frame(frame)
        except ValueError as error:
            raise ValueError(damaged(path, [f"its rows are no table ({' '.join(str(error).split())})"])) from error
        if table.digest != tree.attrs["digest"]:
            raise ValueError(f"{path}: its rows do not match the digest they were fitted under; the file was changed")
        parts = (LAWS[tree.attrs["law"]], HIERARCHIES[tree.attrs["pooling"]], NOISES[tree.attrs["noise"]])
        model = Model(*parts, use_se=bool(tree.attrs.get("use_se", False))).on(table)
        if tree.attrs["model"] != model.describe():
            raise ValueError(f"{path} was fitted with another version of this model: fit the rows again")
        names: dict[str, tuple[str, ...]] = {"target": TARGETS, "domain": table.domains, "base": table.bases}
        names["coordinate"] = tuple(one.name for one in model.law.coordinates)
        if faults := faults_of_names(tree["posterior"].to_dataset(), names):
            raise ValueError(damaged(path, faults))
        del tree["rows"]
        return cls(
            model=model,
            table=table,
            reference=Reference(**json.loads(tree.attrs["reference"])),
            tree=tree,
            checks=checks_of(tree.attrs["checks"]),
            seed=seed_of(tree.attrs["seed"]),
            method=str(tree.attrs["method"]),
        )


def versions() -> str:
    """What a file was made with, as JSON."""
    return json.dumps({name: version(name) for name in PACKAGES} | {"python": platform.python_version()})


def write_tree(tree: xr.DataTree, path: str | Path) -> None:
    """Write a tree to one netCDF file, atomically."""
    with atomic_path(Path(path)) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf")


def read_tree(path: str | Path) -> xr.DataTree:
    """The tree in a file. Raises ValueError where it is none of ours, or of another format."""
    path = Path(path)
    try:
        there, what = path.is_file(), "it is a folder" if path.is_dir() else "there is no such file"
    except OSError as error:
        there, what = False, f"it cannot be looked at: {error.strerror}"
    if not there:
        raise ValueError(f"no fit at {path} ({what}): expected a file written by `bayescpt fit ROWS -o FIT.nc`")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except UNREADABLE as error:
        raise ValueError(
            f"{path} cannot be read as a fit ({error}): write one with `bayescpt fit ROWS -o FIT.nc`"
        ) from error
    if tree.attrs.get("bayescpt_format") != FORMAT:
        found = tree.attrs.get("bayescpt_format", "none")
        raise ValueError(f"{path} has fit format {found}, this version reads {FORMAT}: fit the rows again")
    return tree


@partial(quick_jit, static_argnums=0)
def _natural(
    model: Model, coordinates: Float[Array, "target draw coordinate"], reference: Reference
) -> dict[str, Float[Array, "target draw"]]:
    def one(values: Array, base_share: Array) -> dict[str, Array]:
        return model.law.natural(values, reference, base_share)

    return jax.vmap(jax.vmap(one, in_axes=(0, None)))(coordinates, jnp.asarray(BASE_SHARE))


def _plain(column: pd.Series) -> np.ndarray:
    """A column as netCDF stores it: numbers as they are, text as objects."""
    return (
        column.to_numpy(dtype=float)
        if pd.api.types.is_numeric_dtype(column)
        else column.astype(str).to_numpy(dtype=object)
    )

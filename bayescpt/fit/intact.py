"""Whether a file that was read holds all that a fit or a mixture needs: everything that is missing is named at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayescpt.fit.checks import Check
from bayescpt.laws import Reference
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.model.noise import NOISES

ATTRIBUTES = ("law", "model", "pooling", "noise", "method", "reference", "digest", "digest_of_draws", "seed", "checks")
MIXTURE_ATTRIBUTES = ("members", "weights", "seed", "made")
DRAWN = {
    "coordinates": ("target", "domain", "coordinate"),
    "base_effect": ("target", "domain", "base", "end"),
    "base_sd": ("target",),
    "run_sd": ("target",),
    "noise_typical": ("target",),
    "noise_sd": ("target", "domain"),
    "noise_memory": ("target",),
    "noise_share_exponent": ("target",),
    "noise_early": ("target",),
}
"""Variables of the posterior that every answer reads, with what they run over besides chains and draws."""
LABELLED = ("target", "domain", "coordinate", "base")
"""Dimensions whose values are names that answers are looked up by."""


def digest_of_draws(tree: xr.DataTree) -> str:
    """Digest of every number of a fit's posterior: a file that lost some of them is not taken for whole."""
    digest = hashlib.sha256()
    posterior = tree["posterior"].to_dataset()
    for name in sorted(map(str, posterior.data_vars)):
        values = np.ascontiguousarray(posterior[name].values, dtype="<f8")
        digest.update(f"{name}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def damaged(path: str | Path, faults: Iterable[str]) -> str:
    """What is said of a file of ours that lacks something, or that another program wrote."""
    return f"{path} is damaged or was not written by bayescpt: {'; '.join(faults)}; fit again"


def faults_of_fit(tree: xr.DataTree, methods: Iterable[str]) -> list[str]:
    """What a fit lacks, or has in another form than it was written in; parts that are unknown are not looked at.

    Args:
        methods: names of the ways to draw.
    """
    attrs, faults = tree.attrs, _missing(tree.attrs, ATTRIBUTES)
    for name, read in (("reference", _reference), ("checks", checks_of), ("seed", seed_of)):
        faults += _unreadable(attrs, name, read)
    if "method" in attrs and attrs["method"] not in (known := tuple(methods)):
        faults.append(f"the method '{attrs['method']}' is unknown, known are {', '.join(known)}")
    if "rows" not in tree.children:
        faults.append("no group 'rows'")
    if "posterior" not in tree.children:
        return [*faults, "no group 'posterior'"]
    pooling = HIERARCHIES.get(attrs.get("pooling", ""))
    noise = NOISES.get(attrs.get("noise", ""))
    sites = [*(pooling.sites if pooling else ()), *(["noise_df"] if noise and noise.heavy else [])]
    return faults + _faults_of_posterior(tree["posterior"].to_dataset(), sites)


def _faults_of_posterior(posterior: xr.Dataset, sites: Iterable[str]) -> list[str]:
    absent = [name for name in (*DRAWN, *sites) if name not in posterior]
    faults = [f"the posterior has no {', '.join(absent)}"] if absent else []
    for name, over in DRAWN.items():
        wanted = {"chain", "draw", *over}
        if name not in absent and set(map(str, posterior[name].dims)) != wanted:
            found = ", ".join(map(str, posterior[name].dims)) or "nothing"
            faults.append(f"the posterior's {name} runs over {found}, expected {', '.join(('chain', 'draw', *over))}")
    unnamed = [name for name in LABELLED if name in posterior.dims and name not in posterior.coords]
    return faults + ([f"the posterior has no names of {', '.join(unnamed)}"] if unnamed else [])


def faults_of_names(posterior: xr.Dataset, wanted: Mapping[str, Iterable[str]]) -> list[str]:
    """Names of domains, bases, coordinates and targets that the posterior lacks, by dimension."""
    faults = []
    for dimension, names in wanted.items():
        known = set(map(str, posterior[dimension].values))
        if absent := [name for name in names if name not in known]:
            faults.append(f"the posterior has no {dimension} {', '.join(absent)}")
    return faults


def faults_of_mixture(tree: xr.DataTree, table: str, methods: Iterable[str]) -> list[str]:
    """What a mixture lacks, its members included.

    Args:
        table: name of the group with the comparison that the weights come from, if there is one.
        methods: names of the ways to draw.
    """
    attrs, faults = tree.attrs, _missing(tree.attrs, MIXTURE_ATTRIBUTES)
    for name, read in (("members", names_of), ("weights", weights_of), ("seed", seed_of)):
        faults += _unreadable(attrs, name, read)
    if table in tree.children:
        columns = tree[table].to_dataset()
        try:
            absent = [name for name in names_of(columns.attrs["columns"]) if name not in columns]
            faults += [f"the {table} has no column {', '.join(absent)}"] if absent else []
        except (KeyError, TypeError, ValueError):
            faults.append(f"the {table} does not tell its columns")
    if "members" not in attrs or _unreadable(attrs, "members", names_of):
        return faults
    names = names_of(attrs["members"])
    if not faults and len(weights_of(attrs["weights"])) != len(names):
        faults.append(f"weights of {len(names)} members expected, got {attrs['weights']}")
    for place, name in enumerate(names):
        if (group := f"member_{place}") not in tree.children:
            faults.append(f"no group '{group}', member {name}")
        else:
            faults += [f"member {name}: {one}" for one in faults_of_fit(tree.children[group], methods)]
    return faults


def _missing(attrs: Mapping[Any, Any], wanted: Iterable[str]) -> list[str]:
    absent = [name for name in wanted if name not in attrs]
    return [f"no attribute {', '.join(absent)}"] if absent else []


def _unreadable(attrs: Mapping[Any, Any], name: str, read: Callable[[Any], Any]) -> list[str]:
    """The fault of an attribute that is there and cannot be read."""
    if name not in attrs:
        return []
    try:
        read(attrs[name])
    except (TypeError, ValueError):
        return [f"the attribute {name} cannot be read, got {str(attrs[name])[:40]!r}"]
    return []


def _reference(text: Any) -> Reference:
    found = Reference(**json.loads(text))
    if not all(value is None or isinstance(value, int | float) for value in found):
        raise ValueError("expected numbers")
    return found


def checks_of(text: Any) -> tuple[Check, ...]:
    """The checks of a fit from the text of its file. Raises TypeError or ValueError where it holds none."""
    found = tuple(Check(**fields) for fields in json.loads(text))
    if not all(isinstance(one.passed, bool) and isinstance(one.name, str) for one in found):
        raise ValueError("expected names, and true or false")
    return found


def seed_of(value: Any) -> int:
    """A seed from a file. Raises TypeError or ValueError unless it is a whole number of at least 0."""
    seed = int(value)
    if seed < 0 or seed != value:
        raise ValueError("expected a whole number of at least 0")
    return seed


def names_of(text: Any) -> list[str]:
    """Names from the text of a file. Raises TypeError or ValueError where it is no list of them."""
    return _list(text, str)


def members_of(attrs: Mapping[Any, Any]) -> str:
    """Names of the members of a mixture in words, also where its file does not tell them."""
    try:
        return ", ".join(names_of(attrs["members"]))
    except (KeyError, TypeError, ValueError):
        return "names unknown"


def weights_of(text: Any) -> list[float]:
    """Weights from the text of a file. Raises TypeError or ValueError where it is no list of numbers."""
    return _list(text, int | float)


def _list(text: Any, kind: Any) -> list[Any]:
    found = json.loads(text)
    if not (isinstance(found, list) and all(isinstance(one, kind) for one in found)):
        raise ValueError("expected a list")
    return found

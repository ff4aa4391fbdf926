"""Questions asked of a mixture: a question is written for one fit, and a mixture asks it of each of its members."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec

import numpy as np
import xarray as xr

from bayescpt.fit import Fit, Mixture

P = ParamSpec("P")


def of_each(
    question: Callable[Concatenate[Fit, P], xr.Dataset],
) -> Callable[Concatenate[Fit | Mixture, P], xr.Dataset]:
    """Make a question to one fit, answered by a Dataset over ``sample``, one that a mixture can be asked too."""

    @wraps(question)
    def ask(fit: Fit | Mixture, *args: P.args, **kwargs: P.kwargs) -> xr.Dataset:
        if isinstance(fit, Fit):
            return question(fit, *args, **kwargs)
        counted = {name: member for name, member in fit.members.items() if len(fit.chosen[name])}
        return join(fit, {name: question(member, *args, **kwargs) for name, member in counted.items()})

    return ask


def join(mixture: Mixture, answers: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """The answers of members as one: of each those draws that count, marked by the coordinate ``member``.

    Attributes that all share stay, notes are put together, and ``weights`` and ``weights_by`` say what was averaged.
    """
    parts = []
    for name, answer in answers.items():
        draws = answer.isel(sample=mixture.chosen[name])
        parts.append(draws.assign_coords(member=("sample", np.full(draws.sizes["sample"], name))))
    joined = xr.concat(
        parts,
        "sample",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="drop_conflicts",
    )
    notes = dict.fromkeys(str(answer.attrs["note"]) for answer in answers.values() if "note" in answer.attrs)
    if notes:
        joined.attrs["note"] = "; ".join(notes)
    joined.attrs |= {"weights": dict(mixture.weights), "weights_by": mixture.made}
    return joined

"""What a candidate would show: its measured losses at the end, by posterior draw.

A draw of the parameters and a draw of the run's noise make one possible measurement of both losses. Correlated with
what a decision hangs on, over draws, it says how much the run would teach: see design/acquisition.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from bayescpt.ask.losses import Losses
from bayescpt.design.acquisition import Seen
from bayescpt.design.branches import completed
from bayescpt.fit import Fit, Mixture
from bayescpt.schema import TARGETS

PHASE = ("phase_part", "phase_ratio")
"""What is stated of a branch."""


def measured(fit: Fit | Mixture, candidates: pd.DataFrame, draws: Int[np.ndarray, " picked"] | None = None) -> Seen:
    """Possible measurements (candidate, target, draw) of the general and the domain loss at the end of every run.

    Args:
        candidates: columns domain, size, ratio, tokens, seed, phase_part, phase_ratio (design/candidates.py).
        draws: positions of the draws that are looked at; all without.

    Noise is that of a new run, its deviation and what wanders along it: normal with their standard deviation, of which
    alone acquisitions know. Two candidates share their parameters, never their noise. What the law misses at a base
    without rows of a domain is part of the draws.

    Raises ValueError where a loss is no number.
    """
    parts = [_of_member(member, candidates, own, draws is not None) for member, own in _members(fit, draws)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _members(
    fit: Fit | Mixture, draws: Int[np.ndarray, " picked"] | None
) -> Iterator[tuple[Fit, Int[np.ndarray, " own"]]]:
    """Every fit that counts, and which of its draws are meant."""
    chosen = {"": np.arange(fit.size)} if isinstance(fit, Fit) else fit.chosen
    begin = 0
    for name, all_ in chosen.items():
        own = all_ if draws is None else all_[draws[(draws >= begin) & (draws < begin + len(all_))] - begin]
        begin += len(all_)
        if len(own):
            yield fit if isinstance(fit, Fit) else fit.members[name], own


def _of_member(fit: Fit, candidates: pd.DataFrame, draws: Int[np.ndarray, " own"], brief: bool) -> Seen:
    found = np.empty((len(candidates), len(TARGETS), len(draws)))
    places = completed(candidates).reset_index(drop=True)
    names = ["domain", "size", "tokens", *PHASE]
    for (domain, size, tokens, *phase), group in places.groupby(names, sort=False):
        stated = dict(zip(PHASE, phase, strict=True)) if phase[0] > 0 else {}
        losses = Losses(fit, str(domain), float(size), float(tokens), None, stated).picking(draws)
        where = group.index.to_numpy()
        # runs of other seeds expect the same
        ratios, which = np.unique(group["ratio"].to_numpy(float), return_inverse=True)
        # a power of two of ratios, so that few shapes are compiled
        ratio = np.pad(ratios, (0, 2 ** (len(ratios) - 1).bit_length() - len(ratios)), "edge")[:, None]
        score = _scores(fit, group, draws, brief)
        for index, target in enumerate(TARGETS):
            mean, sd = losses.at(target, ratio)[which], losses.run_sd(target, ratio)[which]
            found[where, index] = mean + sd * score[:, index]
            bad = ~np.isfinite(found[where, index]).all(axis=1)
            if bad.any():
                run = places.iloc[where[bad][0]]
                raise ValueError(
                    f"{target}: some draws are no number for a run on {domain} at ratio {run['ratio']}, size {size:g}, "
                    f"tokens {tokens:g}: the law does not reach there, leave such runs out"
                )
    return found


def _scores(
    fit: Fit, runs: pd.DataFrame, draws: Int[np.ndarray, " own"], brief: bool
) -> Float[np.ndarray, "run target own"]:
    """Normal scores of the runs' noise: a run is the same run wherever it is asked for, pending, on offer or chosen.

    A ``brief`` look at thousands of runs does without: their noise is like it.
    """
    first = runs.iloc[0]
    setting = [str(first["domain"]), repr(float(first["size"])), repr(float(first["tokens"]))]
    setting += [repr(float(first[name])) for name in PHASE if first["phase_part"] > 0]
    if brief:
        return fit.rng("looked at", *setting).standard_normal((len(runs), len(TARGETS), len(draws)))
    each = zip(runs["ratio"], runs["seed"], strict=True)
    shape = len(TARGETS), fit.size
    scores = [fit.rng("measured", *setting, repr(float(r)), str(s)).standard_normal(shape)[:, draws] for r, s in each]
    return np.stack(scores)

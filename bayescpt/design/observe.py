"""What a candidate would show: its measured losses at the end, by posterior draw.

A draw of the parameters and a draw of the run's noise make one possible measurement of both losses. Correlated with
what a decision hangs on, over draws, it says how much the run would teach: see design/acquisition.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayescpt.ask.losses import Losses
from bayescpt.design.acquisition import Seen
from bayescpt.fit import Fit, Mixture
from bayescpt.schema import TARGETS


def measured(fit: Fit | Mixture, candidates: pd.DataFrame) -> Seen:
    """Possible measurements (candidate, target, draw) of the general and the domain loss at the end of every run.

    Args:
        candidates: columns domain, size, ratio, tokens, seed (design/candidates.py).

    Noise is that of a new run, its deviation and what wanders along it: normal with their standard deviation, of which
    alone acquisitions know. Two candidates share their parameters, never their noise. What the law misses at a base
    without rows of a domain is part of the draws.
    """
    if isinstance(fit, Mixture):
        counted = {name: member for name, member in fit.members.items() if len(fit.chosen[name])}
        parts = [measured(member, candidates)[..., fit.chosen[name]] for name, member in counted.items()]
        return np.concatenate(parts, axis=-1)
    found = np.empty((len(candidates), len(TARGETS), fit.size))
    places = candidates.reset_index(drop=True)
    for (domain, size, tokens), group in places.groupby(["domain", "size", "tokens"], sort=False):
        losses = Losses(fit, str(domain), float(size), float(tokens))
        where = group.index.to_numpy()
        # a power of two of ratios, so that few shapes are compiled
        padded = np.pad(np.arange(len(where)), (0, 2 ** (len(where) - 1).bit_length() - len(where)), "edge")
        ratio = group["ratio"].to_numpy(float)[padded][:, None]
        # a run is the same run wherever it is asked for: pending, on offer or chosen
        runs = zip(group["ratio"], group["seed"], strict=True)
        setting = str(domain), repr(float(size)), repr(float(tokens))
        score = np.stack(
            [fit.rng("measured", *setting, repr(float(r)), str(s)).standard_normal((2, fit.size)) for r, s in runs]
        )
        for index, target in enumerate(TARGETS):
            mean, sd = losses.at(target, ratio)[: len(where)], losses.run_sd(target, ratio)[: len(where)]
            found[where, index] = mean + sd * score[:, index]
            bad = ~np.isfinite(found[where, index]).all(axis=1)
            if bad.any():
                run = places.iloc[where[bad][0]]
                raise ValueError(
                    f"{target}: some draws are no number for a run on {domain} at ratio {run['ratio']}, size {size:g}, "
                    f"tokens {tokens:g}: the law does not reach there, leave such runs out"
                )
    return found

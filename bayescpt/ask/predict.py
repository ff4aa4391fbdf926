"""Losses at any point: the expected loss of the law, and the predictive of a new run."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from bayescpt.ask.each import of_each
from bayescpt.ask.losses import Losses
from bayescpt.data.names import fault_of_name
from bayescpt.fit import Fit, Mixture
from bayescpt.model.covariates import STATEMENTS, statements_of
from bayescpt.model.noise import deviation_scale
from bayescpt.schema import SHARE, TARGETS, Target

POINT_COLUMNS = ("domain", "size", "ratio", "tokens", "target")


def check_points(points: pd.DataFrame, known: Iterable[str] = ()) -> None:
    """Raise ValueError naming everything that is wrong with a table of points.

    Args:
        known: domains of the table that they are asked of; a name that is nearly one of them is a fault.
    """
    missing = [name for name in POINT_COLUMNS if name not in points]
    if missing:
        raise ValueError(f"the points have no column {', '.join(missing)}; needed are {', '.join(POINT_COLUMNS)}")
    if points.empty:
        raise ValueError("there are no points: expected at least one row")
    faults = []
    for name, bad, wanted in (
        ("target", ~points["target"].isin(TARGETS), "one of general, domain"),
        ("domain", points["domain"].isna() | (points["domain"].astype(str).str.strip() == ""), "a name"),
        ("size", ~_between(points["size"], 0, np.inf, open_low=True), "a positive, finite number"),
        ("tokens", ~_between(points["tokens"], 0, np.inf, open_low=True), "a positive, finite number"),
        ("ratio", ~_between(points["ratio"], 0, 1), "a number within [0, 1]"),
    ):
        if bad.any():
            rows = ", ".join(str(i + 1) for i in np.flatnonzero(bad)[:8])
            faults.append(f"{name} must be {wanted}: row {rows}{' and more' if bad.sum() > 8 else ''}")
    names = dict.fromkeys(str(name) for name in points["domain"].dropna().unique() if str(name).strip())
    faults += [f"domain: {fault}" for name in names if (fault := fault_of_name(name, known))]
    if faults:
        raise ValueError("; ".join(faults))


def _between(values: pd.Series, low: float, high: float, open_low: bool = False) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    return np.isfinite(numbers) & ((numbers > low) if open_low else (numbers >= low)) & (numbers <= high)


@of_each
def predict(fit: Fit, points: pd.DataFrame) -> xr.Dataset:
    """Expected loss and predictive draws at every point, nats per token.

    Args:
        points: columns domain, size, ratio, tokens, target; a domain outside the table is a new one from the
            population. Where the law has covariates, what may be stated of them (model/covariates) is taken from
            columns of that name; a missing value states nothing. Columns ``share_<source>`` state the mixture, for
            laws over many sources; without them it follows from the ratio. What the law does not look at is refused.

    Returns a Dataset over (sample, point): ``expected`` is the law's loss, ``predictive`` a measured loss of a new
    run, with its run offset and residual. Draws share their parameters across points, so differences of
    ``expected`` between points are honest; every point of ``predictive`` is a new run of its own (under Student noise
    those of one setting and target are outliers together).

    Examples:
        >>> import pandas as pd
        >>> from bayescpt import predict
        >>> points = pd.DataFrame({"ratio": [0.25, 0.5]})
        >>> points = points.assign(domain="cpp", size=1e6, tokens=2e5, target="general")
        >>> drawn = predict(fitted, points)
        >>> dict(drawn.sizes)
        {'sample': 200, 'point': 2}
        >>> scatter = (drawn["predictive"] - drawn["expected"]).std("sample")
        >>> bool((scatter > 0).all())
        True
    """
    check_points(points, fit.table.domains)
    _refuse_unseen(fit, points)
    places = points.reset_index(drop=True)
    told = [name for name in statements_of(fit.model.law) if name in points and name != "shares"]
    expected, predictive = np.empty((len(points), fit.size)), np.empty((len(points), fit.size))
    settings = list(places.groupby(["domain", "size", "tokens", *told], sort=False, dropna=False))

    def answer(setting: tuple[tuple[Any, ...], pd.DataFrame]) -> None:
        (domain, size, tokens, *values), members = setting
        stated = {name: value for name, value in zip(told, values, strict=True) if not pd.isna(value)}
        said = (f"{name}={value!r}" for name, value in stated.items())
        # of these points alone, so that the runs of another call are others
        which = zlib.crc32(np.ascontiguousarray(members["ratio"].to_numpy(dtype=float)).tobytes())
        rng = fit.rng("predict", str(domain), repr(float(size)), repr(float(tokens)), *said, str(which))
        losses = Losses(fit, str(domain), float(size), float(tokens), stated=stated)
        for target, group in members.groupby("target", sort=False):
            where = group.index.to_numpy()
            expected[where], predictive[where] = _drawn(losses, stated, target, group, rng)

    for domain in places["domain"].unique():
        fit.draws(str(domain))  # kept by the fit: once, before threads ask for them
    # arrays and random numbers are computed outside of the interpreter's lock
    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(answer, settings):
            pass
    found = {"expected": expected, "predictive": predictive}
    result = xr.Dataset({name: (("sample", "point"), values.T) for name, values in found.items()})
    for name in result:
        result[name].attrs = {"unit": "nats/token"}
    return result


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _drawn(
    losses: Losses, stated: Mapping[str, Any], target: Target, group: pd.DataFrame, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "point draw"], Float[np.ndarray, "point draw"]]:
    """Expected and predictive losses of points of one setting and target."""
    count = len(group)
    # a power of two of ratios, so that few shapes are compiled
    padded = np.pad(np.arange(count), (0, 2 ** (count - 1).bit_length() - count), "edge")
    ratio = group["ratio"].to_numpy(dtype=float)[padded, None]
    shares = [name for name in map(str, group.columns) if name.startswith(SHARE)]
    mixture = {name.removeprefix(SHARE): group[name].to_numpy(dtype=float)[padded, None] for name in shares}
    mean = losses.stating({**stated, "shares": mixture} if shares else stated).at(target, ratio)[:count]
    index, draws = TARGETS.index(target), losses.draws
    # the deviation of the run and the wandering along it, both normal, are one normal deviation of the row
    deviation = float(deviation_scale(jnp.asarray(losses.progress))) * draws.run_sd[index]
    df = draws.noise_df[index]
    mixing = np.ones_like(df)
    heavy = np.isfinite(df)
    mixing[heavy] = rng.chisquare(df[heavy]) / df[heavy]
    sd = np.sqrt((deviation**2 + draws.noise_sd[index] ** 2) / mixing)
    drawn = rng.standard_normal(mean.shape)
    drawn *= losses.loudness(target, ratio)[:count]
    drawn *= sd
    drawn += mean
    return mean, drawn


def _refuse_unseen(fit: Fit, points: pd.DataFrame) -> None:
    """Raise ValueError where points state what the law of ``fit`` does not look at."""
    seen = statements_of(fit.model.law)
    blind = [name for name in sorted(STATEMENTS) if name in points and name not in seen and points[name].notna().any()]
    shares = [name for name in map(str, points.columns) if name.startswith(SHARE) and points[name].notna().any()]
    # a law that does not see the ratio either is of any mixture
    blind += shares if "shares" not in seen and fit.model.law.uses_share else []
    if blind:
        raise ValueError(
            f"the law '{fit.model.law.name}' does not look at {', '.join(blind)}: leave the column out, or fit a law "
            "that does"
        )


def summarise(fit: Fit | Mixture, points: pd.DataFrame) -> pd.DataFrame:
    """``points`` with mean, sd, q05, q50, q95 of the expected loss and pred_q05, pred_q50, pred_q95 of a new run.

    Examples:
        >>> import pandas as pd
        >>> from bayescpt import summarise
        >>> points = pd.DataFrame({"ratio": [0.25, 0.5]})
        >>> points = points.assign(domain="cpp", size=1e6, tokens=2e5, target="domain")
        >>> said = summarise(fitted, points)
        >>> list(said.columns[-8:])
        ['mean', 'sd', 'q05', 'q50', 'q95', 'pred_q05', 'pred_q50', 'pred_q95']
        >>> said["q50"].round(1).to_list()
        [2.0, 1.7]
    """
    answer = predict(fit, points)
    expected = np.quantile(answer["expected"].values, (0.05, 0.5, 0.95), axis=0)
    predictive = np.quantile(answer["predictive"].values, (0.05, 0.5, 0.95), axis=0)
    # a domain by itself may have draws that no loss is like: what has no mean or spread then says so, as infinity
    with np.errstate(over="ignore", invalid="ignore"):
        columns = {
            "mean": answer["expected"].values.mean(axis=0),
            "sd": answer["expected"].values.std(axis=0, ddof=1),
        }
    columns |= dict(zip(("q05", "q50", "q95"), expected, strict=True))
    columns |= dict(zip(("pred_q05", "pred_q50", "pred_q95"), predictive, strict=True))
    return points.reset_index(drop=True).assign(**columns)

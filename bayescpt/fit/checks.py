"""Checks after sampling: may the draws be believed? Thresholds are data, and every failure says what to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

R_HAT_BELOW = 1.01
ESS_ABOVE = 400
"""Vehtari et al. 2021 (rank-normalised split R-hat, bulk and tail ESS): 400 draws steady the 5 and 95 % quantiles."""

CHECKED = (
    "coordinates",
    "population",
    "spread",
    "loading",
    "learnability",
    "base_sd",
    "run_sd",
    "noise_sd",
    "noise_memory",
    "noise_df",
    "noise_share_exponent",
    "noise_early",
    "noise_typical",
)
"""Law parameters by their coordinates (rank statistics do not change under monotone maps) and hyper-parameters."""
PADDED = ("base_effect", "correlation_root")
"""Of these are checked the entries that are drawn: some are nothing, or fixed."""


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    name: str
    passed: bool
    message: str


class UnreliableFit(ValueError):
    """The draws failed a check, and nobody has accepted that.

    Examples:
        >>> from dataclasses import replace
        >>> from bayescpt.fit import Check, UnreliableFit
        >>> doubtful = replace(fitted, checks=(Check("r_hat", False, "1.2 at beta; wanted below 1.01"),))
        >>> try:
        ...     doubtful.draws("cpp")
        ... except UnreliableFit as error:
        ...     print(error)
        the fit failed its checks, so no answer is given:
          r_hat: 1.2 at beta; wanted below 1.01
        or accept the fit as it is (--accept REASON)
        >>> doubtful.accept("a first look").draws("cpp").noise_sd.shape
        (2, 200)
    """

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self.checks = checks
        lines = [f"  {check.name}: {check.message}" for check in checks if not check.passed]
        super().__init__(
            "the fit failed its checks, so no answer is given:\n"
            + "\n".join(lines)
            + "\nor accept the fit as it is (--accept REASON)"
        )

    def __reduce__(self) -> tuple[type, tuple[tuple[Check, ...]]]:
        return type(self), (self.checks,)


def check_posterior(posterior: xr.Dataset, stats: xr.Dataset) -> tuple[Check, ...]:
    """Divergences, R-hat, bulk and tail effective sample size of every law parameter and hyper-parameter.

    The remedies are in the order in which they help. A value that never moved has no R-hat and fails.
    """
    # a second to import, which a fit that has nothing to check does not pay
    import arviz_stats

    chosen = posterior[[name for name in CHECKED if name in posterior]]
    chosen = chosen.assign({name: _drawn(posterior[name]) for name in PADDED if name in posterior})
    divergent = int(stats["diverging"].sum())
    checks = [
        Check(
            "divergences",
            divergent == 0,
            "none"
            if divergent == 0
            else f"{divergent} of {stats['diverging'].size} draws diverged: raise --target-accept towards 0.99; "
            "if they stay, a coordinate is not identified by these rows (see bayescpt check)",
        )
    ]
    worst = _extreme(arviz_stats.rhat(chosen), largest=True)
    checks.append(_threshold("r_hat", worst, worst.value < R_HAT_BELOW, f"below {R_HAT_BELOW}"))
    for name, method in (("ess_bulk", "bulk"), ("ess_tail", "tail")):
        least = _extreme(arviz_stats.ess(chosen, method=method), largest=False)
        checks.append(_threshold(name, least, least.value > ESS_ABOVE, f"above {ESS_ABOVE}"))
    return tuple(checks)


def _drawn(values: xr.DataArray) -> xr.DataArray:
    """The entries of a variable that vary over draws, along one dimension of their own."""
    own = [str(name) for name in values.dims if name not in ("chain", "draw")]
    entry = f"{values.name} of"
    flat = values.stack({entry: own}).reset_index(entry).transpose("chain", "draw", entry)
    labels = [", ".join(map(str, places)) for places in zip(*(flat[name].values for name in own), strict=True)]
    flat = flat.drop_vars(own).assign_coords({entry: labels})
    return flat.isel({entry: np.ptp(flat.values, axis=(0, 1)) > 0})


@dataclass(frozen=True)
class _Extreme:
    value: float
    where: str


def _extreme(statistic: xr.Dataset | xr.DataTree, largest: bool) -> _Extreme:
    data = statistic.to_dataset() if isinstance(statistic, xr.DataTree) else statistic
    found = []
    for name, values in data.data_vars.items():
        flat = values.values.ravel()
        if not len(flat):
            continue
        missing = np.isnan(flat)
        # a parameter without the statistic is worse than any value of it
        position = int(np.argmax(missing)) if missing.any() else int(flat.argmax() if largest else flat.argmin())
        index = np.unravel_index(position, values.shape)
        labels = ", ".join(
            str(values.coords[dim].values[i]) if dim in values.coords else str(i)
            for dim, i in zip(values.dims, index, strict=True)
        )
        found.append(_Extreme(float(flat[position]), f"{name}[{labels}]"))
    missing_first = sorted(found, key=lambda e: (not np.isnan(e.value), -e.value if largest else e.value))
    return missing_first[0]


def _threshold(name: str, extreme: _Extreme, passed: bool, wanted: str) -> Check:
    told = f"{extreme.value:.4g} at {extreme.where}; wanted {wanted}"
    return Check(
        name,
        passed,
        told if passed else f"{told}: sample more (--warmup, --draws), then look whether chains agree",
    )

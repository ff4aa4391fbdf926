"""ArviZ's rank plot of the parameters on which chains agree least."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from bayescpt.fit.checks import CHECKED
from bayescpt.report import plots

WORST = 4
"""Parameters that are shown."""
LEAST_CHAINS = 2
SIZE = (4.4, 2.8)
"""Inches."""
CHAIN_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
"""Okabe and Ito, again from the start for more chains."""


def worst_parameters(posterior: xr.Dataset, count: int = WORST) -> xr.Dataset:
    """The single parameters of largest R-hat, by name, worst first; those without an R-hat (that never moved) first.

    Returns a Dataset over chain and draw. Raises ValueError where there are no two chains to compare.

    Examples:
        >>> from bayescpt import Fit
        >>> from bayescpt.report import rank_figure, worst_parameters
        >>> worst = worst_parameters(Fit.load("fit.nc").posterior, count=1)  # doctest: +SKIP
        >>> figures = [rank_figure(draws) for draws in worst.values()]  # doctest: +SKIP
    """
    import arviz_stats  # a second, which only this needs

    if posterior.sizes["chain"] < LEAST_CHAINS:
        raise ValueError(f"expected at least {LEAST_CHAINS} chains to compare, got {posterior.sizes['chain']}")
    chosen = posterior[[name for name in CHECKED if name in posterior]]
    found: list[tuple[float, str, xr.DataArray]] = []
    for name, values in arviz_stats.rhat(chosen).data_vars.items():
        for index in np.ndindex(values.shape):
            place = dict(zip(values.dims, index, strict=True))
            at = ", ".join(str(values[dim].values[i]) if dim in values.coords else str(i) for dim, i in place.items())
            value = float(values.values[index])
            draws = posterior[name].isel(place).drop_vars(list(place), errors="ignore")
            found.append((np.inf if np.isnan(value) else value, f"{name}[{at}]", draws))
    found.sort(key=lambda one: -one[0])
    return xr.Dataset({name: draws for _, name, draws in found[:count]})


def rank_figure(draws: xr.DataArray) -> Figure:
    """ArviZ's plot of ranks over all chains, a line a chain: how far their distribution is from an even one.

    Grey: simultaneous 99 % band (Säilynoja et al. 2022). A line that leaves it is a chain that is elsewhere.

    Args:
        draws: of one parameter, over chain and draw, see :func:`worst_parameters`.
    """
    import arviz_plots
    from matplotlib import pyplot

    collection = arviz_plots.plot_rank(
        xr.DataTree.from_dict({"posterior": draws.rename("x").to_dataset()}),
        backend="matplotlib",
        visuals={"title": False, "remove_axis": False},
        color=list(CHAIN_COLOURS),
        figure_kwargs={"figsize": SIZE},
    )
    figure = collection.viz["figure"].item()
    assert isinstance(figure, Figure)
    pyplot.close(figure)  # ArviZ draws through pyplot, which keeps what is not closed
    figure.set_layout_engine("constrained")
    axes = figure.axes[0]
    axes.set_xlabel("fractional rank over all chains (-)", fontsize=plots.LABEL)
    axes.set_ylabel("difference to an even\ndistribution (-)", fontsize=plots.LABEL)
    return figure

"""How much parameters and decisions hang on the stated prior and on the likelihood, by power scaling.

Kallioinen, Paananen, Bürkner and Vehtari 2024 (arXiv 2107.14054): the prior is raised to a power near 1, draws are
weighted by that (Pareto smoothed), and sensitivity is the change of the cumulative Jensen-Shannon distance of a
quantity per doubling of the power; the likelihood likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayescpt.ask.cmr import TOLERANCE, critical_ratio
from bayescpt.ask.ratio import ratio_under_budget
from bayescpt.fit import Fit
from bayescpt.model.density import stated_parts
from bayescpt.schema import GENERAL, TARGETS

THRESHOLD = 0.05
"""Of the paper: a normal posterior that moves by a quarter of its standard deviation per doubling reaches it."""
CONFLICT, WEAK, FINE = "prior-data conflict", "weak likelihood", "-"
PARAMETERS = ("coordinates", "population")


def decisions(
    fit: Fit,
    domains: Sequence[str] | None = None,
    size: float | None = None,
    tokens: float | None = None,
    tolerance: float = TOLERANCE,
) -> dict[str, xr.Dataset]:
    """Largest ratio under a forgetting budget and critical ratio of every domain, by name.

    Args:
        domains: those of the table by default.
        size, tokens: of the run; the table's largest by default.
        tolerance: budget and tolerance, nats per token.

    Returns a Dataset for each, see :func:`bayescpt.ask.answer.ratio_answer`; nothing where the table has no
    training rows of the general loss or no general loss of any base, or the law does not see the ratio.
    """
    table = fit.table
    general = TARGETS.index(GENERAL)
    measured = (table.target == general).any() and not np.isnan(table.base_losses[:, :, general]).all()
    if not (measured and fit.model.law.uses_share):
        return {}
    size = float(table.size.max()) if size is None else size
    tokens = float(table.tokens.max()) if tokens is None else tokens
    found = {}
    for domain in table.domains if domains is None else domains:
        found[f"optimal ratio, {domain}"] = ratio_under_budget(fit, domain, size, tokens, tolerance)
        found[f"critical ratio, {domain}"] = critical_ratio(fit, domain, size, tokens, tolerance)
    return found


def sensitivity(fit: Fit, answers: Mapping[str, xr.Dataset] | None = None) -> pd.DataFrame:
    """Sensitivity to prior and likelihood of every answer, then of the coordinates of the law.

    Args:
        answers: what a question returned for this fit, by a name of yours; :func:`decisions` by default.

    Returns one row a quantity: ``quantity``; ``kind``, decision or parameter; ``prior`` and ``likelihood``, change of
    its distribution per doubling of either; ``verdict``: 'prior-data conflict' where both reach 0.05 (they pull apart),
    'weak likelihood' where the prior alone does (it decides), '-' where it does not. Of a fit by ``laplace`` it is the
    sensitivity of the approximation, with noise and spreads held.

    The prior is what was stated of the population and of the noise, and of the coordinates where nothing pools them.

    Raises ValueError where the fit holds prior draws, or no log prior (written by an earlier version).

    Examples:
        >>> from bayescpt import decisions, sensitivity
        >>> found = sensitivity(fitted, decisions(fitted, ["cpp"]))
        >>> found["quantity"].to_list()[:2]
        ['optimal ratio, cpp', 'critical ratio, cpp']
        >>> list(found.columns)
        ['quantity', 'kind', 'prior', 'likelihood', 'verdict']
    """
    if fit.method == "prior":
        raise ValueError("the draws are of the prior: there is no likelihood that they hang on; fit the rows first")
    if "log_prior" not in fit.told.children:
        raise ValueError("the fit holds no log prior, an earlier version wrote it: fit the rows again")
    posterior = fit.posterior[[name for name in PARAMETERS if name in fit.posterior]]
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    answers = decisions(fit) if answers is None else answers
    found = xr.Dataset(
        {name: (("chain", "draw"), answer["value"].values.reshape(shape)) for name, answer in answers.items()},
        coords={dim: posterior[dim] for dim in ("chain", "draw")},
    )
    rows = _rows(fit, found, "decision") + _rows(fit, posterior, "parameter")
    return pd.DataFrame(rows, columns=["quantity", "kind", "prior", "likelihood", "verdict"])


def _rows(fit: Fit, quantities: xr.Dataset, kind: str) -> list[dict[str, object]]:
    if not quantities.data_vars:
        return []
    import arviz_stats  # a second, which only this needs

    groups = {name: fit.told[name].to_dataset() for name in ("log_prior", "log_likelihood")}
    tree = xr.DataTree.from_dict({"posterior": quantities, **groups})
    parts = {"prior": list(stated_parts(fit.model.hierarchy)), "likelihood": None}
    found = {}
    with np.errstate(invalid="ignore"):
        for group, names in parts.items():
            found[group] = arviz_stats.psense(tree, group=group, group_var_names=names)
    rows: list[dict[str, object]] = []
    for name, draws in quantities.data_vars.items():
        # a quantity that is the same in every draw has no distribution that could change
        moves = (draws.max(("chain", "draw")) > draws.min(("chain", "draw"))).values
        values = [np.where(moves, found[group][name].values, 0.0) for group in parts]
        for index in np.ndindex(moves.shape):
            prior, likelihood = (float(value[index]) for value in values)
            at = [str(draws[dim].values[i]) for dim, i in zip(draws.dims[2:], index, strict=True)]
            quantity = f"{name}[{', '.join(at)}]" if at else str(name)
            told = {"quantity": quantity, "kind": kind, "prior": prior, "likelihood": likelihood}
            rows.append(told | {"verdict": verdict(prior, likelihood)})
    return rows


def verdict(prior: float, likelihood: float) -> str:
    """What two sensitivities mean, in the words of :func:`sensitivity`."""
    if prior < THRESHOLD:
        return FINE
    return CONFLICT if likelihood >= THRESHOLD else WEAK

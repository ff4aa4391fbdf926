"""From a table to a checked fit, and from a model to draws of its prior in the same shape."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from numpyro.infer import Predictive

from bayescpt.data.findings import Level
from bayescpt.data.overview import overview
from bayescpt.data.table import Table
from bayescpt.fit.checks import check_posterior
from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.fit import LAPLACE, METHODS, NUTS, PRIOR, Fit
from bayescpt.fit.laplace import found_mode, mode_draws
from bayescpt.fit.sample import Sampler, SamplerSettings
from bayescpt.fit.tree import tree_of
from bayescpt.laws import LAWS, Law, Reference
from bayescpt.model.covariates import covariates_of
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.model.layout import Rows, reference_of, refuse_missing_bases, refuse_missing_errors
from bayescpt.model.model import Model
from bayescpt.model.noise import NOISES, Noise
from bayescpt.model.population import Hierarchy

LOG = logging.getLogger(__name__)

DEFAULT_LAW = "memory"
"""The law of a fit that states none."""
DEFAULT_POOLING, DEFAULT_NOISE = "partial", "student"


def model_of(
    law: str | Law = DEFAULT_LAW,
    pooling: str | Hierarchy = DEFAULT_POOLING,
    noise: str | Noise = DEFAULT_NOISE,
    use_se: bool = False,
) -> Model:
    """The model of these parts, or of those with these names.

    Raises ValueError naming every unknown part and those on offer.

    Examples:
        >>> from bayescpt.fit import model_of
        >>> model = model_of("dcpt", noise="normal")
        >>> model.law.name, model.hierarchy.name, model.noise.name
        ('dcpt', 'partial', 'normal')
    """
    offers: tuple[tuple[str, Any, Mapping[str, Any]], ...] = (
        ("law", law, LAWS),
        ("pooling", pooling, HIERARCHIES),
        ("noise", noise, NOISES),
    )
    faults = [
        f"no {kind} is called '{part}'; on offer: {', '.join(known)}"
        for kind, part, known in offers
        if isinstance(part, str) and part not in known
    ]
    if faults:
        raise ValueError("\n".join(faults))
    parts = [known[part] if isinstance(part, str) else part for _, part, known in offers]
    return Model(parts[0], parts[1], parts[2], use_se)


def check_rows(table: Table, model: Model) -> None:
    """Raise ValueError where the rows cannot carry the law: a base's loss or a column that it needs is not given."""
    law = model.law.on(table.sources)
    refuse_missing_bases(table, law)
    covariates_of(table, law)
    refuse_missing_errors(table, model.use_se)


def check_method(method: str) -> None:
    """Raise ValueError unless there is such a way to a posterior."""
    if method not in METHODS:
        raise ValueError(f"no method is called '{method}'; on offer: {', '.join(METHODS)}")


def fit(
    table: Table,
    law: str | Law = DEFAULT_LAW,
    pooling: str | Hierarchy = DEFAULT_POOLING,
    noise: str | Noise = DEFAULT_NOISE,
    method: str = NUTS,
    seed: int = 0,
    settings: SamplerSettings | None = None,
    sampler: Sampler | None = None,
    go_on: bool = False,
    use_se: bool = False,
) -> Fit:
    """The posterior of a hierarchical model on ``table``, checked.

    Args:
        law, pooling, noise: the parts of the model, or their names.
        method: ``nuts`` samples and checks the draws. ``laplace`` takes a normal approximation at the mode: quick, with
            noise and spreads held at their most likely values. Its intervals leave out that those are uncertain too and
            that the posterior is not normal (of its 90 % intervals 79 % held in simulations): look around with it, and
            decide with ``nuts``.
        seed: of everything random: start values, chains, and later draws of new runs and domains.
        settings: chains, warm-up, draws; of the last, ``laplace`` makes as many as all chains together.
        sampler: a compiled sampler to use again; its model and settings then count.
        go_on: start where the last run of ``sampler`` ended, with a short warm-up: for one run more, or one less. Where
            the shapes of the rows have changed or it has not run yet, it starts anew. Its chains begin where the last
            ones ended, no longer far apart, so that R-hat sees less, and maps are not learnt again: start anew now and
            then.
        use_se: ``loss_se`` is each row's own error (text drawn anew for every evaluation) and adds to its noise in
            quadrature. Rows measured on one validation set share that error, and it is no noise between them.

    What the rows cannot teach at all (one size, one ratio: the FAIL findings of :func:`bayescpt.overview`) is logged as
    a warning first; not so where ``go_on`` is set.

    Raises ValueError where the rows cannot carry the law (for example, no base losses for a law that starts there),
    and where no mode with a finite curvature is found.

    Examples:
        >>> from bayescpt import SamplerSettings, fit
        >>> quick = fit(table, method="laplace", settings=SamplerSettings(chains=1, draws=200))
        >>> quick.size, quick.method
        (200, 'laplace')
        >>> fit(table).save("fit.nc")  # doctest: +SKIP
    """
    if not go_on:
        tell_unlearnable(table)
    return posterior(table, model_of(law, pooling, noise, use_se), method, seed, settings, sampler, go_on)


def tell_unlearnable(table: Table) -> None:
    """Log what these rows cannot teach, and which run would; each sentence once in a process."""
    if len(table):
        for finding in overview(table).findings:
            if finding.level is Level.FAIL:
                _log_once(str(finding))


@cache
def _log_once(message: str) -> None:
    LOG.warning(message)


def posterior(
    table: Table,
    model: Model,
    method: str,
    seed: int,
    settings: SamplerSettings | None,
    sampler: Sampler | None = None,
    go_on: bool = False,
) -> Fit:
    """:func:`fit` of a model, for callers that have told what the rows cannot teach, or leave rows out on purpose."""
    check_method(method)
    settings = settings or SamplerSettings()
    if method == LAPLACE:
        return _laplace_fit(table, model.on(table), seed, settings.chains * settings.draws)
    sampler = sampler or Sampler(model.on(table), settings)
    model = sampler.model
    layout, reference = model.layout(table), reference_of(table)
    layout = layout._replace(rows=sampler.settled(layout.rows))
    samples = sampler.run(layout.rows, reference, jax.random.key(seed), go_on)
    tree = tree_of(model, table, layout, reference, samples.sites, samples.stats)
    tree.attrs["sampler"] = json.dumps(vars(sampler.settings))
    checks = check_posterior(tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset())
    return Fit(model=model, table=table, reference=reference, tree=tree, checks=checks, seed=seed)


def _laplace_fit(table: Table, model: Model, seed: int, draws: int) -> Fit:
    layout, reference = model.layout(table), reference_of(table)
    mode = found_mode(model, layout.rows, reference)
    drawn = mode_draws(model, mode, jax.random.key(seed), draws)
    # a quick look does not wait for densities that only comparison and sensitivity ask for
    tree = tree_of(model, table, layout, reference, {name: v[None] for name, v in drawn.items()}, {}, told=False)
    return Fit(model=model, table=table, reference=reference, tree=tree, checks=(), seed=seed, method=LAPLACE)


def prior_fit(
    table: Table,
    law: str | Law = DEFAULT_LAW,
    pooling: str | Hierarchy = DEFAULT_POOLING,
    noise: str | Noise = DEFAULT_NOISE,
    seed: int = 0,
    draws: int = 500,
) -> Fit:
    """Draws of the prior on the design of ``table``, typed as a fit: what the model believes before the losses.

    Examples:
        >>> from bayescpt import prior_fit, ratio_under_budget, summary
        >>> believed = prior_fit(table, draws=200)  # doctest: +SKIP
        >>> summary(ratio_under_budget(believed, "cpp", 590720, 204800, max_forgetting=0.05))  # doctest: +SKIP
    """
    model = model_of(law, pooling, noise).on(table)
    layout, reference = model.layout(table), reference_of(table)
    sites = _prior_sites(model, layout.rows, reference, draws, jax.random.key(seed))
    tree = tree_of(model, table, layout, reference, {name: np.asarray(v)[None] for name, v in sites.items()}, {})
    return Fit(model=model, table=table, reference=reference, tree=tree, checks=(), seed=seed, method=PRIOR)


@partial(quick_jit, static_argnames=("model", "draws"))
def _prior_sites(model: Model, rows: Rows, reference: Reference, draws: int, key: PRNGKeyArray) -> dict[str, Array]:
    sites = Predictive(lambda: model(rows, reference, observed=False), num_samples=draws)(key)
    return {name: value for name, value in sites.items() if name != "loss"}  # the losses cost most and are not kept

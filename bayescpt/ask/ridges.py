"""What a fit leaves open, and which run would tell: directions that rows did not identify, by target and domain.

The directions are those of :mod:`bayescpt.fit.ridges`, in the coordinates that are sampled and, where parameters are
known only together, in the law's own (E against A and C). The run that would tell is looked for on a grid of sizes,
ratios and tokens inside the table and one step beyond: where the loss moves most along the direction compared with all
else that moves it, other parameters and the noise of a run. Along a direction coordinates move as draws do, by their
regression on the position along it, and the loss by the gradient of the law.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from bayescpt.ask.losses import Losses
from bayescpt.data.runs import SAME_RATIO, distinct
from bayescpt.data.table import Table
from bayescpt.fit import Fit
from bayescpt.fit.compiled import quick_jit
from bayescpt.fit.ridges import Direction, together, unidentified
from bayescpt.laws import Law, Point, Reference
from bayescpt.model.density import coordinate_moments
from bayescpt.model.layout import BASE_SHARE
from bayescpt.model.noise import deviation_scale
from bayescpt.schema import TARGETS, Target

DRAWS = 400
"""Draws that the search for runs uses."""
SIZE_STEP, TOKEN_STEP = 4.0, 3.0
"""One step beyond the table."""
INNER = 3
"""Sizes, ratios and checkpoints of the table on the grid, ends included."""
NEARLY = 0.9
"""The cheapest run that tells at least this part of what the best one tells is named."""
TELLS = 0.02
"""A loss that would remove less of a direction's variance than this does not tell."""
BY_CHANCE = 3.0
"""Standard errors of a covariance over draws, below which it counts as none."""
CENTRAL = (0.159, 0.841)
"""Quantiles one standard deviation from the middle of a normal distribution."""
MATTERS = 1e-3
"""Nats by which some loss must move for a direction to matter within a step of the table."""
COORDINATES, NATURAL = "coordinates", "natural parameters"


@dataclass(frozen=True)
class Telling:
    """A run that would tell.

    Args:
        size, ratio, tokens: of the run.
        last: tokens of the table's longest run: a checkpoint before is one of a run of that length.
        moves: by how much one standard deviation along the direction typically moves the target's expected loss there,
            nats per token.
        removes: part of the direction's variance that this loss alone would remove, given all else that is uncertain.
    """

    size: float
    ratio: float
    tokens: float
    last: float
    moves: float
    removes: float

    @property
    def text(self) -> str:
        """What it would do, in words."""
        if self.removes >= TELLS:
            return f"{self} would remove {self.removes:.0%} of it"
        if self.moves >= MATTERS:
            return f"no single loss within a step of the table tells; it moves most ({self.moves:.2g} nats) in {self}"
        return f"no loss within a step of the table hangs on it (none moves by {MATTERS:g} nats)"

    def __str__(self) -> str:
        length = "for" if self.tokens >= self.last else "with a checkpoint at"
        return f"a run of {self.size:.3g} parameters at ratio {self.ratio:.2g} {length} {self.tokens:.3g} tokens"


@dataclass(frozen=True)
class Ridge:
    """A direction that rows do not identify, in one or several domains.

    Args:
        kind: of the parameters: those that are sampled, or those of the law's paper.
        contraction: posterior over prior variance along it, the largest of the domains; None for natural parameters.
        learned: whether it is narrow all the same, and its parameters are only known together.
        carriers: loadings of the parameters that carry it, in the domain where it is the widest.
        run: that would tell in that domain.
    """

    target: Target
    name: str
    kind: str
    domains: tuple[str, ...]
    contraction: float | None
    learned: bool
    carriers: Mapping[str, float]
    run: Telling

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told = {**vars(self.run), "text": self.run.text}
        return {**vars(self), "domains": list(self.domains), "carriers": dict(self.carriers), "run": told}


class _Found(NamedTuple):
    """A direction in one domain, and by how much coordinates move along it by one standard deviation."""

    domain: str
    target: Target
    kind: str
    direction: Direction
    step: Float[np.ndarray, " coordinate"]


def ridges(fit: Fit) -> tuple[Ridge, ...]:
    """Directions that the rows of a fit do not identify, those that losses hang on most first.

    A direction counts where more than 0.7 of its prior variance is left, and where parameters are correlated by more
    than 0.9. The same one in several domains is told once, with the run for the domain where it is the widest. Domains
    without rows are left out, nothing being known there but what the others say. A fit that failed its checks is
    looked into all the same.

    Examples:
        >>> from bayescpt import ridges
        >>> for ridge in ridges(fitted):  # doctest: +SKIP
        ...     print(ridge.target, ridge.name, ridge.domains, ridge.run)
    """
    fit = fit if fit.passed else fit.accept("looking for what is not identified")
    groups: dict[tuple[str, str, str], list[_Found]] = {}
    for found in (*_in_coordinates(fit), *_in_natural(fit)):
        groups.setdefault((found.target, found.kind, found.direction.name), []).append(found)
    few, grids = _thinned(fit), dict[str, _Grid]()
    told = [_told(members, few, grids) for members in groups.values()]
    return tuple(sorted(told, key=lambda ridge: -ridge.run.moves))


def _told(members: list[_Found], fit: Fit, grids: dict[str, _Grid]) -> Ridge:
    widest = max(members, key=lambda found: found.direction.contraction)
    if widest.domain not in grids:
        grids[widest.domain] = _Grid(fit, widest.domain)
    return Ridge(
        target=widest.target,
        name=widest.direction.name,
        kind=widest.kind,
        domains=tuple(found.domain for found in members),
        contraction=widest.direction.contraction if widest.kind == COORDINATES else None,
        learned=widest.direction.learned,
        carriers=widest.direction.carriers,
        run=grids[widest.domain].telling(widest),
    )


def _with_rows(fit: Fit) -> Iterator[tuple[int, str, Target]]:
    for code, domain in enumerate(fit.table.domains):
        for place, target in enumerate(TARGETS):
            if ((fit.table.domain == code) & (fit.table.target == place)).any():
                yield code, domain, target


def _in_coordinates(fit: Fit) -> Iterator[_Found]:
    model, table = fit.model, fit.table
    layout = model.layout(table)
    _, prior = coordinate_moments(model, layout.rows, fit.reference, jax.random.key(0))
    names = tuple(coordinate.name for coordinate in model.law.coordinates)
    for code, domain, target in _with_rows(fit):
        draws = _of(fit.posterior["coordinates"], domain, target)
        own = np.asarray(prior[TARGETS.index(target), layout.group[code]])
        for direction in unidentified(names, np.cov(draws.T), own):
            unit = draws.std(axis=0) if direction.learned else np.sqrt(np.diag(own))
            yield _Found(domain, target, COORDINATES, direction, _step(draws, draws / unit @ direction.loading))


def _in_natural(fit: Fit) -> Iterator[_Found]:
    names = tuple(param.name for param in fit.model.law.params)
    for _, domain, target in _with_rows(fit):
        chosen = fit.posterior.sel(domain=domain, target=target)
        draws = np.stack([_logarithm(chosen[name]) for name in names], axis=1)
        scale = draws.std(axis=0)
        scale[scale <= 1e-9 * np.abs(draws.mean(axis=0))] = np.inf  # a constant of the law, but for rounding
        coordinates = _of(fit.posterior["coordinates"], domain, target)
        for direction in together(names, np.cov((draws / scale).T), np.ones(len(names))):
            yield _Found(domain, target, NATURAL, direction, _step(coordinates, draws / scale @ direction.loading))


def _step(
    coordinates: Float[np.ndarray, "draw coordinate"], position: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, " coordinate"]:
    """By how much every coordinate moves with one standard deviation of the position along a direction."""
    away = coordinates - coordinates.mean(axis=0)
    step = (position - position.mean()) / position.std() @ away / len(away)
    step[np.abs(step) < BY_CHANCE * away.std(axis=0) / np.sqrt(len(away))] = 0.0
    return step


def _of(values: xr.DataArray, domain: str, target: Target) -> Float[np.ndarray, "draw coordinate"]:
    chosen = values.sel(domain=domain, target=target).stack(sample=("chain", "draw"))
    return chosen.transpose("sample", "coordinate").values


def _logarithm(values: xr.DataArray) -> Float[np.ndarray, " draw"]:
    """Draws of a parameter, by their logarithms where it is positive: laws are products of powers."""
    flat = values.stack(sample=("chain", "draw")).values
    return np.log(flat) if (flat > 0).all() else flat


def _thinned(fit: Fit) -> Fit:
    posterior = fit.posterior
    step = -(-fit.size // DRAWS)
    few = posterior.isel(draw=slice(None, None, step))
    return replace(fit, tree=xr.DataTree.from_dict({"posterior": few}))


def steps(values: Float[np.ndarray, " value"], step: float) -> list[float]:
    """Some of the values, their ends included, and one step beyond either end."""
    known = np.unique(values)
    inner = known[np.unique(np.linspace(0, len(known) - 1, INNER).round().astype(int))]
    return [float(known[0] / step), *map(float, inner), float(known[-1] * step)]


def ratios_of(table: Table) -> list[float]:
    """Some of the table's ratios, and the pure corpora."""
    known = np.array(distinct(table.ratio, SAME_RATIO))
    inner = known[np.unique(np.linspace(0, len(known) - 1, INNER).round().astype(int))]
    return sorted({0.0, *(round(float(ratio), 2) for ratio in inner), 1.0})


class _Grid:
    """What there is to know of one domain at every candidate run, by target.

    ``expected`` are losses (candidate, draw), ``slopes`` their gradients in the coordinates (candidate, draw,
    coordinate), ``noise`` the variance of a measured loss around the expected one (candidate).
    """

    def __init__(self, fit: Fit, domain: str) -> None:
        self.last = float(fit.table.tokens.max())
        ratios = np.array(ratios_of(fit.table))
        self.places: list[tuple[float, float, float]] = []
        seen: tuple[Target, ...] = tuple(t for i, t in enumerate(TARGETS) if (fit.table.target == i).any())
        parts: dict[Target, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {target: [] for target in seen}
        for size in steps(fit.table.size, SIZE_STEP):
            # whoever trains there measures the base first: its loss is not what the run would tell
            base: dict[Target, float] | None = None
            if fit.model.law.needs_base:
                base = {target: float(np.median(fit.base_loss(domain, size, target))) for target in seen}
            for tokens in steps(fit.table.tokens, TOKEN_STEP):
                losses = Losses(fit, domain, size, tokens, base)
                self.places += [(size, float(ratio), tokens) for ratio in ratios]
                for target in seen:
                    index = TARGETS.index(target)
                    coordinates = _of(fit.posterior["coordinates"], domain, target)
                    where = losses.point(target, ratios[:, None])
                    given = jnp.asarray(coordinates), where, fit.reference, jnp.asarray(BASE_SHARE[index])
                    slopes = _slopes(fit.model.law, *given)
                    expected = losses.at(target, ratios[:, None])
                    parts[target].append((expected, np.asarray(slopes), _noise(losses, target, ratios)))
        joined = {target: [np.concatenate(each) for each in zip(*parts[target], strict=True)] for target in seen}
        self.expected, self.slopes, self.noise = ({t: joined[t][i] for t in seen} for i in range(3))

    def telling(self, found: _Found) -> Telling:
        """The cheapest of the runs that would tell nearly as much of a direction as any.

        Where none would, the run whose loss moves most along it.
        """
        # typical values, not moments: a normal approximation draws where a law is bent beyond recognition
        low, high = np.quantile(self.expected[found.target], CENTRAL, axis=1)
        variance = (0.5 * (high - low)) ** 2
        along = np.median(np.abs(self.slopes[found.target] @ found.step), axis=1)
        removes = along**2 / (np.maximum(variance, along**2) + self.noise[found.target])
        merit = removes if removes.max() >= TELLS else along
        good = np.flatnonzero(merit >= NEARLY * merit.max())
        cost = [self.places[i][0] * max(self.places[i][2], self.last) for i in good]
        best = good[np.lexsort((-merit[good], cost))[0]]
        size, ratio, tokens = self.places[best]
        return Telling(size, ratio, tokens, self.last, float(along[best]), float(removes[best]))


@partial(quick_jit, static_argnums=0)
def _slopes(law: Law, coordinates: Array, where: Point, reference: Reference, base_share: Array) -> Array:
    """Gradient of the loss in the coordinates: (ratio, draw, coordinate) from (draw, coordinate) and (ratio, draw)."""

    def loss(values: Array, point: Point) -> Array:
        return law.loss(law.natural(values, reference, base_share), point)

    return jax.vmap(jax.vmap(jax.grad(loss)), in_axes=(None, 0))(coordinates, where)


def _noise(losses: Losses, target: Target, ratios: Float[np.ndarray, " ratio"]) -> Float[np.ndarray, " ratio"]:
    """Typical variance of a measured loss of a new run around the expected one."""
    index, draws = TARGETS.index(target), losses.draws
    scale = float(deviation_scale(jnp.asarray(losses.progress)))
    louder = losses.loudness(target, ratios[:, None])
    return np.median(louder**2 * ((scale * draws.run_sd[index]) ** 2 + draws.noise_sd[index] ** 2), axis=1)

"""How readily a domain is learned, from the first percents of its runs, with standard errors.

The learnability of Que et al. 2024 (2406.01375, section 3.2 and appendix H) is made of three numbers a domain: its loss
at the start k1 = L(0), its early fall k2 = L(0) - L(5,000 steps) and the bend k3 = L(0) - 2 L(5,000) + L(10,000). (The
paper prints k3 as "(L0 - L5000) - (L5000 - L10000) = L0 - L10000"; its left side is the second difference taken here.)
5,000 of their 200,000 steps are 2.5 % of a run. At which size and ratio they are read the paper does not say, and runs
of a table differ in both. They are brought to a common footing, an even mix and a typical base:

1. y = ln(L/L0) of every run and target at its checkpoint nearest to 2.5 % of the table's longest run (``EARLY``; where
   most runs have it, within a factor of ``NEAR``), brought to one token count by a power of tokens that all runs share.
2. y = c_b - g_bd h(r) with h(r) = ln(1 + r/e)/ln(1 + 0.5/e): c_b is what happens on base b without domain data, h is
   the shape of the ratio, shared by all, and g what domain data do by an even mix. The general loss rises by domain
   data: its sign is turned, so that g is a cost.
3. asinh(g_bd/``SMALL``) is about a logarithm, and defined where nothing is gained. A base's usual deviation is taken
   out, and what is left of scatter between bases, with the error of single runs, makes the standard error of the mean
   over bases: a random-effects meta-analysis (DerSimonian and Laird 1986), with a guess of scatter for small tables.

A domain without such rows has no statistic: NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from bayescpt.data.table import Table
from bayescpt.schema import DOMAIN, GENERAL, TARGETS, Target

EARLY = 0.025
"""Part of the longest run at which the early loss is read: 5,000 of the paper's 200,000 steps."""
NEAR = math.sqrt(2)
"""How far, as a factor in tokens, a checkpoint may lie from where it is wanted: not as far as twice that, k3's own."""
EVEN = 0.5
"""Ratio of the common footing."""
SMALL: dict[Target, float] = {GENERAL: 0.0005, DOMAIN: 0.002}
"""Early log factors of a loss below which a change counts as about none."""
SHAPES = np.geomspace(0.02, 5.0, 15)
"""e of h: from a jump at the first domain data to a straight line."""
TYPICAL_SHAPE, SHAPE_SPREAD = 0.3, 1.5
"""Where e lies before rows, as a factor's logarithm: decides where a table has one ratio."""
DRIFT_SD, BASE_SD = 0.01, 0.5
"""Prior standard deviations of c_b and of a base's usual deviation."""
GUESS, START_GUESS, GUESS_WEIGHT = 0.2, 0.03, 2.0
"""Relative scatter of early effects and of base losses that is believed before rows, and how many that is worth."""
LEAST = 0.01
"""Sum of ratios of a domain's runs on a base up to which they say nothing of it."""

TRAITS: dict[str, Target] = {"start": DOMAIN, "gain": DOMAIN, "cost": GENERAL}
"""Statistics of a domain, by the target they are of: log loss at the start, fall of its own loss, rise of the general
loss."""


class Statistic(NamedTuple):
    """One number of every domain, NaN where unknown, and its standard error."""

    value: Float[np.ndarray, " domain"]
    se: Float[np.ndarray, " domain"]


class Traits(NamedTuple):
    """Statistics of all domains, NaN where unknown, and their standard errors."""

    value: Float[np.ndarray, "domain trait"]
    se: Float[np.ndarray, "domain trait"]


class Early(NamedTuple):
    """What domain data do to a loss early in a run, by an even mix on a typical base."""

    effect: Statistic
    """asinh(g / SMALL)"""
    drift: float
    """ln(L/L0) without domain data, mean over bases"""
    small: float
    """the SMALL of the target"""

    def change(self) -> Statistic:
        """Size of g, with its standard error to first order."""
        g = self.small * np.sinh(self.effect.value)
        return Statistic(g, np.sqrt(g**2 + self.small**2) * self.effect.se)


def early_tokens(table: Table) -> float:
    """Tokens at which the early loss is read: the checkpoint nearest to 2.5 % of the longest run, median over runs."""
    nearest = _nearest(table, np.arange(len(table)), EARLY * float(table.tokens.max()))
    return float(np.exp(np.median(np.log(table.tokens[nearest]))))


def _nearest(table: Table, rows: Int[np.ndarray, " row"], tokens: float) -> Int[np.ndarray, " run"]:
    """Of ``rows`` the one nearest to ``tokens`` of every run, the earlier of two."""
    away = np.abs(np.log(table.tokens[rows] / tokens))
    rows = rows[np.lexsort((table.tokens[rows], away, table.run[rows]))]
    return rows[np.unique(table.run[rows], return_index=True)[1]]


def start_of(table: Table) -> Statistic:
    """log loss of the bases on every domain's own set: that of a typical base."""
    losses = np.log(table.base_losses[:, :, TARGETS.index(DOMAIN)]).T
    return combined(losses, np.zeros_like(losses), START_GUESS)


def early_of(table: Table, target: Target, tokens: float) -> Early:
    """What domain data have done to the loss of ``target`` after ``tokens``."""
    small, sign = SMALL[target], -1.0 if target == DOMAIN else 1.0
    rows, y = _read(table, target, tokens)
    cell = table.domain[rows] * len(table.bases) + table.base[rows]
    effect, variance, drift = _effects(table.ratio[rows], sign * y, cell, len(table.bases), small)
    shape = len(table.domains), len(table.bases)
    value, spread = np.full(shape, np.nan), np.full(shape, np.nan)
    place = np.unravel_index(np.unique(cell), shape)
    value[place], spread[place] = np.arcsinh(effect / small), variance
    return Early(combined(value, spread, GUESS), sign * drift, small)


def early_rows(table: Table) -> Bool[np.ndarray, " row"]:
    """Rows that the early statistics stand for: of every run those up to the checkpoint that was read."""
    read = np.concatenate([_read(table, target, early_tokens(table))[0] for target in TARGETS])
    until = np.full(len(table.runs), -np.inf)
    np.maximum.at(until, table.run[read], table.tokens[read])
    return table.tokens <= until[table.run]


def traits_of(table: Table) -> Traits:
    """The statistics ``TRAITS`` of every domain in units of their spread over the table's domains, and their errors.

    Raises ValueError naming the statistics that fewer than two domains have: they say nothing of how domains differ.
    """
    at = early_tokens(table)
    found = (start_of(table), *(early_of(table, target, at).effect for target in (DOMAIN, GENERAL)))
    known = [int((~np.isnan(statistic.value)).sum()) for statistic in found]
    lost = [name for name, count in zip(TRAITS, known, strict=True) if count < 2]
    if lost:
        raise ValueError(
            f"early statistics: {', '.join(lost)} can be told for fewer than two domains. Needed are base losses "
            f"(tokens = 0) of either target and, in runs with domain data, a checkpoint within a factor of {NEAR:.2g} "
            f"of {at:.4g} tokens (near {EARLY:.1%} of the longest run); or fit with another pooling (--pooling partial)"
        )
    values, errors = zip(*(_standardised(statistic) for statistic in found), strict=True)
    return Traits(np.stack(values, axis=-1), np.stack(errors, axis=-1))


def _standardised(statistic: Statistic) -> Statistic:
    """In units of its spread over domains, measurement error taken out (but for half of what is seen at most)."""
    value, se = statistic
    known = ~np.isnan(value)
    seen = float(value[known].var(ddof=1))
    spread = math.sqrt(max(seen - float((se[known] ** 2).mean()), 0.25 * seen, 1e-12))
    return Statistic((value - value[known].mean()) / spread, se / spread)


def paper_statistics(table: Table) -> tuple[Statistic, Statistic, Statistic]:
    """k1, k2 and k3 of every domain in nats per token, by an even mix on a typical base.

    k1 is the loss of the base (section 4.4; appendix H takes the loss after 1,000 steps instead). k2 is known from the
    first 2.5 % of a run on, k3 from the first 5 %. Standard errors are to first order, as if parts were independent.
    """
    start = start_of(table)
    k1 = np.exp(start.value)
    left, errors = [], []
    for tokens in (early_tokens(table), 2 * early_tokens(table)):
        early = early_of(table, DOMAIN, tokens)
        change = early.change()
        left.append(k1 * np.exp(early.drift - change.value))
        errors.append(left[-1] * change.se)
    bend_se = np.hypot(2 * errors[0], errors[1])
    return (
        Statistic(k1, k1 * start.se),
        Statistic(k1 - left[0], errors[0]),
        Statistic(k1 - 2 * left[0] + left[1], bend_se),
    )


NEEDED = {
    "k1": "base losses (tokens = 0) of the domain target",
    "k2": "base losses and, in a run with domain data, a checkpoint near {early:.4g} tokens (2.5 % of the longest run)",
    "k3": "base losses and, in a run with domain data, checkpoints near {early:.4g} and {later:.4g} tokens (2.5, 5 %)",
}
"""What each of the paper's statistics needs of the rows of a domain."""


def typical(table: Table, names: Sequence[str]) -> Float[np.ndarray, " statistic"]:
    """Geometric means of k1, k2 or k3 (``names``) over the domains where they are known and positive, nats per token.

    Raises ValueError where there is no such domain.
    """
    values = _named(table, names)
    positive = values > 0
    lost = [name for column, name in enumerate(names) if not positive[:, column].any()]
    if lost:
        raise ValueError(f"no domain has a positive {', '.join(lost)}: needed are {_needed(table, lost)}")
    return np.exp(np.log(np.where(positive, values, 1.0)).sum(axis=0) / positive.sum(axis=0))


def relative(table: Table, names: Sequence[str], domains: Sequence[str]) -> Float[np.ndarray, "domain statistic"]:
    """k1, k2 or k3 (``names``) of ``domains`` over their typical values.

    Raises ValueError naming the domains of which they are unknown, or k3 is not positive: 1/k3 has no meaning then.
    """
    values, usual = _named(table, names), typical(table, names)
    of_name = dict(zip(table.domains, values, strict=True))
    found = np.array([of_name.get(domain, np.full(len(names), np.nan)) for domain in domains])
    unknown = [domain for domain, row in zip(domains, found, strict=True) if np.isnan(row).any()]
    if unknown:
        raise ValueError(
            f"{', '.join(names)} of {', '.join(unknown)} cannot be told from these rows: "
            f"needed are {_needed(table, names)}"
        )
    bent = [domain for domain, row in zip(domains, found, strict=True) if "k3" in names and row[names.index("k3")] <= 0]
    if bent:
        raise ValueError(
            f"k3 of {', '.join(bent)} is not positive: the loss does not slow down within the first 5 % of the longest "
            "run, and 1/k3 has no meaning; fit without it (--law dcpt_cross)"
        )
    return found / usual


def _named(table: Table, names: Sequence[str]) -> Float[np.ndarray, "domain statistic"]:
    found = dict(zip(NEEDED, paper_statistics(table), strict=True))
    return np.stack([found[name].value for name in names], axis=-1)


def _needed(table: Table, names: Sequence[str]) -> str:
    early = early_tokens(table)
    return "; ".join(f"for {name} {NEEDED[name].format(early=early, later=2 * early)}" for name in names)


def _read(table: Table, target: Target, tokens: float) -> tuple[Int[np.ndarray, " run"], Float[np.ndarray, " run"]]:
    """Row of every run that is nearest to ``tokens``, and ln(L/L0) brought to ``tokens``."""
    change = np.log(table.loss / table.base_loss)
    away = np.abs(np.log(table.tokens / tokens))
    near = np.flatnonzero((away < math.log(NEAR) + 1e-9) & ~np.isnan(change))
    rows = _nearest(table, near[table.target[near] == TARGETS.index(target)], tokens)
    power = _token_power(table, near[table.target[near] == TARGETS.index(DOMAIN)], change)
    return rows, change[rows] * (tokens / table.tokens[rows]) ** power


def _token_power(table: Table, rows: Int[np.ndarray, " row"], change: Float[np.ndarray, " table_row"]) -> float:
    """d ln|ln(L/L0)| / d ln D of falling domain losses, median over runs; 1 where no run has two checkpoints there."""
    rows = rows[change[rows] < 0]
    rows = rows[np.lexsort((table.tokens[rows], table.run[rows]))]
    _, first, count = np.unique(table.run[rows], return_index=True, return_counts=True)
    low, high = rows[first[count > 1]], rows[(first + count - 1)[count > 1]]
    if not len(low):
        return 1.0
    return float(np.median(np.log(change[high] / change[low]) / np.log(table.tokens[high] / table.tokens[low])))


def _effects(
    ratio: Float[np.ndarray, " run"],
    y: Float[np.ndarray, " run"],
    cell: Int[np.ndarray, " run"],
    bases: int,
    small: float,
) -> tuple[Float[np.ndarray, " cell"], Float[np.ndarray, " cell"], float]:
    """g of every pair of domain and base, the variance of asinh(g/small) by single runs, and the mean drift.

    Cells are numbered domain x bases + base, and given back in order. Runs are weighted by 1/(g^2 + small^2): they
    scatter about in proportion to what they show. A cell without domain data has no g.
    """
    codes, place = np.unique(cell, return_inverse=True)
    if not len(codes):
        return np.array([]), np.array([]), 0.0
    base = codes % bases

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, values, len(codes))

    def solved(e: float, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        h = np.log1p(ratio / e) / math.log1p(EVEN / e)
        whole, first, second = (total(weight * h**power) for power in range(3))
        cross, mean = total(weight * h * y), total(weight * y)
        safe = np.where(second > 0, second, 1.0)
        # each base has its own runs, so its drift is solved apart once the cells' slopes are taken out
        top = np.bincount(base, mean - first * cross / safe, bases)
        bottom = np.bincount(base, whole - first**2 / safe, bases) + np.median(weight) * (small / DRIFT_SD) ** 2
        drift = top / bottom
        slope = (cross - first * drift[base]) / safe
        return drift, slope, second, y - drift[base][place] - slope[place] * h

    def penalty(residual: np.ndarray, weight: np.ndarray, e: float) -> float:
        scatter = float(weight @ residual**2) + GUESS_WEIGHT * GUESS**2
        return len(y) * math.log(scatter) + (math.log(e / TYPICAL_SHAPE) / SHAPE_SPREAD) ** 2

    weight = np.full(len(y), 1 / small**2)
    for _ in range(3):
        found = {e: solved(e, weight) for e in SHAPES}
        best = min(SHAPES, key=lambda e: penalty(found[e][3], weight, e))
        drift, slope, _, residual = found[best]
        weight = 1 / (slope**2 + small**2)[place]
    drift, slope, second, residual = solved(best, weight)
    free = max(len(y) - len(codes) - len(np.unique(base)), 0)
    variance = (float(weight @ residual**2) + GUESS_WEIGHT * GUESS**2) / (free + GUESS_WEIGHT)
    told = total(ratio) > LEAST
    spread = variance / np.where(told, second * (slope**2 + small**2), 1.0)
    return np.where(told, slope, np.nan), np.where(told, spread, np.nan), float(drift[np.unique(base)].mean())


def combined(
    value: Float[np.ndarray, "domain base"], variance: Float[np.ndarray, "domain base"], guess: float
) -> Statistic:
    """Mean over bases of what was measured on each (NaN where it was not), bases' usual deviations taken out.

    value = m_domain + beta_base + N(0, tau^2 + variance), beta ~ N(0, 0.5^2); tau by moments, with ``guess`` counted as
    two cells.
    """
    domains, bases = value.shape
    domain, base = np.nonzero(~np.isnan(value))
    mean, se = np.full(domains, np.nan), np.full(domains, np.nan)
    if not len(domain):
        return Statistic(mean, se)
    measured, known = value[domain, base], np.maximum(variance[domain, base], 1e-8)
    present, row = np.unique(domain, return_inverse=True)
    design = np.zeros((len(domain), len(present) + bases))
    design[np.arange(len(domain)), row] = 1
    design[np.arange(len(domain)), len(present) + base] = 1
    prior = np.diag(np.repeat([0.0, BASE_SD**-2], [len(present), bases]))

    def solved(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inverse = np.linalg.inv(design.T @ (weight[:, None] * design) + prior)
        return inverse @ (design.T @ (weight * measured)), inverse

    weight = np.full(len(domain), 1 / (known.mean() + guess**2))
    free = max(len(domain) - len(present) - len(np.unique(base)) + 1, 0)
    for _ in range(5):
        fitted, inverse = solved(weight)
        residual = measured - design @ fitted
        # moments, with the guess counted as so many cells
        leverage = 1 - weight * np.einsum("ij,jk,ik->i", design, inverse, design)
        between = max(float((residual**2 - leverage * known).sum()), 0.0)
        tau2 = (between + GUESS_WEIGHT * guess**2) / (free + GUESS_WEIGHT)
        weight = 1 / (tau2 + known)
    fitted, inverse = solved(weight)
    mean[present] = fitted[: len(present)] + fitted[len(present) :].mean()
    spread = np.zeros((len(present), len(fitted)))
    spread[:, : len(present)] = np.eye(len(present))
    spread[:, len(present) :] = 1 / bases
    se[present] = np.sqrt(np.einsum("ij,jk,ik->i", spread, inverse, spread))
    return Statistic(mean, se)

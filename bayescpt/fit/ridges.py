"""What a posterior leaves open: directions in parameter space along which rows have said little, by their carriers.

Posterior covariance S against prior covariance P of the same parameters: the contraction of a direction is its
posterior over its prior variance, an eigenvalue of P^-1/2 S P^-1/2. Directions near 1 have not been learned. Where
several have not, any basis of them would do, and that by the fewest parameters is taken (varimax, Kaiser 1958), so that
each can be named. Apart from these, parameters that are correlated by more than 0.9 are known only together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.sparse.csgraph import connected_components

UNLEARNED = 0.7
"""Contraction above which a direction counts as not learned."""
TOGETHER = 0.9
"""Correlation above which parameters count as known only together."""
CARRIES, MOST_CARRIERS = 0.35, 4
"""A parameter carries a direction if its part is at least this times the largest; so many are named."""
TURNS = 200


@dataclass(frozen=True)
class Direction:
    """A direction that is not identified.

    Args:
        names: of the parameters.
        loading: how far each moves along it, in standard deviations; of length 1.
        contraction: posterior over prior variance along it.
        learned: whether it counts as learned, and its parameters are only known together.
    """

    names: tuple[str, ...]
    loading: Float[np.ndarray, " parameter"]
    contraction: float
    learned: bool

    @property
    def carriers(self) -> dict[str, float]:
        """Loadings of the parameters that carry it, by sides: first that of fewer, which rises."""
        size = np.abs(self.loading)
        kept = sorted(np.argsort(-size, kind="stable")[:MOST_CARRIERS])
        kept = [i for i in kept if size[i] >= CARRIES * size.max()]
        sides = [[i for i in kept if sign * self.loading[i] > 0] for sign in (1, -1)]
        ordered = [i for side in sorted(filter(None, sides), key=lambda side: (len(side), side)) for i in side]
        sign = np.sign(self.loading[ordered[0]])
        return {self.names[i]: float(sign * self.loading[i]) for i in ordered}

    @property
    def name(self) -> str:
        """In words: 'E against A and C' where E can rise if A and C fall, 'A with B' where both can rise."""
        carriers = self.carriers
        up = " with ".join(name for name, loading in carriers.items() if loading > 0)
        down = " and ".join(name for name, loading in carriers.items() if loading < 0)
        return f"{up} against {down}" if down else up


def unidentified(
    names: tuple[str, ...],
    posterior: Float[np.ndarray, "parameter parameter"],
    prior: Float[np.ndarray, "parameter parameter"],
) -> list[Direction]:
    """Directions that have not been learned, the least learned first, then groups of parameters known only together.

    Args:
        names: of the parameters; posterior, prior: their covariances.
    """
    values, vectors = np.linalg.eigh(prior)
    root = (vectors * np.sqrt(values)) @ vectors.T
    whiten = (vectors / np.sqrt(values)) @ vectors.T
    ratio = whiten @ posterior @ whiten
    left, basis = np.linalg.eigh(0.5 * (ratio + ratio.T))
    found = []
    for direction in varimax(basis[:, left > UNLEARNED]).T:
        moved = root @ direction / np.sqrt(np.diag(prior))
        contraction = float(direction @ ratio @ direction)
        found.append(Direction(names, moved / np.linalg.norm(moved), contraction, learned=False))
    found.sort(key=lambda one: -one.contraction)
    named = [set(one.carriers) for one in found]
    linked = together(names, posterior, np.sqrt(np.diag(prior)))
    return found + [one for one in linked if not any(set(one.carriers) <= carriers for carriers in named)]


def together(
    names: tuple[str, ...],
    covariance: Float[np.ndarray, "parameter parameter"],
    scale: Float[np.ndarray, " parameter"],
) -> list[Direction]:
    """Groups of parameters that hang together by correlations above 0.9, each along what they have in common.

    Args:
        scale: what the contraction is measured in, prior standard deviations. Loadings of these directions are in
            posterior standard deviations, so that every parameter of a group has its part.
    """
    sd = np.sqrt(np.diag(covariance))
    moving = sd > 0
    safe = np.where(moving, sd, 1.0)
    linked = (np.abs(covariance / safe[:, None] / safe) > TOGETHER) & moving & moving[:, None]
    count, group = connected_components(linked, directed=False)
    found = []
    for number in range(count):
        mine = np.flatnonzero((group == number) & moving)
        if len(mine) > 1:
            inner = covariance[np.ix_(mine, mine)]
            loading = np.zeros(len(names))
            loading[mine] = np.linalg.eigh(inner / sd[mine, None] / sd[mine])[1][:, -1]
            widest = float(np.linalg.eigvalsh(inner / scale[mine, None] / scale[mine])[-1])
            found.append(Direction(names, loading, widest, learned=True))
    return found


def varimax(basis: Float[np.ndarray, "parameter direction"]) -> Float[np.ndarray, "parameter direction"]:
    """The same subspace in the orthonormal basis whose squared loadings vary most (Kaiser 1958)."""
    columns = basis.shape[1]
    if columns < 2:
        return basis
    turn, reached = np.eye(columns), 0.0
    for _ in range(TURNS):
        turned = basis @ turn
        left, strength, right = np.linalg.svd(basis.T @ (turned**3 - turned * (turned**2).mean(axis=0)))
        turn = left @ right
        if strength.sum() <= reached * (1 + 1e-9):
            break
        reached = strength.sum()
    return basis @ turn

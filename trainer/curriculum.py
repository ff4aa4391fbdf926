"""In which order the rows of one source are read: at random, as they lie, or by a score such as their perplexity.

Easy before hard (ascending perplexity) is the curriculum of Llama-3-SynE: Chen et al. 2024 (2407.18743), figure 1.
Scores are made by scores.py, with one number a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainer.mixture import shuffled

RANDOM = "shuffled"
ORIGINAL = "original"
ASCENDING = "ascending"
DESCENDING = "descending"
KINDS = (RANDOM, ORIGINAL, ASCENDING, DESCENDING)
SCORED = (ASCENDING, DESCENDING)


def check_scores(scores: ArrayLike, rows: int, where: str = "scores") -> NDArray[np.float64]:
    """The scores, if they are one finite number a row.

    Args:
        scores: score of every row, of shape (rows,).
        rows: rows of the source.
        where: what is named in an error.

    Raises:
        ValueError: for another shape or type, or naming the first rows whose score is not finite.
    """
    array = np.asarray(scores)
    if array.shape != (rows,):
        raise ValueError(f"{where}: expected one score for each of {rows} rows, got shape {array.shape}; score it anew")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{where}: expected numbers, got {array.dtype}; score it anew")
    broken = np.flatnonzero(~np.isfinite(array))
    if len(broken):
        named = ", ".join(f"row {row}: {array[row]}" for row in broken[:5])
        raise ValueError(f"{where}: expected finite scores, got {len(broken)} that are not ({named}); score it anew")
    return array.astype(np.float64)


def load_scores(path: Path, rows: int) -> NDArray[np.float64]:
    """Read a score file: .npy with one number a row.

    Raises:
        ValueError: if it is no such file, or its scores are not one finite number for each of ``rows`` rows.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: expected a .npy file of scores, got {error}; score it anew") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected a .npy file of scores, got an archive of several; score it anew")
    return check_scores(array, rows, str(path))


@dataclass(frozen=True, eq=False)
class Order:
    """The order of the rows of one source.

    Args:
        kind: ``shuffled``: a permutation of its own for every epoch, the one that a mixture uses by itself;
            ``original``: the order in which they were read before, the same in the new run;
            ``ascending`` or ``descending``: by score, the same in every epoch, rows of equal score as they lie.
        source: name of the source; two sources of one run are permuted differently.
        scores: score of every row, of shape (rows,), for ascending and descending only.
        read_by: (seed, source name) of the earlier run that ``original`` follows, for the replay in its original order
            of Ibrahim et al. 2024 (2403.08763), section 4.2; None if that run read the rows as they lie.

    Raises:
        ValueError: for an unknown kind, or a setting that is missing from its kind or foreign to it.
    """

    kind: str
    source: str
    scores: NDArray[np.float64] | None = None
    read_by: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"order of {self.source}: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        faults = []
        if (self.scores is None) == (self.kind in SCORED):
            has = "none" if self.scores is None else "some"
            faults.append(f"scores: {self.kind} {'needs' if self.kind in SCORED else 'has no use for'} them, got {has}")
        if self.read_by is not None and self.kind != ORIGINAL:
            faults.append(f"read_by: {self.kind} has no use for it, got {self.read_by!r}; it belongs to {ORIGINAL}")
        if faults:
            raise ValueError(f"order of {self.source}: " + "; ".join(faults))
        if self.scores is not None:
            checked = check_scores(self.scores, np.size(self.scores), f"order of {self.source}")
            checked.flags.writeable = False
            object.__setattr__(self, "scores", checked)

    def positions(self, rows: int, epoch: int, seed: int) -> NDArray[np.int64]:
        """Which row is read first, second and so on in an epoch: a permutation of ``range(rows)``.

        Args:
            rows: rows of the source.
            epoch: how often the source has been gone through before.
            seed: seed of the stream.

        Raises:
            ValueError: if there is another number of scores than rows.
        """
        if self.kind == RANDOM:
            return shuffled(seed, self.source, rows, epoch)
        if self.kind == ORIGINAL:
            return np.arange(rows) if self.read_by is None else shuffled(*self.read_by, rows, epoch)
        assert self.scores is not None, f"{self.kind} without scores"
        scores = check_scores(self.scores, rows, f"order of {self.source}")
        # Stable, and negated instead of reversed, so that equal scores keep their order in both directions.
        return np.argsort(scores if self.kind == ASCENDING else -scores, kind="stable")

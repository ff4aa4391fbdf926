"""A mixture steered by what the model has learned: shares follow the validation perplexity of every topic.

Only the first mix of a run is steered, and of its sources only the topics: the others keep their share, and so do the
topics taken together. Later mixes are stages of their own and take over as they stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from trainer.chairman import RESOLUTION, exact_shares
from trainer.evaluate import Loss
from trainer.files import read_json, write_json
from trainer.mixture import Mixture, Phase
from trainer.shares import on_grid
from trainer.topics import TopicController, TopicOptions


class Steering:
    """The stream of a run whose shares a topic controller decides as it goes.

    The log of the controller decides the stream, so a run that is taken up again reads what it would have read: what
    was decided beyond its last state is decided again, from the same perplexities.

    Args:
        options: of the controller.
        path: where its log is kept.
        length: positions in a row, in tokens.
        stream: the stream with the shares of the start, and the later stages.
        validation: fixed rows (n, T + 1) of every topic.
    """

    def __init__(
        self, options: TopicOptions, path: Path, length: int, stream: Mixture, validation: Mapping[str, Tensor]
    ) -> None:
        self._controller = TopicController(options)
        self._path = path
        self._length = length
        self._first = stream
        self.stream = stream
        self._validation = validation

    def take_up(self, tokens: int) -> None:
        """Go on at ``tokens``, with what the log decided before.

        Raises:
            ValueError: if the log was written with other settings, or changed.
        """
        options = self._controller.options
        log = TopicController.from_json(read_json(self._path)).log if tokens and self._path.exists() else []
        self._controller = TopicController(options, [entry for entry in log if entry.tokens < tokens])
        self.stream = self._first
        for entry in self._controller.log:
            self._turn(entry.tokens)

    def update(self, tokens: int, evaluate: Callable[[Tensor], Loss], write: bool) -> None:
        """Measure every topic and decide the shares from here on, if that is due at ``tokens``.

        Args:
            tokens: tokens of the run so far.
            evaluate: loss of the model on rows.
            write: whether this process keeps the log.
        """
        later = self._first.phases[1:]
        if tokens != self._controller.next_tokens or (later and tokens >= later[0].start * self._length):
            return
        self._controller.update({name: math.exp(evaluate(rows).mean) for name, rows in self._validation.items()})
        if write:
            write_json(self._path, self._controller.to_json())
        self._turn(tokens)

    def _turn(self, tokens: int) -> None:
        """Let the shares decided at ``tokens`` hold from there on."""
        entry = next(entry for entry in self._controller.log if entry.tokens == tokens)
        row = tokens // self._length
        if not row:
            return  # the first entry is what later ones are compared with
        mix = exact_shares(self._first.phases[0].shares)
        joint = sum((mix[name] for name in entry.after), Fraction())
        steered = on_grid(mix | {name: joint * share for name, share in entry.after.items()}, RESOLUTION)
        shares = {name: float(share) for name, share in steered.items()}
        later = [Phase(phase.start - row, phase.shares) for phase in self._first.phases[1:]]
        old = self.stream
        left = len(self._first) - row
        self.stream = Mixture(
            (Phase(0, shares), *later), old.rows, left, old.seed, (old, row), old.orders, old.max_epochs
        )

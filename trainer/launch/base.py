"""What a launcher is: something that executes runs elsewhere, behind submit, poll and cancel."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from trainer.prepare import DataSpec
from trainer.spec import Spec

POLL_SECONDS = 1.0
"""How long a launcher that cannot be woken waits between two looks at its runs."""

Kind = Literal["pending", "running", "done", "failed", "lost"]


@dataclass(frozen=True)
class State:
    """Where a submitted run stands.

    ``failed`` is the run's own doing (it diverged, its data are unusable): the same run would fail again. ``lost`` is
    not: its process was killed or preempted and left no word, so the run goes on from its checkpoint when submitted
    again.

    Args:
        kind: ``pending`` and ``running`` may change, the others are final.
        tokens: tokens seen so far, where that is known.
        reason: why it failed or how it was lost.
    """

    kind: Kind
    tokens: int | None = None
    reason: str = ""


Handle = TypeVar("Handle")


class Launcher(ABC, Generic[Handle]):
    """Executes runs, each through :func:`trainer.launch.perform.perform`.

    A launcher knows nothing of the order of runs or of the table: that is the sweep's. A new one is one file with a
    subclass of this and of its options, and one name in ``LAUNCHERS``.

    Args:
        options: its own options, an instance of ``Options``.
        data: corpora and tokenizer, prepared in ``out``.
        out: the folder of the study; absolute, because runs may execute in another folder.
        count: how many runs are to come, so that no more is started than they need.
    """

    Options: ClassVar[type[Any]]
    """A frozen dataclass of simple fields, all with defaults, that raises ValueError for values out of range."""

    def __init__(self, options: Any, data: DataSpec, out: Path, count: int) -> None:
        self.options = options
        self.data = data
        self.out = out
        self.count = count

    @property
    def capacity(self) -> int | None:
        """How many runs it takes at once; None if it has a queue of its own."""
        return None

    @abstractmethod
    def submit(self, spec: Spec) -> Handle:
        """Have a run executed; returns at once."""

    @abstractmethod
    def poll(self, handle: Handle) -> State:
        """Where a run stands; returns at once."""

    @abstractmethod
    def cancel(self, handle: Handle) -> None:
        """End a run. Its claim is free when it has ended; its checkpoint stays."""

    @abstractmethod
    def close(self) -> None:
        """Give back processes and connections; runs that were not cancelled may go on if they can."""

    def adopt(self, spec: Spec) -> Handle | None:
        """The handle of a run that an earlier driver submitted and that is still queued or at work, if known."""
        return None

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Runs submitted inside may be handed over together when the block ends; no polling inside."""
        yield

    def wait(self) -> None:
        """Return when the state of some run may have changed."""
        time.sleep(POLL_SECONDS)

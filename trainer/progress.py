"""What a sweep shows: runs done, tokens per second, time left. One line on a terminal, many elsewhere."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from trainer.spec import Spec

EARLIEST_ESTIMATE = 0.01
"""Share of the work that must be done before the time left is shown."""


def duration(seconds: float) -> str:
    """Seconds as ``1 h 02 min`` or ``3 min 20 s``."""
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


class Progress:
    """Progress of a sweep.

    Time left is what remains in FLOPs at the rate since the first run started: sizes differ in cost.

    Args:
        console: where to write.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._total = 0
        self._done = 0
        self._flops_left = 0.0
        self._flops_done = 0.0
        self._tokens_done = 0
        self._current: dict[str, tuple[Spec, int]] = {}
        self._began: float | None = None
        self._printed = 0.0

    def begin(self, specs: list[Spec], finished: set[str]) -> None:
        """Take note of all runs and of those that need no training."""
        self._total, self._done = len(specs), len(finished)
        self._flops_left = sum(spec.flops for spec in specs if spec.run_id not in finished)
        self._console.print(f"{self._total} runs, {self._done} already trained", highlight=False)
        if self._console.is_terminal and self._flops_left:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def say(self, line: str) -> None:
        """One line on what is being done."""
        self._console.print(line, highlight=False)

    def started(self, spec: Spec) -> None:
        """A run has been handed to a worker."""
        self._began = self._began or time.monotonic()
        self._current[spec.run_id] = (spec, 0)

    def tick(self, spec: Spec, tokens: int) -> None:
        """A run has seen this many tokens."""
        before = self._current[spec.run_id][1]
        self._current[spec.run_id] = (spec, tokens)
        self._tokens_done += tokens - before
        self._flops_done += spec.flops * (tokens - before) / spec.training.tokens
        self._show()

    def done(self, spec: Spec) -> None:
        """A run is finished."""
        self.tick(spec, spec.training.tokens)
        del self._current[spec.run_id]
        self._done += 1
        self._show(always=True)

    def failed(self, spec: Spec, reason: str) -> None:
        """A run has failed; what it still had to do is no longer waited for."""
        _, tokens = self._current.pop(spec.run_id, (spec, 0))
        self._flops_left -= spec.flops * (1 - tokens / spec.training.tokens)
        self._console.print(Text(f"failed: {spec.run_id}: {reason}"))

    def end(self, rows: int, table: Path) -> None:
        """The sweep is over."""
        if self._live is not None:
            self._live.stop()
        took = f" in {duration(time.monotonic() - self._began)}" if self._began is not None else ""
        self._console.print(
            f"{self._done} of {self._total} runs trained{took}; {rows} rows in {table}", highlight=False
        )

    def _show(self, always: bool = False) -> None:
        assert self._began is not None
        elapsed = time.monotonic() - self._began
        line = f"{self._done} of {self._total} runs, {self._tokens_done / max(elapsed, 1e-9):,.0f} tokens/s"
        # Before that, the start of the processes is most of the time and the estimate is hours too long.
        if self._flops_done > EARLIEST_ESTIMATE * self._flops_left:
            left = (self._flops_left - self._flops_done) * elapsed / self._flops_done
            line += f", about {duration(left)} left"
        if self._live is not None:
            self._live.update(Text(f"{line}  [{', '.join(self._current)}]"))
        elif always or time.monotonic() - self._printed > 15:
            self._printed = time.monotonic()
            self._console.print(line, highlight=False)

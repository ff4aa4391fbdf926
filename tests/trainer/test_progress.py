from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from trainer.bases import BaseSpec
from trainer.progress import Progress, duration
from trainer.schedule import Constant
from trainer.training import Training


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3725, "1 h 02 min"), (-3, "0 s")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_time_left_is_in_proportion_to_the_work_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    training = Training(6400, 16, 4, 1e-3, Constant(64), first_evaluation=64)
    small, large = (BaseSpec(width, 280, "general", "key", 0, training) for width in (32, 64))
    written = io.StringIO()
    progress = Progress(Console(file=written, width=200))
    progress.begin([small, large], set())
    progress.started(small)
    now = 110.0
    progress.done(small)
    progress.started(large)
    shown = re.search(r"1 of 2 runs, 640 tokens/s, about (.*) left", written.getvalue())
    assert shown
    assert shown[1] == duration(10 * large.flops / small.flops)
    progress.failed(large, "because")
    progress.end(3, Path("rows.parquet"))
    assert f"failed: {large.run_id}: because" in written.getvalue()
    assert "1 of 2 runs trained in 10 s; 3 rows in rows.parquet" in written.getvalue()

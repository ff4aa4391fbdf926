"""Event files as TensorBoard, its own writer for any framework and PyTorch write them; restarts; damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorboard", exc_type=ImportError)

Import = Callable[..., Any]
Events = list[tuple[str, float, int]]
FIRST: Events = [("eval/general_loss", 2.0, 0), ("eval/law_loss", 3.0, 0), ("eval/general_loss", 2.25, 100)]
FIRST += [("eval/law_loss", 2.5, 100), ("note", 1.0, 100)]
WANTED = {(0, "general"): 2.0, (0, "domain"): 3.0, (100_000, "general"): 2.25, (100_000, "domain"): 2.5}


def write_events(folder: Path, events: Events, suffix: str = "") -> Path:
    """Scalars of the first format, by TensorBoard's own writer of files."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), filename_suffix=suffix)
    for tag, value, step in events:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(step=step, wall_time=float(step), summary=summary))
    writer.close()
    (path,) = folder.glob(f"*tfevents*{suffix}")
    return path


def test_scalars_of_the_first_format(tmp_path: Path, imported: Import, losses: Import) -> None:
    path = write_events(tmp_path, FIRST)
    for source in (tmp_path, path):
        found = imported(source)
        assert losses(found) == WANTED
        assert found.notes == ()
    assert "event 4, eval/general_loss (step 100)" in found.places[2]


def test_scalars_of_the_second_format(tmp_path: Path, imported: Import, losses: Import) -> None:
    summary = pytest.importorskip("tensorboard.summary")
    writer = summary.Writer(str(tmp_path))
    for tag, value, step in FIRST:
        writer.add_scalar(tag, value, step)
    writer.close()
    assert losses(imported(tmp_path)) == WANTED


def test_what_pytorch_writes(tmp_path: Path, imported: Import, losses: Import) -> None:
    pytest.importorskip("torch")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for tag, value, step in FIRST:
            writer.add_scalar(tag, value, step)
        writer.add_text("args", "x")
    assert losses(imported(tmp_path)) == WANTED


def test_more_steps_than_tensorboard_shows_are_all_read(tmp_path: Path, imported: Import) -> None:
    write_events(tmp_path, [(f"eval/{name}_loss", 2.0, step) for step in range(1200) for name in ("general", "law")])
    assert len(imported(tmp_path).frame) == 2400


def test_a_restart_counts_as_it_was_last(tmp_path: Path, imported: Import, losses: Import) -> None:
    write_events(tmp_path, FIRST, ".1")
    write_events(tmp_path, [("eval/law_loss", 2.375, 100), ("eval/law_loss", float("nan"), 200)], ".2")
    write_events(tmp_path, [("eval/law_loss", 2.125, 200)], ".3")
    found = imported(tmp_path)
    assert losses(found) == WANTED | {(100_000, "domain"): 2.375, (200_000, "domain"): 2.125}
    assert "2 losses logged again, the last counts, they differ by at most 0.125 nats" in found.notes[0]


def test_damage_is_told_and_rubbish_refused(tmp_path: Path, imported: Import, refused: Import) -> None:
    path = write_events(tmp_path, FIRST)
    content = path.read_bytes()
    path.write_bytes(content[:-7])  # a writer that was killed: what it finished is whole
    assert len(imported(path).frame) == 4
    place = content.rindex(b"note")
    path.write_bytes(content[:place] + b"X" + content[place + 1 :])
    (note,) = imported(path).notes
    assert "is damaged: read 5 of its 6 events" in note
    path.write_bytes(b"rubbish")
    (fault,) = refused(path)
    assert fault.code == "not_this_format"


def test_runs_in_folders_below_are_to_be_named(tmp_path: Path, refused: Import) -> None:
    write_events(tmp_path / "one", FIRST)
    (fault,) = refused(tmp_path, **{"from": "tensorboard"})
    assert "found some in one; name each run as a source of its own" in fault.message


def test_tokens_may_be_a_scalar(tmp_path: Path, imported: Import) -> None:
    write_events(tmp_path, [*FIRST, ("tokens", 0.0, 0), ("tokens", 50_000.0, 100)])
    found = imported(tmp_path, tokens_per_step=None, columns={"tokens": "tokens"})
    assert found.frame["tokens"].tolist() == [0, 0, 50_000, 50_000]

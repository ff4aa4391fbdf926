from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.launch.claim import ClaimedError, claim, claimed, holder, remove_leftovers

HOLD = """
import sys, time
from pathlib import Path
from trainer.launch.claim import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_holds_a_claim_until_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert not claimed(folder)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert claimed(folder)
        assert str(other.pid) in holder(folder)
        with pytest.raises(ClaimedError, match=f"process {other.pid}"), claim(folder, seconds=0.1):
            pass
        other.kill()
        # It waits for the kernel to free the lock, and gets it.
        with claim(folder, seconds=10):
            assert claimed(folder)
            assert claimed(folder)  # asking does not change the answer
    assert not claimed(folder)


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    for name in (".rows.parquet.abc.tmp", "rows.parquet", ".lock"):
        (tmp_path / name).touch()
    (tmp_path / ".model.123.tmp").mkdir()  # a checkpoint of several files
    (tmp_path / ".model.123.tmp" / "config.json").touch()
    remove_leftovers(tmp_path, 3600)
    assert (tmp_path / ".model.123.tmp").exists()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "rows.parquet"]

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.process import keep_memory

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc and prctl are Linux's")

PARENT = """
import subprocess, sys, time
child = '''
import os, sys, time
from trainer.process import die_with
die_with(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
'''
import os
subprocess.Popen([sys.executable, "-c", child, str(os.getpid())])
time.sleep(60)
"""


@linux
def test_the_allocator_takes_its_settings() -> None:
    assert keep_memory() == (platform.libc_ver()[0] == "glibc")


@linux
def test_a_child_dies_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().strip()
        assert child.exists()
        parent.kill()
    deadline = time.monotonic() + 10
    while child.exists():
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.01)

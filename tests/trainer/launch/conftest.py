from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainer.bases import BaseSpec
from trainer.launch import launcher_class
from trainer.launch.base import Launcher, State
from trainer.launch.claim import claimed
from trainer.launch.options import read_options
from trainer.prepare import prepare
from trainer.records import Record
from trainer.study import Study, parse_study

LONG_TOKENS = 64_000_000
"""Of a run that does not end by itself within a test."""


def until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        time.sleep(0.05)


def final(launcher: Launcher[Any], handle: Any) -> State:
    """The final state of a run."""
    found: list[State] = []

    def ended() -> bool:
        found[:] = [launcher.poll(handle)]
        return found[0].kind not in ("pending", "running")

    until(ended, "the run has ended")
    return found[0]


def longer(base: BaseSpec, tokens: int = LONG_TOKENS) -> BaseSpec:
    """The same base with more tokens, measured ten times."""
    return replace(base, training=replace(base.training, tokens=tokens, evaluations=10))


def training(out: Path, base: BaseSpec) -> bool:
    """Whether a run is being trained and has a checkpoint."""
    record = Record(out, base)
    return claimed(record.folder) and record.checkpoint.exists()


@pytest.fixture
def study(tmp_path: Path, study_content: dict[str, Any]) -> Study:
    study = parse_study(study_content, tmp_path)
    prepare(study.data, tmp_path / "out", study.corpora, lambda line: None)
    return study


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """A Ray cluster of one small node on this machine."""
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    yield cluster.address
    cluster.shutdown()


Start = Callable[[str, Study, Path], Launcher[Any]]


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts the launcher of a name, on this machine."""
    started: list[Launcher[Any]] = []

    def start(name: str, study: Study, out: Path) -> Launcher[Any]:
        if name != "local":
            pytest.importorskip(name)
        texts = {"local": ["workers=1"], "submitit": ["cluster=local", "parallel=2"]}.get(name, [])
        if name == "ray":
            texts = [f"address={request.getfixturevalue('ray_address')}"]
        launcher = launcher_class(name)
        started.append(launcher(read_options(name, launcher.Options, texts), study.data, out, 2))
        return started[-1]

    yield start
    for launcher in started:
        launcher.close()

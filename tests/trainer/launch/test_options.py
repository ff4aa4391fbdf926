from __future__ import annotations

from dataclasses import fields

import pytest

from trainer.launch import LAUNCHERS, launcher_class
from trainer.launch.options import read_options


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_launcher_names_and_checks_its_options(name: str) -> None:
    if name != "local":
        pytest.importorskip(name)
    options = launcher_class(name).Options
    assert read_options(name, options, []) == options()
    assert options.__doc__
    assert all(f"{field.name}:" in options.__doc__ or f"{field.name}" in options.__doc__ for field in fields(options))
    with pytest.raises(ValueError, match=f"launcher {name}: unknown option 'colour'; known are "):
        read_options(name, options, ["colour=red"])


def test_values_are_converted_and_every_fault_is_named() -> None:
    options = launcher_class("local").Options
    assert read_options("local", options, ["workers=3"]).workers == 3
    with pytest.raises(ValueError, match=r"workers: expected a whole number, got 'many'; 'x': expected key=value"):
        read_options("local", options, ["workers=many", "x"])
    found = read_options("local", options, ["device=cpu", "compile=true"])
    assert (found.device, found.compile) == ("cpu", True)
    with pytest.raises(ValueError, match="compile: expected true or false, got 'yes'"):
        read_options("local", options, ["compile=yes"])
    with pytest.raises(ValueError, match="launcher local: device: expected one of auto, cpu, cuda, got 'tpu'"):
        read_options("local", options, ["device=tpu"])
    with pytest.raises(ValueError, match="workers: given twice"):
        read_options("local", options, ["workers=1", "workers=2"])
    with pytest.raises(ValueError, match="launcher local: workers: expected at least 0, got -1"):
        read_options("local", options, ["workers=-1"])


def test_an_unknown_launcher_is_refused() -> None:
    with pytest.raises(ValueError, match="no launcher 'cloud'; there are local, submitit, ray"):
        launcher_class("cloud")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAUNCHERS, "far", ("nowhere.to_be_found", "Far"))
    with pytest.raises(ValueError, match=r"launcher far: the package nowhere is not installed; pip install"):
        launcher_class("far")


def test_what_only_slurm_has_is_refused_without_slurm() -> None:
    pytest.importorskip("submitit")
    options = launcher_class("submitit").Options
    with pytest.raises(ValueError, match="partition, qos: only Slurm has that"):
        read_options("submitit", options, ["cluster=local", "partition=gpu", "qos=high"])
    with pytest.raises(ValueError, match="cluster: expected one of slurm, local"):
        read_options("submitit", options, ["cluster=here"])

from __future__ import annotations

import pytest

from bayescpt.cli.sampling import device_flags, in_background


def test_a_device_a_chain_and_what_was_there_stays() -> None:
    assert device_flags("", 4) == "--xla_force_host_platform_device_count=4"
    assert device_flags("--xla_a=1", 2) == "--xla_a=1 --xla_force_host_platform_device_count=2"
    assert device_flags("--xla_force_host_platform_device_count=8", 2) == "--xla_force_host_platform_device_count=8"


def test_errors_of_the_background_reach_the_foreground() -> None:
    assert in_background(lambda: 3, "counting")[0] == 3
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 // 0, "dividing")

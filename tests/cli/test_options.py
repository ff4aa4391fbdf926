from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.cli.next import next_
from bayescpt.cli.options import bounded, count, forgetting
from bayescpt.cli.plan import plan
from bayescpt.decide.plan import CONFIDENCE
from bayescpt.design.select import LEAST_GAIN, POWER


@given(st.integers(1, 10**6), st.sampled_from([("", 1), ("k", 10**3), ("M", 10**6), ("B", 10**9), ("T", 10**12)]))
def test_counts(number: int, suffix: tuple[str, int]) -> None:
    assert count("--size", f"{number}{suffix[0]}") == number * suffix[1]
    assert count("--size", f" {number}.0{suffix[0].lower()} ") == number * suffix[1]


@pytest.mark.parametrize(
    ("text", "value"),
    [("590720", 590720), ("1e9", 1e9), ("1.5B", 1.5e9), ("1.1b", 1.1e9), (".5M", 5e5), ("2.5e-1M", 25e4)],
)
def test_counts_in_other_spellings(text: str, value: float) -> None:
    assert count("--size", text) == value


@pytest.mark.parametrize(
    "text", ["", "0", "0.59", "-3", "1,000", "B", "1.5 billion", "nan", "inf", "1e999", "1e9x", "١"]
)
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--tokens: expected a count of at least 1"):
        count("--tokens", text)


def test_forgetting_in_nats_and_relative() -> None:
    assert forgetting("-", "0.05") == (0.05, False)
    assert forgetting("-", "3%") == (0.03, True)
    assert forgetting("-", "0") == (0.0, False)
    for text in ("", "%", "-1%", "nan", "inf", "three", "1e999"):
        with pytest.raises(ValueError, match="at least 0"):
            forgetting("-", text)


def test_bounds() -> None:
    assert bounded("--chains", 1, 1) == 1
    assert bounded("--multiplier", math.inf, 0, math.inf, False, True) == math.inf
    with pytest.raises(ValueError, match="--target-accept: expected a number above 0 and below 1, got 1"):
        bounded("--target-accept", 1, 0, 1, False)
    with pytest.raises(ValueError, match="--multiplier: expected a number above 0, got 0"):
        bounded("--multiplier", 0, 0, math.inf, False, True)
    for value in (math.nan, math.inf, -1):
        with pytest.raises(ValueError, match="--tolerance: expected a number at least 0 and finite, got"):
            bounded("--tolerance", value, 0)


def test_defaults_are_the_librarys() -> None:
    # written out on the command line, which answers --help without loading the library
    def default(command: Callable[..., Any], name: str) -> Any:
        return inspect.signature(command).parameters[name].default

    assert default(next_, "power") == POWER
    assert default(next_, "least_gain") == LEAST_GAIN
    assert f"is to hold: {CONFIDENCE:g}." in inspect.signature(plan).parameters["confidence"].annotation

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.report.units import count

SCALES = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@pytest.mark.parametrize(
    ("value", "said"),
    [(590720, "591k"), (204800, "205k"), (1.5e9, "1.5B"), (999, "999"), (999_999, "1M"), (98624, "98.6k"), (7, "7")],
)
def test_counts_are_said_as_people_say_them(value: float, said: str) -> None:
    assert count(value) == said


@given(st.floats(1, 9e14))
def test_what_is_said_is_within_half_a_percent(value: float) -> None:
    said = count(value)
    number = float(said[:-1]) * SCALES[said[-1]] if said[-1] in SCALES else float(said)
    assert number == pytest.approx(value, rel=0.0051)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.report.units import at_least, count, decided_share, odds, percent

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


@pytest.mark.parametrize(
    ("ratio", "said"), [(0.65625, "65.6"), (0.66999, "66.9"), (0.29, "29.0"), (0.0, "0.0"), (1.0, "100.0")]
)
def test_a_decided_share_is_never_said_to_be_more(ratio: float, said: str) -> None:
    assert decided_share(ratio) == f"{said}\u00a0%"


@pytest.mark.parametrize(
    ("probability", "said", "short"),
    [
        (0.9155, "0.91", "91%"),
        (0.8999, "0.89", "89%"),
        (0.9, "0.90", "90%"),
        (0.29, "0.29", "29%"),
        (0.99, "0.99", "99%"),
        (0.9951, "above 0.99", ">99%"),
        (1.0, "above 0.99", ">99%"),
        (0.004, "below 0.01", "<1%"),
        (0.0, "below 0.01", "0%"),
    ],
)
def test_odds_are_rounded_down_and_never_certain(probability: float, said: str, short: str) -> None:
    assert (odds(probability), percent(probability)) == (said, short)


def test_the_least_of_several_odds() -> None:
    assert (at_least(0.9155), at_least(1.0)) == ("0.91 or more", "above 0.99")


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_is_said_is_never_above_what_is(value: float, confidence: float) -> None:
    assert float(decided_share(value).split("\u00a0")[0]) <= 100 * value + 1e-6
    if value < confidence - 1e-6:
        assert odds(value) != f"{confidence:g}"

"""The last phase of a run as covariates: from rows, and at a question's point."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bayescpt.data.table import Table
from bayescpt.laws import LAWS
from bayescpt.model.covariates import COVARIATES, Question, covariates_of
from bayescpt.schema import GENERAL
from tests.tables import with_every_column

PART, SHARE = COVARIATES["phase_part"], COVARIATES["phase_share"]


@pytest.fixture(scope="module")
def told() -> Table:
    return with_every_column()


def place(told: Table, ratio: float, **stated: Any) -> Question:
    return Question(told, "code", 1e5, 1.6e5, np.array([[ratio]]), stated)


def test_rows_tell_the_part_and_the_own_share_of_their_last_phase(told: Table) -> None:
    given = covariates_of(told, LAWS["phased"])
    late, domain = told.ratio > 0.5, told.target == 1
    np.testing.assert_allclose(given["phase_part"], np.where(late, 0.25, 0.0))
    np.testing.assert_allclose(given["phase_share"][late], np.where(domain, 1.0, 0.0)[late])
    np.testing.assert_allclose(given["phase_share"][~late], told.share[~late])
    for name in ("phase_start", "phase_ratio"):
        with pytest.raises(ValueError, match=f"the column {name} is needed"):
            covariates_of(replace(told, **{name: None}), LAWS["phased"])


def test_a_question_states_both_or_neither(told: Table) -> None:
    assert PART.asked(place(told, 0.3)) == 0
    assert SHARE.asked(place(told, 0.3)) == 0.3
    phased = place(told, 0.3, phase_part=0.2, phase_ratio=0.9)
    assert (PART.asked(phased), SHARE.asked(phased)) == (0.2, 0.9)
    assert SHARE.asked(phased._replace(target=GENERAL)) == pytest.approx(0.1)
    assert PART.along(phased) == 0
    # of no length, whatever its share
    assert SHARE.asked(place(told, 0.3, phase_part=0.0, phase_ratio=0.9)) == 0.3
    for stated, match in (
        ({"phase_part": 0.2}, "phase_ratio must be stated too"),
        ({"phase_ratio": 0.2}, "phase_part must be stated too"),
        ({"phase_part": 1, "phase_ratio": -0.1}, r"phase_part must be in \[0, 1\), got 1; phase_ratio must be in \[0"),
        ({"phase_part": "half", "phase_ratio": 0.5}, "phase_part must be in .*got half"),
    ):
        with pytest.raises(ValueError, match=match):
            PART.asked(place(told, 0.3, **stated))


@pytest.mark.parametrize(("ratio", "late"), [(0.1, 0.9), (0.95, 0.2)])
def test_a_mean_that_no_trunk_leads_to_is_refused(told: Table, ratio: float, late: float) -> None:
    with pytest.raises(ValueError, match=f"of a run of ratio {ratio:g} the last 0.2 cannot have the ratio {late:g}"):
        SHARE.asked(place(told, ratio, phase_part=0.2, phase_ratio=late))

from __future__ import annotations

import json

import numpy as np
import pytest

from bayescpt.ask.answer import ratio_answer, summary


def test_summary_of_known_draws() -> None:
    value = np.linspace(0, 1, 101)
    answer = ratio_answer("q", value, value == 0, value > 0.9, domain="code", size=1e9, tokens=2e9, tolerance=0.05)
    told = summary(answer)
    keys = ["domain", "size", "tokens", "tolerance", "mean", "q05", "q50", "q95", "p_none", "p_all"]
    assert list(told) == keys
    assert [told[k] for k in keys[:4]] == ["code", 1e9, 2e9, 0.05]
    assert [told[k] for k in keys[4:]] == pytest.approx([0.5, 0.05, 0.5, 0.95, 1 / 101, 10 / 101])
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_answer_names_its_question_and_unit() -> None:
    none = np.array([True, False])
    answer = ratio_answer("a question", np.array([0.0, 0.5]), none, ~none)
    assert answer["value"].dims == ("sample",)
    assert answer["value"].attrs == {"unit": "share of domain tokens", "question": "a question"}
    assert "question" not in summary(answer)

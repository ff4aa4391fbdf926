from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayescpt.ask import summarise
from bayescpt.data import Table
from bayescpt.fit import Fit
from bayescpt.report.curves import along_ratio, along_tokens, measured

from .conftest import RATIOS, TOKENS, rows


def test_measured_is_the_rows_of_that_domain_size_and_target(table: Table) -> None:
    seen = measured(table, "code", 6e5, "general")
    source = rows().query("domain == 'code' and size == 6e5 and target == 'general' and tokens > 0")
    order = ["ratio", "tokens"]
    pd.testing.assert_frame_equal(
        seen[["ratio", "tokens", "loss"]].sort_values(order, ignore_index=True),
        source[["ratio", "tokens", "loss"]].sort_values(order, ignore_index=True),
    )
    assert measured(table, "code", 7e5, "general").empty
    assert measured(table, "poems", 6e5, "general").empty


def test_runs_of_one_requested_ratio_share_a_run_ratio() -> None:
    frame = rows()
    again = frame[(frame["ratio"] == 0.25) & (frame["tokens"] > 0)].assign(ratio=0.256)
    again["run"] += "-again"
    seen = measured(Table.from_frame(pd.concat([frame, again])), "code", 1e5, "domain")
    assert set(seen["run_ratio"]) == set(RATIOS)
    assert set(seen["ratio"]) == {*RATIOS, 0.256}
    assert (seen.loc[seen["ratio"] == 0.256, "run_ratio"] == 0.25).all()


def test_along_ratio_runs_from_none_to_all_at_the_asked_point(drawn: Fit) -> None:
    curve = along_ratio(drawn, "code", 1e5, 2e5, "domain")
    assert (curve["ratio"].iloc[0], curve["ratio"].iloc[-1]) == (0, 1)
    assert curve["ratio"].is_monotonic_increasing
    point = pd.DataFrame({"domain": ["code"], "size": [1e5], "ratio": [0.5], "tokens": [2e5], "target": ["domain"]})
    there = curve[np.isclose(curve["ratio"], 0.5)]
    assert there["q50"].item() == pytest.approx(summarise(drawn, point)["q50"].item(), rel=1e-5)


def test_along_tokens_spans_the_asked_range_for_each_ratio(drawn: Fit) -> None:
    curves = along_tokens(drawn, "code", 1e5, np.array([0.25, 0.75]), TOKENS[0], TOKENS[-1], "general")
    for _, curve in curves.groupby("ratio"):
        assert curve["tokens"].iloc[[0, -1]].tolist() == pytest.approx([TOKENS[0], TOKENS[-1]])
        assert np.ptp(np.diff(np.log(curve["tokens"]))) < 1e-9
    ends = curves[np.isclose(curves["tokens"], TOKENS[-1])].set_index("ratio")["q50"]
    assert ends[0.75] > ends[0.25], "more domain data cannot help the general loss under this law"

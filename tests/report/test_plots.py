from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescpt.ask.answer import ratio_answer
from bayescpt.fit import Fit
from bayescpt.report import Answers, plots
from bayescpt.report.curves import along_ratio, along_tokens, measured

from .conftest import RATIOS, TOKENS


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def extent(band: object) -> np.ndarray:
    """Lowest and highest y of a filled band at each x."""
    points = band.get_paths()[0].vertices  # type: ignore[attr-defined]
    xs = np.unique(points[:, 0])
    return np.array([(points[points[:, 0] == x, 1].min(), points[points[:, 0] == x, 1].max()) for x in xs])


def test_a_ratio_panel_shows_rows_median_and_both_bands(axes: Axes, drawn: Fit) -> None:
    rows = measured(drawn.table, "code", 1e5, "general").query("tokens == 2e5")
    curve = along_ratio(drawn, "code", 1e5, 2e5, "general")
    assert plots.ratio_panel(axes, rows, curve, 2e5, "general") is axes
    light, dark = axes.collections
    assert extent(light) == pytest.approx(curve[["pred_q05", "pred_q95"]].to_numpy())
    assert extent(dark) == pytest.approx(curve[["q05", "q95"]].to_numpy())
    assert light.get_alpha() < dark.get_alpha()
    line, dots = axes.lines
    assert line.get_ydata() == pytest.approx(curve["q50"].to_numpy())
    assert sorted(np.asarray(dots.get_ydata())) == pytest.approx(sorted(rows["loss"]))
    assert axes.get_xlabel() == "share of domain data (%)"
    assert axes.get_ylabel() == "general loss at 200k tokens\n(nats/token)"
    low, high = axes.get_ylim()
    assert rows["loss"].between(low, high).all()


def test_a_ratio_panel_without_rows_still_shows_the_curve(axes: Axes, drawn: Fit) -> None:
    curve = along_ratio(drawn, "code", 1e5, 3e5, "domain")
    rows = measured(drawn.table, "code", 1e5, "domain").query("tokens == 3e5")
    plots.ratio_panel(axes, rows, curve, 3e5, "domain")
    low, high = axes.get_ylim()
    assert low < curve["pred_q05"].min()
    assert curve["pred_q95"].max() < high


def test_a_token_panel_has_a_log_axis_and_a_colour_for_each_ratio(axes: Axes, drawn: Fit) -> None:
    rows = measured(drawn.table, "code", 1e5, "domain")
    curves = along_tokens(drawn, "code", 1e5, np.array(RATIOS), TOKENS[0], TOKENS[-1], "domain")
    assert plots.token_panel(axes, rows, curves, "domain") is axes
    assert axes.get_xscale() == "log"
    assert "tokens" in axes.get_xlabel()
    assert axes.get_ylabel() == "domain loss\n(nats/token)"
    assert len(axes.collections) == 2 * len(RATIOS)
    lines, dots = axes.lines[::2], axes.lines[1::2]
    assert len({line.get_color() for line in lines}) == len(RATIOS)
    for line, marks, ratio in zip(lines, dots, RATIOS, strict=True):
        assert line.get_color() == marks.get_color()
        assert sorted(np.asarray(marks.get_ydata())) == sorted(rows[rows["run_ratio"] == ratio]["loss"])


def test_the_budget_line_lies_its_budget_above_the_base(axes: Axes) -> None:
    plots.draw_base(axes, 3.1, 0.05)
    assert [line.get_ydata()[0] for line in axes.lines] == pytest.approx([3.1, 3.15])  # type: ignore[index]
    assert [line.get_linestyle() for line in axes.lines] == [":", "--"]


def test_without_a_budget_there_is_no_budget_line(axes: Axes) -> None:
    plots.draw_base(axes, 4.5, None)
    assert len(axes.lines) == 1


def posterior(values: list[float]) -> xr.Dataset:
    none = np.array(values) == 0
    return ratio_answer("a ratio", np.array(values), none, ~none, domain="code")


def test_bars_span_the_intervals_below_the_curves(axes: Axes) -> None:
    axes.set_ylim(2.0, 4.0)
    plots.intervals_on_ratio(axes, posterior(np.linspace(0.2, 0.6, 101).tolist()), posterior([0.0] * 50))
    spans = [bar.get_paths()[0].vertices[:, 0] for bar in axes.collections]
    assert (spans[0].min(), spans[0].max()) == pytest.approx((0.22, 0.58))
    assert spans[1].min() == 0, "a ratio that is surely 0 stands at 0"
    assert spans[1].max() > 0, "and can be seen"
    low, high = axes.get_ylim()
    tops = [bar.get_paths()[0].vertices[:, 1].max() for bar in axes.collections]
    assert low + max(tops) * (high - low) < 2.0
    medians = [line.get_xdata()[0] for line in axes.lines]  # type: ignore[index]
    assert medians == pytest.approx([0.4, 0.4, 0.0, 0.0])


def test_bars_of_an_answer_show_its_summary(axes: Axes, answers: list[Answers]) -> None:
    plots.intervals_on_ratio(axes, answers[0].ratio, answers[0].critical)
    low, high = np.quantile(answers[0].ratio["value"], (0.05, 0.95))
    xs = axes.collections[0].get_paths()[0].vertices[:, 0]
    assert (xs.min(), xs.max()) == pytest.approx((low, max(high, low + 0.005)))

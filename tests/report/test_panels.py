"""Panels of the report show the numbers they were given, on axes with units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayescpt.ask.answer import ratio_answer
from bayescpt.data import Table
from bayescpt.decide import ForgettingBudget, Plan, pareto_front, plan, ratios
from bayescpt.design import NextRuns
from bayescpt.design.branches import completed
from bayescpt.fit import Fit
from bayescpt.report import (
    extent_panel,
    front_panel,
    gains_panel,
    intervals_panel,
    odds_panel,
    plots,
    posterior_panel,
    rank_figure,
    regret_panel,
    worst_parameters,
)


@pytest.fixture
def axes() -> Iterator[Axes]:
    figure = Figure()
    yield figure.subplots()
    figure.canvas.draw()  # what cannot be drawn fails here


def answer(values: np.ndarray) -> xr.Dataset:
    return ratio_answer("a ratio", values, values == 0, values == 1, domain="code")


def test_a_posterior_shows_the_mass_on_its_ends(axes: Axes) -> None:
    values = np.concatenate([np.zeros(10), np.full(60, 0.505), np.ones(30)])
    assert posterior_panel(axes, answer(values), plots.RATIO) is axes
    steps, _ = axes.patches[:2]
    assert steps.get_data().values.sum() == pytest.approx(0.6)  # type: ignore[attr-defined]
    ends = {round(bar.get_x() + bar.get_width() / 2, 3): bar.get_height() for bar in axes.patches[2:]}  # type: ignore[attr-defined]
    assert ends == {-0.038: pytest.approx(0.1), 1.038: pytest.approx(0.3)}
    assert axes.lines[0].get_xdata()[0] == pytest.approx(0.505)  # type: ignore[index]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("share of domain data (%)", "probability (%)")
    before = len(axes.patches)
    posterior_panel(axes, answer(np.full(9, 0.5)), plots.CRITICAL, filled=False)
    assert len(axes.patches) == before + 1


def test_intervals_stand_in_order_with_the_population_last(axes: Axes) -> None:
    spread = np.linspace(0.2, 0.6, 101)
    ratio = {"code": answer(spread), "$x$": answer(np.zeros(10))}
    new = answer(np.linspace(0.0, 1.0, 101)), answer(spread)
    assert intervals_panel(axes, ratio, ratio, new, marked=("code",)) is axes
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == ["code", "$x$", "a new domain"]
    assert labels[0].get_fontweight() == "bold"
    low, high = axes.get_ylim()
    assert low > high, "from the top"
    bars = [bar for bar in axes.patches if bar.get_height() == pytest.approx(0.3)]  # type: ignore[attr-defined]
    assert (bars[0].get_x(), bars[0].get_x() + bars[0].get_width()) == pytest.approx((0.22, 0.58))  # type: ignore[attr-defined]
    assert [text.get_text() for text in axes.texts] == [">99%", ">99%", "<1%", "<1%"]
    assert axes.get_xlabel() == "share of domain data (%)"


@pytest.fixture(scope="module")
def chosen(drawn: Fit) -> Plan:
    return plan(drawn, "code", ratios(6e5, 2e5), ForgettingBudget(0.2), confidence=0.6)


def test_odds_and_regret_follow_the_plan(axes: Axes, chosen: Plan) -> None:
    odds_panel(axes, chosen)
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata()), chosen.actions["p_allowed"])
    assert axes.lines[1].get_ydata()[0] == 0.6  # type: ignore[index]
    assert axes.lines[2].get_xdata()[0] == chosen.action["ratio"]  # type: ignore[index]
    axes.clear()
    assert regret_panel(axes, chosen) is axes
    whole, allowed, dot, _ = axes.lines
    expected = chosen.regret.mean() + chosen.action["utility"] - chosen.actions["utility"]
    np.testing.assert_allclose(np.asarray(whole.get_ydata()), expected)
    assert (np.isfinite(np.asarray(allowed.get_ydata())) == chosen.actions["allowed"]).all()
    assert dot.get_ydata()[0] == pytest.approx(chosen.regret.mean())  # type: ignore[index]
    assert axes.get_ylabel() == "expected regret\n(nats/token)"
    low, high = axes.get_ylim()
    assert low < chosen.regret.mean() < high


def test_a_front_has_medians_intervals_and_the_decision(axes: Axes, drawn: Fit) -> None:
    front = pareto_front(drawn, "code", 6e5, 2e5)
    assert front_panel(axes, front, since=0.1, until=0.9, base=3.0, limit=3.05, chosen=0.25) is axes
    line = axes.lines[0]
    np.testing.assert_allclose(np.asarray(line.get_xdata()), front["general"].sel(quantile=0.5))
    star = next(one for one in axes.lines if one.get_marker() == "*")
    assert star.get_ydata()[0] == pytest.approx(front["domain"].sel(quantile=0.5, ratio=0.25).item())  # type: ignore[index]
    upright = [one.get_xdata()[0] for one in axes.lines if one.get_linestyle() in (":", "--")]  # type: ignore[index]
    assert upright == [3.0, 3.05]
    low, high = axes.get_xlim()
    seen = front["general"].sel(ratio=slice(0.1, 0.9))
    assert low < seen.min() < seen.max() < high
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("general loss (nats/token)", "domain loss (nats/token)")


def test_gains_stand_against_costs_with_the_chosen_ringed(axes: Axes) -> None:
    rows = pd.DataFrame(
        {
            "domain": "code",
            "size": [1e5, 6e5, 6e5],
            "ratio": [0.1, 0.5, 0.9],
            "tokens": 2e5,
            "seed": 0,
            "cost": [1e11, 7e11, 7e11],
            "gain": [1e-3, 2e-3, 4e-3],
        }
    )
    rows = completed(rows)
    chosen = rows.iloc[[2]].assign(gain=9.0, cost=1e10)  # as given others, with a trunk that one of them pays for
    found = NextRuns("run", "1 run as asked", chosen, rows, 0.1, "nats/token")
    assert gains_panel(axes, found) is axes
    np.testing.assert_allclose(axes.collections[0].get_offsets(), rows[["cost", "gain"]])
    ring = axes.lines[0]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (7e11, 4e-3), "what the run brings alone"  # type: ignore[index]
    assert axes.get_xscale() == "log"
    assert "FLOPs" in axes.get_xlabel()
    assert axes.get_ylabel().endswith("(nats/token)")


@pytest.mark.parametrize(("size", "tokens"), [(6e5, 2e5), (1e9, 1e9), (1e4, 1e3)])
def test_the_map_holds_all_rows_and_the_question(axes: Axes, table: Table, size: float, tokens: float) -> None:
    assert extent_panel(axes, table, size, tokens) is axes
    star = axes.lines[-1]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (tokens, size)  # type: ignore[index]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert left < min(tokens, table.tokens.min()) < max(tokens, table.tokens.max()) < right
    assert low < min(size, table.size.min()) < max(size, table.size.max()) < high
    assert "tokens" in axes.get_xlabel()
    assert "parameters" in axes.get_ylabel()


def test_a_map_of_one_size_has_an_axis_all_the_same(axes: Axes, table: Table) -> None:
    one = table.select(table.size == 6e5)
    extent_panel(axes, one, 6e5, 2e5)
    low, high = axes.get_ylim()
    assert low < 6e5 < high


def chains(chain: int, draw: int = 50) -> xr.Dataset:
    """Two coordinates and a noise: the chains disagree about the second coordinate."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((chain, draw, 2))
    values[..., 1] += 3 * np.arange(chain)[:, None]
    noise = np.exp(rng.standard_normal((chain, draw, 1)))
    return xr.Dataset(
        {
            "coordinates": (("chain", "draw", "coordinate"), values),
            "noise_sd": (("chain", "draw", "target"), noise),
            "unchecked": (("chain", "draw"), 9.0 * np.arange(chain)[:, None] + np.zeros(draw)),
        },
        {"chain": range(chain), "draw": range(draw), "coordinate": ["a", "b"], "target": ["general"]},
    )


def test_ranks_are_of_what_chains_agree_on_least() -> None:
    worst = worst_parameters(chains(4), count=2)
    assert next(iter(worst)) == "coordinates[b]"
    assert len(worst) == 2
    figure = rank_figure(worst["coordinates[b]"])
    panel = figure.axes[0]
    assert sum(len(line.get_xdata()) > 40 for line in panel.lines) >= 4  # type: ignore[arg-type]
    assert "rank" in panel.get_xlabel()
    with pytest.raises(ValueError, match="at least 2 chains"):
        worst_parameters(chains(1))

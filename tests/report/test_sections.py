"""Parts of the page whose content a prior's draws do not reach: open directions, learnability, pooling, units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayescpt.ask.ridges import Ridge, Telling
from bayescpt.fit import Fit
from bayescpt.model.hierarchy import HIERARCHIES
from bayescpt.report import asked_of
from bayescpt.report.html import checked as checks
from bayescpt.report.html.blocks import Folded, Grid, Pictures, Words
from bayescpt.report.html.learnable import learnable
from bayescpt.report.html.made import fit_command
from bayescpt.report.html.picture import picture
from bayescpt.report.html.pooled import pooled, pooling_factors, ratios_of
from bayescpt.report.units import share, times


def ridge(learned: bool, contraction: float | None) -> Ridge:
    run = Telling(1e5, 0.5, 2e5, 2e5, moves=0.01, removes=0.5)
    return Ridge("general", "E against A", "coordinates", ("code",), contraction, learned, {"E": 1.0}, run)


@pytest.mark.parametrize("method", ["nuts", "laplace"])
def test_open_directions_are_one_line_and_a_folded_table(
    drawn: Fit, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(checks, "ridges", lambda fit: (ridge(False, 0.8), ridge(True, None)))
    fit = replace(drawn, method=method)
    found = checks.checks_of(fit)
    line = next(one for one in found.verdicts if one.what == "What rows leave open")
    assert line.level == "REVIEW"
    assert "2 directions" in line.message
    assert "80\u00a0% of the prior's variance is left" in line.message
    assert line.remedy.startswith("A run of 1e+05 parameters at ratio 0.5 for 2e+05 tokens would remove 50% of it.")
    assert any(one.what == "Method" for one in found.verdicts) == (method == "laplace")
    section = checks.checked(fit, found)
    folded = next(one for one in section.blocks if isinstance(one, Folded))
    grid = folded.blocks[0]
    assert isinstance(grid, Grid)
    assert [row[3].text[:5] for row in grid.rows] == ["Of wh", "Known"]
    assert not [one for one in section.blocks if isinstance(one, Pictures)], "one chain has no others to agree with"


def test_failed_checks_come_first_with_what_to_do(drawn: Fit, unreliable: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ridges", lambda fit: ())
    levels = [one.level for one in checks.checks_of(replace(unreliable, method="nuts")).verdicts]
    assert levels == sorted(levels, key=checks.ORDER.index)
    assert levels[0] == "FAIL"

    def refuse(fit: Fit) -> None:
        raise ValueError("no law for runs")

    monkeypatch.setattr(checks, "ridges", refuse)
    told = [one.message for one in checks.checks_of(replace(drawn, method="nuts")).verdicts]
    assert "Cannot be said: no law for runs." in told


def test_learnability_of_the_model_stands_beside_the_early_statistics(drawn: Fit) -> None:
    asked = asked_of(drawn.table)
    early = learnable(drawn, asked).blocks[1]
    assert isinstance(early, Grid)
    assert [row[1].text for row in early.rows] == ["4.50", "4.00"]
    assert float(early.rows[0][2].text) > 0
    z = np.zeros((1, 60, 2, 3)) + np.arange(3.0)
    traits = xr.DataArray(
        z,
        {"domain": list(drawn.table.domains), "trait": ["start", "gain", "cost"]},
        ("chain", "draw", "domain", "trait"),
    )
    posterior = drawn.posterior.assign(learnability=traits)
    model = replace(drawn.model, hierarchy=HIERARCHIES["learnability"])
    fit = replace(drawn, model=model, tree=xr.DataTree.from_dict({"posterior": posterior}))
    grid = learnable(fit, asked).blocks[1]
    assert isinstance(grid, Grid)
    assert [cell.text for cell in grid.rows[0][-3:]] == ["+0.00", "+1.00", "+2.00"]
    assert pooling_factors(fit) is None


def test_the_pooling_factor_is_that_of_gelman_and_pardoe(drawn: Fit) -> None:
    found = pooling_factors(drawn)
    assert found is not None
    away = (drawn.posterior["coordinates"] - drawn.posterior["population"]).isel(target=0, coordinate=0)
    each = away.transpose("domain", ...).values.reshape(2, -1)
    assert found[0] == pytest.approx(1 - each.mean(axis=1).var() / each.var(axis=0).mean())
    # the prior knows domains by their population alone
    assert np.median(found) > 0.9


@pytest.mark.parametrize(("pooling", "said"), [("none", "not pooled"), ("complete", "share one law")])
def test_without_a_population_that_is_said(drawn: Fit, pooling: str, said: str) -> None:
    asked = asked_of(drawn.table, ["code"])
    answers = ratios_of(drawn, asked)
    model = replace(drawn.model, hierarchy=HIERARCHIES[pooling])
    words = pooled(replace(drawn, model=model), answers, asked).blocks[0]
    assert isinstance(words, Words)
    assert said in words.text


def test_the_command_of_a_fit_names_its_settings(drawn: Fit) -> None:
    assert fit_command(drawn).startswith("#")
    fit = replace(drawn, method="nuts")
    fit.tree.attrs["sampler"] = '{"warmup": 7, "target_accept": 0.9}'
    told = fit_command(fit)
    del fit.tree.attrs["sampler"]
    assert told == (
        "bayescpt fit ROWS -o FIT.nc --law memory --pooling partial --noise student --method nuts --seed 0 --chains 1 "
        "--warmup 7 --draws 60 --target-accept 0.9"
    )


def test_a_picture_is_small_always_the_same_and_safe_in_an_attribute() -> None:
    first, again = (picture(lambda axes: axes.set_title('5 % of "a" & <b>'), "alt") for _ in range(2))
    assert first == again
    assert first.uri.startswith("data:image/svg+xml,%3Csvg")
    assert not set(first.uri) & set('"<>&\n#')
    assert len(first.uri) < 20_000
    assert (first.width, first.height) == (422, 298)


@pytest.mark.parametrize(
    ("ratio", "said"), [(0, "0"), (0.05, "5"), (0.0517, "5.2"), (0.553, "55"), (0.992, "99.2"), (1, "100")]
)
def test_shares_are_said_with_a_digit_more_at_the_ends(ratio: float, said: str) -> None:
    assert share(ratio) == f"{said}\u00a0%"
    assert (times(3.333), times(1234.0)) == ("3.33x", "1,234x")

"""Studies from scratch: rows of validation sets only, one checkpoint a run, no bases, mixtures of many sources."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayescpt.ask import critical_ratio, predict, ratio_under_budget
from bayescpt.data.table import Table
from bayescpt.fit import Fit, SamplerSettings, fit
from bayescpt.fit.astray import drift_scale
from bayescpt.fit.foresight import run_densities
from bayescpt.laws.chinchilla import Chinchilla
from bayescpt.laws.scratch import Form
from bayescpt.model.misfit import BEYOND_COMPUTE, BEYOND_TOKENS

SIZES, TOKENS = (1e8, 3e8, 9e8), (4e9, 1.2e10, 3e10)
MIXTURES = ((0.2, 0.2, 0.6), (0.1, 0.6, 0.3), (0.6, 0.1, 0.3), (0.34, 0.33, 0.33), (0.0, 0.5, 0.5), (0.45, 0.1, 0.45))
SOURCES = ("books", "code", "web")
QUICK = SamplerSettings(chains=2, draws=200)


def loss(domain: str, size: float, tokens: float, mixture: tuple[float, ...]) -> float:
    own = mixture[SOURCES.index(domain)] if domain in SOURCES else 0.0
    scale = 1.2 + 0.3 * (size / 1e9) ** -0.35 + 0.7 * (tokens / 1e9) ** -0.4
    return float(scale + 0.4 * np.exp(-5 * own + 0.3 * mixture[0]))


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    found = []
    for domain, size, tokens, mixture in itertools.product(("code", "chat"), SIZES, TOKENS, MIXTURES):
        shares = dict(zip((f"share_{s}" for s in SOURCES), mixture, strict=True))
        ratio = shares.get(f"share_{domain}", 0.0)
        measured = loss(domain, size, tokens, mixture) + 0.003 * rng.standard_normal()
        row = {"domain": domain, "size": size, "tokens": tokens, "ratio": ratio, "target": "domain", "loss": measured}
        found.append({"run": f"r{len(found)}", **row, **shares})
    return pd.DataFrame(found)


@pytest.fixture(scope="module")
def scratch() -> Table:
    return Table.from_frame(rows())


@pytest.fixture(scope="module")
def mixing(scratch: Table) -> Fit:
    """Of the two smaller sizes."""
    return fit(scratch.select(scratch.size < 9e8), "mixing", method="laplace", settings=QUICK)


@pytest.fixture(scope="module")
def blind(scratch: Table) -> Fit:
    return fit(scratch, Chinchilla(Form.POWER), method="laplace", settings=QUICK)


def test_a_mixture_law_foresees_a_mixture_and_a_size_it_has_not_seen(mixing: Fit) -> None:
    mixture = (0.3, 0.3, 0.4)
    places = {"share_books": 0.3, "share_code": 0.3, "share_web": 0.4, "target": "domain", "size": 9e8, "tokens": 3e10}
    points = pd.DataFrame([{"domain": d, "ratio": r, **places} for d, r in (("code", 0.3), ("chat", 0.0))])
    drawn = predict(mixing, points)["predictive"].to_numpy()
    low, high = np.quantile(drawn, [0.005, 0.995], axis=0)
    truth = np.array([loss(d, 9e8, 3e10, mixture) for d in ("code", "chat")])
    assert ((low < truth) & (truth < high)).all()
    assert (high - low < 0.4).all()


def test_every_row_is_described(mixing: Fit, blind: Fit) -> None:
    """Off by less than 0.01 nats in root mean square by a law that sees the mixture, else by what the mixture does."""
    for found, most in ((mixing, 0.01), (blind, 0.15)):
        frame = found.table.frame()
        error = predict(found, frame)["expected"].to_numpy().mean(axis=0) - frame["loss"].to_numpy()
        assert np.sqrt(np.mean(error**2)) < most
        assert np.isfinite(run_densities(found, found.table)).any()


def test_more_compute_than_was_seen_is_beyond_the_data(blind: Fit) -> None:
    """Though size and tokens were each seen: the next isoFLOP of a study."""
    table = blind.table
    seen = table.select((table.size < 9e8) | (table.tokens < 3e10))
    fitted = replace(blind, table=seen)
    compute = seen.size * seen.tokens
    apart = np.log(9e8 * 3e10 / compute.max()) / np.log(compute.max() / compute.min())
    assert drift_scale(fitted, 9e8, 3e10) == pytest.approx(BEYOND_COMPUTE * apart)
    assert drift_scale(fitted, np.array([3e8, 1e8]), 3e10) == pytest.approx([0.0, 0.0])
    longer = np.log(10) / np.log(3e10 / 4e9)
    assert drift_scale(fitted, 1e7, 3e11) == pytest.approx(BEYOND_TOKENS * longer)  # the compute of a run that was seen


def test_a_bound_law_survives_its_file(mixing: Fit, tmp_path: Path) -> None:
    mixing.save(tmp_path / "fit.nc")
    again = Fit.load(tmp_path / "fit.nc")
    assert again.model == mixing.model
    assert again.model.law.name == mixing.model.law.name
    assert again.table.sources == SOURCES
    frame = mixing.table.frame().iloc[:4]
    xr.testing.assert_identical(predict(again, frame), predict(mixing, frame))


def test_what_was_not_measured_is_not_answered(mixing: Fit, blind: Fit) -> None:
    point = pd.DataFrame([{"domain": "code", "size": 1e9, "ratio": 0.5, "tokens": 1e10, "target": "general"}])
    with pytest.raises(ValueError, match="no training rows of the target 'general'"):
        predict(mixing, point)
    for question in (ratio_under_budget, critical_ratio):
        for found, why in ((mixing, "target 'general'"), (blind, "does not see what a model is trained on")):
            with pytest.raises(ValueError, match=why):
                question(found, "code", 1e9, 1e10, 0.05, base_loss=2.5)


def test_a_mixture_follows_from_the_ratio_only_where_the_domain_has_a_source(mixing: Fit, blind: Fit) -> None:
    place = {"size": 1e9, "ratio": 0.5, "tokens": 1e10, "target": "domain"}
    code, chat = (pd.DataFrame([{"domain": domain, **place}]) for domain in ("code", "chat"))
    for found, points in ((mixing, code), (blind, code), (blind, chat)):
        assert np.isfinite(predict(found, points)["expected"]).all()
    with pytest.raises(ValueError, match="no source of the name of domain 'chat'"):
        predict(mixing, chat)

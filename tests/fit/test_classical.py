"""The classical fit: its equation is D-CPT's, it finds a law that made the rows, and the bootstrap keeps runs whole."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.fit.classical import GRID, Series, bootstrap, classical_fit, log_fit
from bayescpt.laws import LAWS, Point

TRUE = {
    "E": 1.1,
    "A": 0.2,
    "B": 0.02,
    "C": 0.5,
    "alpha": 0.35,
    "beta": 0.3,
    "gamma": 0.6,
    "eta": 1.6,
    "eps": 0.12,
}
LEAST = float(np.log(0.01))


def loss(theta: dict[str, float], size: np.ndarray, tokens: np.ndarray, share: np.ndarray) -> np.ndarray:
    law, given = LAWS["dcpt"], {name: jnp.asarray(value) for name, value in theta.items()}
    places = zip(size, tokens, share, strict=True)
    return np.array(
        [float(law.loss(given, Point(*map(jnp.asarray, (*place, np.nan, 0.0, np.nan))))) for place in places]
    )


@pytest.fixture(scope="module")
def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size, tokens, share = np.meshgrid([0.3, 1.0, 3.0], np.geomspace(0.01, 3, 6), [0, 0.1, 0.3, 0.6, 0.9, 1.0])
    return size.ravel(), tokens.ravel(), share.ravel()


def series(grid: tuple[np.ndarray, np.ndarray, np.ndarray], noise: np.ndarray | float = 0.0) -> Series:
    size, tokens, share = grid
    losses = loss(TRUE, size, tokens, share) * np.exp(noise)
    columns = (np.log(size), np.log(tokens), share, np.log(losses))
    return Series(*map(jnp.asarray, columns), weight=jnp.ones(len(size)))


def truth() -> np.ndarray:
    """The law that made the rows as it is optimised."""
    c0 = TRUE["B"] * TRUE["eta"] * (1 + TRUE["eps"]) ** (TRUE["gamma"] + 1) / (TRUE["gamma"] * 0.01 ** TRUE["beta"])
    exponents = [np.log(TRUE[name]) for name in ("alpha", "beta", "gamma")]
    logs = [np.log(value) for value in (TRUE["A"], TRUE["B"], TRUE["C"] - c0, TRUE["E"])]
    return np.array([*logs, *exponents, TRUE["eps"], np.log(TRUE["eta"] - 1)])


def test_the_starts_are_those_of_the_paper() -> None:
    assert len(GRID) == 277_830


def test_the_equation_is_that_of_the_law(grid: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rows = series(grid)
    np.testing.assert_allclose(log_fit(jnp.asarray(truth()), rows, jnp.asarray(LEAST)), rows.log_loss, rtol=1e-10)


def test_it_finds_the_law_that_made_the_rows_and_predicts_elsewhere(
    grid: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    fitted = classical_fit(series(grid), LEAST, starts=3)
    assert fitted.objective < 1e-6
    away = (np.array([0.5, 2.0, 1.5]), np.array([0.1, 1.0, 2.0]), np.array([0.2, 0.5, 0.8]))
    np.testing.assert_allclose(loss(fitted.theta, *away), loss(TRUE, *away), atol=0.01)


def test_the_bootstrap_draws_whole_runs(grid: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    size, _, share = grid
    _, run = np.unique(np.stack([size, share]), axis=1, return_inverse=True)
    rows = series(grid, 0.02 * rng.standard_normal(run.max() + 1)[run])
    fitted = classical_fit(rows, LEAST, near=truth()[None])
    at = (np.array([1.0]), np.array([1.0]), np.array([0.45]))
    spread = np.std([loss(again.theta, *at)[0] for again in bootstrap(rows, run, LEAST, fitted, 8, rng)])
    # 18 runs with 2 % each: about 2 % / sqrt(18 / 5) of 2 nats, within a factor of three
    assert 0.003 < spread < 0.06

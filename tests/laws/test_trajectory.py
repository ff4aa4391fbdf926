"""The trajectory law: the limits that settled its signs, the published equation, what its coordinates read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescpt.laws import LAWS, Point
from bayescpt.laws.base import Theta
from bayescpt.laws.trajectory import ANNEALED, bent

if TYPE_CHECKING:
    from conftest import Subject

LAW = LAWS["trajectory"]
BASE = 3.0
LOSS = jax.jit(LAW.loss)
BENT = jax.jit(jax.value_and_grad(bent, argnums=(0, 1)))


def at(
    theta: Theta, subject: Subject, share: float, summed: float, annealed: float = 0.0, tokens: float = 1.0
) -> float:
    """The loss at the reference size."""
    given = {"lr_sum": jnp.asarray(summed), "lr_anneal": jnp.asarray(annealed)}
    places = (subject.reference.size, tokens, share, BASE, subject.base_share, np.nan)
    return float(LOSS(theta, Point(*map(jnp.asarray, places), given)))


def thetas(subject: Subject, count: int = 5) -> list[Theta]:
    natural = subject.natural(subject.coordinates(count))
    return [{name: jnp.asarray(values[i]) for name, values in natural.items()} for i in range(count)]


def new_corpus(subject: Subject, ratio: float) -> float:
    """Share of the target's own corpus at a ratio."""
    return 1 - ratio if subject.base_share == 1.0 else ratio


def test_annealing_lowers_the_loss_the_more_the_larger_the_own_share(trajectory_subject: Subject) -> None:
    summed = 2 * trajectory_subject.reference.lr_sum
    for theta in thetas(trajectory_subject):

        def brought(share: float, theta: Theta = theta) -> float:
            return at(theta, trajectory_subject, share, summed) - at(theta, trajectory_subject, share, summed, 0.03)

        assert 0 < brought(0.0) < brought(0.5) < brought(1.0)
        assert brought(1.0) == pytest.approx(float(0.03 * theta["C2"] * jnp.exp(theta["a1"])), rel=1e-9)


def test_going_on_with_the_base_s_corpus_is_no_shift(trajectory_subject: Subject) -> None:
    share = new_corpus(trajectory_subject, 0.0)
    for theta in thetas(trajectory_subject):
        other = {**theta, **{name: 3 * theta[name] for name in ("B", "E", "beta", "a2")}}
        assert at(theta, trajectory_subject, share, 0.1, 0.01) == at(other, trajectory_subject, share, 0.1, 0.01)
        assert at(theta, trajectory_subject, share, 0.1) < BASE


def test_a_shift_raises_the_corpus_left_and_lowers_the_one_come_to(trajectory_subject: Subject) -> None:
    sign = 1 if trajectory_subject.base_share == 1.0 else -1
    ratios = np.linspace(0, 1, 9)
    for theta in thetas(trajectory_subject):
        alone = {**theta, "A": jnp.asarray(0.0)}
        shift = [at(alone, trajectory_subject, new_corpus(trajectory_subject, r), 0.2) - BASE for r in ratios]
        assert shift[0] == 0
        assert (sign * np.diff(shift) > 0).all()
        endless = at(alone, trajectory_subject, new_corpus(trajectory_subject, 1.0), 1e300) - BASE
        assert sign * endless == pytest.approx(float(theta["B"]), rel=1e-6)


def test_tokens_enter_through_the_learning_rates_alone(trajectory_subject: Subject) -> None:
    theta = thetas(trajectory_subject, 1)[0]
    one, other = (at(theta, trajectory_subject, 0.3, 0.1, 0.01, tokens) for tokens in (1e-6, 1e3))
    assert one == other


@pytest.mark.parametrize(("beta", "rises"), [(0.2, True), (0.8, False)])
def test_the_slower_power_law_wins_in_the_end(trajectory_subject: Subject, beta: float, rises: bool) -> None:
    if trajectory_subject.base_share == 0.0:
        return
    far = 1e12 * trajectory_subject.reference.lr_sum
    for drawn in thetas(trajectory_subject):
        theta = {**drawn, "alpha": jnp.asarray(0.5), "beta": jnp.asarray(beta)}
        near, further = (at(theta, trajectory_subject, 0.5, summed) for summed in (far, 100 * far))
        assert (further > near) == rises


def test_the_published_equation_with_its_size_fit(trajectory_subject: Subject) -> None:
    """Fig. 15 of 2505.07796: general loss without replay, less its value at the base; N in the paper's unit."""
    if trajectory_subject.base_share == 0.0:
        return
    S1pt, S2pt, N = 2.5, 0.15, 0.594

    def published(summed: float, annealed: float) -> float:
        shift = 0.278 * (1 - (1 + 12 * summed) ** -0.359)
        annealing = 0.090 * S2pt * N**0.235 + 0.103 * annealed * N**0.199
        return 1.829 + 0.504 * (S1pt + summed) ** -0.537 + shift - annealing + 3.072 * N**-0.195

    constants = {"A": 0.504, "alpha": 0.537, "S1pt": S1pt, "C2": 0.103, "a1": 0.0, "g2": 0.199, "size": 1.0}
    constants |= {"B": 0.278, "E": 12.0, "beta": 0.359, "a2": 3.238}
    theta = {name: jnp.asarray(value) for name, value in constants.items()}
    subject = replace(trajectory_subject, reference=trajectory_subject.reference._replace(size=N))
    for summed, annealed in ((0.01, 0.0), (0.3, 0.0), (1.2, 0.12)):
        change = published(summed, annealed) - published(0.0, 0.0)
        assert at(theta, subject, 0.0, summed, annealed) - BASE == pytest.approx(change, abs=1e-12)


def test_the_fitted_replay_constants_are_losses_with_a_negative_exponent_only() -> None:
    """Fig. 19: what the shift may come to at a share of 1, by either sign of the exponent."""
    for amplitude, a2 in ((0.276, 3.238), (0.526, 5.696)):
        in_our_unit = amplitude * -np.expm1(-a2)
        assert 0.9 * amplitude < in_our_unit < amplitude
        for ratio in (0.1, 0.33, 0.67):
            assert in_our_unit * BENT(ratio, a2)[0] == pytest.approx(amplitude * -np.expm1(-a2 * ratio), rel=1e-12)
    assert 0.526 * np.expm1(5.696) > 150


@given(st.floats(-40, 40), st.floats(0.01, 0.99))
def test_the_bend_keeps_the_ends_and_the_order(bend: float, ratio: float) -> None:
    value, (by_ratio, by_bend) = BENT(ratio, bend)
    assert BENT(0.0, bend)[0] == 0
    assert BENT(1.0, bend)[0] == pytest.approx(1, rel=1e-12)
    assert 0 < value < 1
    assert by_ratio > 0
    assert by_bend >= 0  # the larger, the earlier
    assert (value >= ratio) == (bend >= 0) or value == pytest.approx(ratio, rel=1e-12)


@pytest.mark.parametrize("bend", [-2e-4, -1.0001e-4, -0.9999e-4, -1e-9, 0.0, 1e-9, 0.9999e-4, 1.0001e-4, 2e-4])
def test_near_no_bend_it_is_nearly_straight(bend: float) -> None:
    value, (_, by_bend) = BENT(0.3, bend)
    assert value == pytest.approx(0.3 + bend * 0.3 * 0.7 / 2, abs=1e-9)
    assert by_bend == pytest.approx(0.3 * 0.7 / 2, abs=1e-4)


def test_the_coordinates_read_what_they_say(trajectory_subject: Subject) -> None:
    coordinates, reference = trajectory_subject.coordinates(5), trajectory_subject.reference
    names = [coordinate.name for coordinate in LAW.coordinates]
    summed, none = reference.lr_sum, new_corpus(trajectory_subject, 0.0)
    for theta, drawn in zip(thetas(trajectory_subject), coordinates, strict=True):
        read = dict(zip(names, np.exp(drawn), strict=True))
        unmoved = at(theta, trajectory_subject, none, summed)
        even = at(theta, trajectory_subject, 0.5, summed)
        annealed = at(theta, trajectory_subject, 0.5, summed, ANNEALED * summed)
        assert BASE - unmoved == pytest.approx(read["log_gain"], rel=1e-9)
        assert abs(even - unmoved) == pytest.approx(read["log_shift"], rel=1e-9)
        assert even - annealed == pytest.approx(read["log_annealing"], rel=1e-9)


def test_a_reference_without_learning_rates_is_refused(trajectory_subject: Subject) -> None:
    bare = replace(trajectory_subject, reference=trajectory_subject.reference._replace(lr_sum=None))
    with pytest.raises(ValueError, match="no lr_sum"):
        bare.natural(bare.coordinates(1))

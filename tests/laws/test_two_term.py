"""The two-term law: the paper's forms in tokens and in ratio are its faces, and its one turn is in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescpt.laws import LAWS, Point, Reference
from bayescpt.laws.base import Theta
from bayescpt.laws.cmr import UNIT, fit_ratio_law, turning_time, two_term_change
from bayescpt.laws.two_term import amplitudes, turning_tokens

if TYPE_CHECKING:
    from conftest import Subject

LAW = LAWS["two_term"]
USUAL = 1.05
"""As in conftest.py."""
BASE = 3.0
AMPLITUDES = jax.jit(amplitudes)
PAPER = Reference(size=1.2, tokens=20 / np.sqrt(10), tokens_min=0.2)
"""Of 2407.17467: 0.46 to 3.1 billion parameters, runs of 20 billion tokens."""


def thetas(subject: Subject, count: int) -> list[Theta]:
    natural = subject.natural(subject.coordinates(count))
    return [{name: jnp.asarray(values[i]) for name, values in natural.items()} for i in range(count)]


def place(subject: Subject, tokens: float | jax.Array, share: float, usual: float = BASE, size: float = 1.0) -> Point:
    """A point at ``size`` times the reference size."""
    return Point(*map(jnp.asarray, (size * subject.reference.size, tokens, share, BASE, subject.base_share, usual)))


@jax.jit
def losses(theta: Theta, tokens: jax.Array, point: Point) -> jax.Array:
    """The loss after each of ``tokens``."""
    return jax.vmap(lambda t: LAW.loss(theta, point._replace(tokens=t)))(tokens)


@jax.jit
def turns(natural: dict[str, jax.Array], point: Point) -> jax.Array:
    """Turning tokens of many draws."""
    return jax.vmap(lambda theta: turning_tokens(theta, point))(natural)


def test_it_is_the_papers_two_terms_with_the_clock_ahead_by_tau(two_term_subject: Subject) -> None:
    tokens = np.geomspace(0.01, 1e4, 30) * two_term_subject.reference.tokens
    for drawn in thetas(two_term_subject, 5):
        theta = {**drawn, "w": jnp.asarray(0.0)}
        point = place(two_term_subject, 1.0, 0.3, usual=USUAL * BASE, size=2.0)
        (X, Y), tau = map(float, AMPLITUDES(theta, point)), float(theta["tau"])
        p, q = float(theta["p"]), float(theta["q"])
        powers = -X * (tau / UNIT) ** p, -p, -Y * (tau / UNIT) ** q, -q
        change = two_term_change(tokens + tau, *powers, 0.0) - two_term_change(tau, *powers, 0.0)
        found = np.log(np.asarray(losses(theta, jnp.asarray(tokens), point)) / BASE)
        np.testing.assert_allclose(found, change, rtol=1e-9, atol=1e-12)
        # and without that shift far out: b2 + a2 T^s2 + a3 T^s3 with b2 = X + Y
        far = 1e9 * tau
        there = float(losses(theta, jnp.asarray([far]), point)[0])
        assert np.log(there / BASE) == pytest.approx(two_term_change(far, *powers, X + Y), abs=1e-9)


def test_without_the_first_term_the_domain_law_is_one_term_in_tokens_and_one_in_ratio(
    two_term_subject: Subject,
) -> None:
    if two_term_subject.base_share == 1.0:
        return
    ratio = np.array([0.1, 0.25, 0.5, 0.75, 1.0])
    tokens = np.geomspace(1, 1e4, 5) * two_term_subject.reference.tokens
    for drawn in thetas(two_term_subject, 3):
        theta = {**drawn, "C": jnp.asarray(0.0), "w": jnp.asarray(0.0)}
        change = np.log([losses(theta, jnp.asarray(tokens), place(two_term_subject, 1.0, r)) for r in ratio]) - np.log(
            BASE
        )
        assert fit_ratio_law(ratio, change[:, 2]).s == pytest.approx(float(theta["kappa"]), rel=1e-4)
        amplitude = float(theta["rho"] - theta["G"] * 0.5 ** theta["kappa"])
        left = amplitude * (1 + tokens / float(theta["tau"])) ** -float(theta["q"])
        np.testing.assert_allclose(amplitude - change[2], left, rtol=1e-9)


def test_the_slope_changes_its_sign_at_the_turning_tokens_and_nowhere_else(two_term_subject: Subject) -> None:
    subject = two_term_subject
    coordinates, natural = subject.coordinates(200), subject.natural(subject.coordinates(200))
    tokens = np.geomspace(1e-4, 1e4, 200) * subject.reference.tokens
    for share in (0.1, 0.5, 0.9):
        point = place(subject, 1.0, share, usual=USUAL * BASE)
        turn = np.asarray(turns({k: jnp.asarray(v) for k, v in natural.items()}, point))[:, None]
        _, gradient = subject.gradients(coordinates, subject.reference.size, tokens, share)
        rises = gradient.tokens > 0
        defined = np.isfinite(turn[:, 0])
        clear = np.abs(tokens - turn) > 1e-6 * tokens
        assert (rises == (tokens < turn))[defined[:, None] & clear].all()
        # an endless wait: it rises at last, whatever it does before
        late = np.where(rises.any(1), rises.shape[1] - 1 - np.argmax(rises[:, ::-1], axis=1), 0)
        never = ~defined & rises.any(1)
        assert (late[never] == len(tokens) - 1).all()
    if subject.base_share == 1.0:
        assert 0.2 < defined.mean() < 1.0  # all cases were met


def test_the_turn_is_that_of_the_paper_less_tau(two_term_subject: Subject) -> None:
    met = 0
    for drawn in thetas(two_term_subject, 40):
        theta = {**drawn, "w": jnp.asarray(0.0)}
        point = place(two_term_subject, 1.0, 0.5)
        (X, Y), tau = map(float, AMPLITUDES(theta, point)), float(theta["tau"])
        p, q = float(theta["p"]), float(theta["q"])
        turn = float(turns({k: v[None] for k, v in theta.items()}, point)[0])
        if not (X > 0 > Y and 0 < turn < 1e6 * tau):
            continue
        met += 1
        paper = turning_time(-X * (tau / UNIT) ** p, -p, -Y * (tau / UNIT) ** q, -q)
        assert turn == pytest.approx(paper - tau, rel=1e-6)
    assert met >= (5 if two_term_subject.base_share == 1.0 else 0)


def test_more_domain_data_turns_later_where_only_what_was_lost_heals(two_term_subject: Subject) -> None:
    subject = two_term_subject
    if subject.base_share == 0.0:
        return
    drawn = subject.natural(subject.coordinates(100))
    natural = {k: jnp.asarray(v) for k, v in drawn.items()} | {"G": jnp.zeros(100), "rho": jnp.full(100, -0.01)}
    ratios = np.linspace(0.05, 1.0, 20)
    turn = np.stack([np.asarray(turns(natural, place(subject, 1.0, 1 - r))) for r in ratios])
    later, before = turn[1:], turn[:-1]
    assert ((later > before) | (later == before) & ((later == 0) | np.isinf(later))).all()
    assert (later > before).any()


def test_without_replay_nothing_heals(two_term_subject: Subject) -> None:
    tokens = jnp.asarray(np.geomspace(1e-3, 1e6, 30) * two_term_subject.reference.tokens)
    for drawn in thetas(two_term_subject, 5):
        theta = {**drawn, "rho": jnp.asarray(0.0)}
        found = np.asarray(losses(theta, tokens, place(two_term_subject, 1.0, 0.0)))
        if two_term_subject.base_share == 1.0:
            assert (np.diff(found) > 0).all()
        else:
            np.testing.assert_allclose(found, BASE, rtol=1e-12)


def index(name: str) -> int:
    return [c.name for c in LAW.coordinates].index(name)


def test_coordinates_are_read_off_at_the_reference_point(two_term_subject: Subject) -> None:
    subject = two_term_subject
    coordinates, reference = subject.coordinates(5), subject.reference
    clean = {**{k: jnp.asarray(v) for k, v in subject.natural(coordinates).items()}, "f": jnp.zeros(5)}
    for i in range(5):
        theta = {name: values[i] for name, values in clean.items()}
        ends = jnp.asarray([reference.tokens])
        at_base, even = (
            float(losses(theta, ends, place(subject, 1.0, share))[0]) for share in (subject.base_share, 0.5)
        )
        assert np.log(at_base / BASE) == pytest.approx(coordinates[i, index("drift")], abs=1e-12)
        effect = np.log(abs(np.log(even / at_base)))
        assert effect == pytest.approx(coordinates[i, index("log_effect")], abs=1e-9)


def test_exponents_are_ordered_and_most_of_a_loss_can_heal_but_not_all(two_term_subject: Subject) -> None:
    natural = two_term_subject.natural(two_term_subject.coordinates(400))
    assert (natural["p"] > natural["q"]).all()
    assert (natural["q"] > 0).all()
    assert ((natural["h"] > 0) & (natural["h"] < 1)).all()


def test_the_priors_hold_what_the_paper_saw_and_what_small_proxies_do(two_term_subject: Subject) -> None:
    """Rises below 0.02 nats up to R = 3/4 and turns at 3 to 20B tokens (2407.17467, Fig. 5 and 9), and ten times that.

    Of 2000 draws; a share of 5 % has a standard error of 0.5 %.
    """
    if two_term_subject.base_share == 0.0:
        return
    subject = replace(two_term_subject, reference=PAPER)
    coordinates = subject.coordinates(2000)
    tokens = np.geomspace(0.2, 20, 30)
    rise = [(subject.losses(coordinates, 1.2, tokens, 1 - r, 2.0) - 2.0).max(axis=1) for r in (0.5, 0.75)]
    assert (rise[1] < 0.02).mean() > 0.04
    assert (rise[0] > 0.2).mean() > 0.1
    assert (rise[0] > 1.0).mean() < 0.05
    natural = {k: jnp.asarray(v) for k, v in subject.natural(coordinates).items()}
    turn = np.asarray(turns(natural, place(subject, 1.0, 2 / 3)))
    assert ((turn > 3) & (turn < 20)).mean() > 0.08
    assert ((turn > 0) & (turn < 3)).mean() > 0.1

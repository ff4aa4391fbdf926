from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.area import ANNEAL_DECAY, LearningRateArea
from trainer.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    Infinite,
    InverseSqrt,
    Schedule,
    WarmupStableDecay,
    read_schedule,
)
from trainer.training import Training

TOTAL, WARMUP = 132_366, 1_324
EXAMPLES: dict[str, Schedule] = {
    "constant": Constant(WARMUP),
    "cosine": Cosine(WARMUP, 0.1),
    "wsd": WarmupStableDecay(WARMUP, 20_000, 0.1, "sqrt"),
    "inverse-sqrt": InverseSqrt(WARMUP, 2_000, 20_000, 0.0, 0.1),
    "infinite": Infinite(WARMUP, "inverse-sqrt", 60_000, 0.55, 20_000, 0.1),
}


def test_every_schedule_has_an_example() -> None:
    assert set(EXAMPLES) == set(SCHEDULES)


@pytest.mark.parametrize(
    ("tokens", "lr"),
    [
        (662, 1.5e-4),
        (1324, 3.0e-4),
        (34084, 2.6046e-4),
        (66845, 1.65e-4),
        (99606, 6.954e-5),
        (132366, 3.0e-5),
    ],
)
def test_cosine_has_the_published_values(tokens: int, lr: float) -> None:
    assert 3e-4 * Cosine(WARMUP, 0.1).multiplier(tokens, TOTAL) == pytest.approx(lr, rel=2e-4)


@pytest.mark.parametrize(
    ("x", "cosine", "inverse"),
    [
        (0.1, 2.967e-4, 2.4339e-4),
        (0.25, 2.8023e-4, 2.1004e-4),
        (0.5, 2.325e-4, 1.8563e-4),
        (0.75, 1.8477e-4, 1.7302e-4),
    ],
)
def test_infinite_cooldowns_have_the_published_values(x: float, cosine: float, inverse: float) -> None:
    for cooldown, expected in (("cosine", cosine), ("inverse-sqrt", inverse)):
        schedule = Infinite(1000, cooldown, 60_000, 0.55)
        assert 3e-4 * schedule.multiplier(1000 + x * 60_000, 100_000) == pytest.approx(expected, rel=2e-4)
    linear = Infinite(1000, "linear", 60_000, 0.55).multiplier(1000 + x * 60_000, 100_000)
    assert linear == pytest.approx(1 - 0.45 * x)


@pytest.mark.parametrize(("y", "lr"), [(0.25, 1.0774e-4), (0.5, 7.0356e-5), (0.75, 4.5942e-5), (1.0, 3e-5)])
def test_the_infinite_anneal_has_the_published_values(y: float, lr: float) -> None:
    schedule = Infinite(1000, "cosine", 60_000, 0.55, 20_000, 0.1)
    assert 3e-4 * schedule.multiplier(80_000 + y * 20_000, 100_000) == pytest.approx(lr, rel=2e-4)
    assert schedule.multiplier(75_000, 100_000) == 0.55


@pytest.mark.parametrize(
    ("tokens", "multiplier"),
    [(1000, 0.5), (20_000, 0.31623), (100_000, 0.14142), (203_450, 0.09915), (228_881, 0.04958), (254_313, 0.0)],
)
def test_inverse_sqrt_has_the_published_values(tokens: int, multiplier: float) -> None:
    schedule = InverseSqrt(2000, 2000, 50_863)
    assert schedule.multiplier(tokens, 254_313) == pytest.approx(multiplier, rel=2e-4, abs=1e-9)


def test_warmup_stable_decay_is_flat_and_then_has_its_shape() -> None:
    for shape, half in (("linear", 0.5), ("cosine", 0.5), ("sqrt", 1 - 0.5**0.5)):
        schedule = WarmupStableDecay(100, 400, 0.2, shape)
        assert schedule.multiplier(600, 1000) == 1.0
        assert schedule.multiplier(800, 1000) == pytest.approx(0.2 + 0.8 * half)
        assert schedule.multiplier(1000, 1000) == pytest.approx(0.2)


@pytest.mark.parametrize("schedule", EXAMPLES.values(), ids=EXAMPLES)
def test_every_schedule_warms_up_linearly_is_continuous_and_stays_in_bounds(schedule: Schedule) -> None:
    assert schedule.faults(TOTAL) == []
    assert schedule.multiplier(WARMUP / 4, TOTAL) == pytest.approx(0.25)
    assert schedule.multiplier(WARMUP, TOTAL) == pytest.approx(1.0)
    values = [schedule.multiplier(t, TOTAL) for t in range(0, TOTAL + 1, 66)]
    assert all(0 <= value <= 1 for value in values)
    assert max(abs(b - a) for a, b in pairwise(values)) < 0.06
    falling = values[WARMUP // 66 + 1 :]
    assert all(b <= a + 1e-12 for a, b in pairwise(falling))


@given(st.integers(1, 10**12), st.floats(0.0, 1.0))
def test_only_shares_of_the_run_matter_not_its_unit(unit: int, along: float) -> None:
    for small, large in (
        (Cosine(10, 0.1), Cosine(10 * unit, 0.1)),
        (WarmupStableDecay(10, 30), WarmupStableDecay(10 * unit, 30 * unit)),
        (Infinite(10, "cosine", 30, 0.5, 20), Infinite(10 * unit, "cosine", 30 * unit, 0.5, 20 * unit)),
        (InverseSqrt(10, 5, 20), InverseSqrt(10 * unit, 5 * unit, 20 * unit)),
    ):
        expected = small.multiplier(along * 100, 100)
        assert large.multiplier(along * 100 * unit, 100 * unit) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_constant_stays_at_the_peak_beyond_its_end() -> None:
    assert Constant(WARMUP).multiplier(10 * TOTAL, TOTAL) == 1.0


def test_learning_rate_areas_against_the_double_sum() -> None:
    path = [0.5, 1.0, 1.0, 0.8, 0.6, 0.6, 0.1]
    area = LearningRateArea()
    for lr in path:
        area.step(lr)
    drops = [0.0] + [max(0.0, a - b) for a, b in pairwise(path)]
    expected = sum(drops[k] * ANNEAL_DECAY ** (i - k) for i in range(len(path)) for k in range(i + 1))
    assert area.s1 == pytest.approx(sum(path))
    assert area.s2 == pytest.approx(expected)
    assert expected > 1


def test_a_constant_learning_rate_after_warm_up_has_no_annealing_area() -> None:
    area = LearningRateArea()
    for lr in (0.25, 0.5, 1.0, 1.0, 1.0):
        area.step(lr)
    assert area.s2 == 0


def test_evaluations_are_geometric_dense_early_and_end_at_the_end() -> None:
    training = Training(1024 * 200, 128, 8, 1e-3, Constant(1024), evaluations=12, first_evaluation=4096)
    steps = training.evaluation_steps()
    assert steps[0] == 4
    assert steps[-1] == training.steps == 200
    assert len(steps) == 12
    assert sum(1 for step in steps if step <= 50) >= 7
    gaps = [b / a for a, b in pairwise(steps)]
    assert max(gaps) < 1.7


def test_training_names_every_fault() -> None:
    with pytest.raises(ValueError) as refused:
        Training(0, 128, True, -1.0, Constant(), clip=float("nan"), validation_rows=1)
    for name in ("tokens", "batch", "lr", "clip", "validation_rows"):
        assert f"{name}: expected" in str(refused.value)


@pytest.mark.parametrize(
    ("tokens", "schedule", "first", "told"),
    [
        (1000, Constant(), 10, "multiple of batch"),
        (1024, Constant(1024), 10, "warmup_tokens: must be below"),
        (1024, Constant(-5), 10, "warmup_tokens: expected a whole number of tokens >= 0, got -5"),
        (1024, Cosine(10, 1.5), 10, r"floor: expected a share of the peak in \[0, 1\], got 1.5"),
        (1024, WarmupStableDecay(512, 600), 10, "decay_tokens: expected 1 to 512"),
        (1024, WarmupStableDecay(0, 600, 0.0, "cliff"), 10, "shape: expected one of cosine, linear, sqrt, got 'cliff'"),
        (1024, InverseSqrt(10, 0, 10), 10, "timescale_tokens: expected at least 1, got 0"),
        (1024, InverseSqrt(1000, 10, 100), 10, "longer than the run of 1024"),
        (1024, Infinite(24, "cosine", 600, 0.5, 600), 10, "exceed the run of 1024"),
        (1024, Infinite(24, "step", 600, 0.5), 10, "cooldown: expected cosine, inverse-sqrt or linear"),
        (1024, Infinite(24, "linear", 600, 0.5, 10, 0.0), 10, "floor: expected a number above 0, got 0.0"),
        (1024, Constant(), 2048, "first_evaluation: must not exceed"),
    ],
)
def test_training_refuses_what_does_not_fit_together(tokens: int, schedule: Schedule, first: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Training(tokens, 128, 8, 1e-3, schedule, first_evaluation=first)


def test_schedules_are_read_by_kind() -> None:
    assert read_schedule({"kind": "cosine", "warmup_tokens": 5, "floor": 0.2}) == Cosine(5, 0.2)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("linear", "with kind one of constant, cosine, wsd, inverse-sqrt, infinite, got 'linear'"),
        ({"kind": "linear"}, "with kind one of"),
        ({"kind": "constant", "floor": 0.1}, "schedule constant: no setting floor; there are warmup_tokens"),
    ],
)
def test_unknown_schedules_and_settings_are_refused(value: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_schedule(value)

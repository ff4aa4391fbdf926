from __future__ import annotations

from itertools import pairwise

import pytest

from trainer.schedule import ANNEAL_DECAY, SCHEDULES, LearningRateArea
from trainer.spec import Training

TOTAL, WARMUP = 132_366, 1_324


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
    assert 3e-4 * SCHEDULES["cosine"](tokens, TOTAL, WARMUP, 0.1) == pytest.approx(lr, rel=2e-4)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_warms_up_linearly_is_continuous_and_stays_in_bounds(name: str) -> None:
    schedule = SCHEDULES[name]
    assert schedule(WARMUP / 4, TOTAL, WARMUP, 0.1) == pytest.approx(0.25)
    assert schedule(WARMUP, TOTAL, WARMUP, 0.1) == pytest.approx(1.0)
    values = [schedule(t, TOTAL, WARMUP, 0.1) for t in range(0, TOTAL + 1, 66)]
    assert all(0 <= value <= 1 for value in values)
    assert max(abs(b - a) for a, b in pairwise(values)) < 0.06
    assert schedule(1, TOTAL, 0, 0.1) == pytest.approx(1.0)


def test_constant_stays_at_the_peak_beyond_its_end() -> None:
    assert SCHEDULES["constant"](10 * TOTAL, TOTAL, WARMUP, 0.1) == 1.0


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
    training = Training(1024 * 200, 128, 8, 1e-3, "constant", 1024, evaluations=12, first_evaluation=4096)
    steps = training.evaluation_steps()
    assert steps[0] == 4
    assert steps[-1] == training.steps == 200
    assert len(steps) == 12
    assert sum(1 for step in steps if step <= 50) >= 7
    gaps = [b / a for a, b in pairwise(steps)]
    assert max(gaps) < 1.7


def test_training_names_every_fault() -> None:
    with pytest.raises(ValueError) as refused:
        Training(0, 128, True, -1.0, "linear", -5, floor=float("nan"), validation_rows=1)
    for name in ("tokens", "batch", "lr", "schedule", "warmup_tokens", "floor", "validation_rows"):
        assert f"{name}: expected" in str(refused.value)


@pytest.mark.parametrize(
    ("tokens", "warmup", "first", "told"),
    [
        (1000, 0, 10, "multiple of batch"),
        (1024, 1024, 10, "warmup_tokens: must be below"),
        (1024, 0, 2048, "first_evaluation: must not exceed"),
    ],
)
def test_training_refuses_what_does_not_fit_together(tokens: int, warmup: int, first: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Training(tokens, 128, 8, 1e-3, "constant", warmup, first_evaluation=first)

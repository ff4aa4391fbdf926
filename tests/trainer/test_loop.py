from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainer.backend import Backend
from trainer.loop import DivergedError, Measurement, Resume, Snapshots, Start, train
from trainer.mixture import Mixture, Phase
from trainer.model import Transformer
from trainer.schedule import Constant, Cosine
from trainer.shards import Shard, open_shard, write_shard
from trainer.sizes import Size
from trainer.tokenizer import train_tokenizer
from trainer.training import Training

TRAINING = Training(16 * 4 * 30, 16, 4, 3e-3, Cosine(128), evaluations=5, first_evaluation=128, validation_rows=8)


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Shard]:
    texts = [f"A sentence about the number {i} and what comes after it. " * 3 for i in range(60)]
    code = [f"x_{i} = [{i}, {i + 1}]; assert x_{i}[0] == {i}\n" * 3 for i in range(60)]
    tokenizer = train_tokenizer(texts + code, 280)
    for name, documents in (("general", texts), ("code", code)):
        write_shard(tmp_path / name, documents, tokenizer, 16)
    return {name: open_shard(tmp_path / name, tokenizer) for name in ("general", "code")}


def run(
    sources: dict[str, Shard],
    training: Training = TRAINING,
    resume: Resume | None = None,
    seed: int = 1,
    backend: Backend | None = None,
) -> tuple[Transformer, Iterator[Measurement]]:
    model = Transformer(Size(32), 280, 16, seed)
    counts = {name: shard.header.rows for name, shard in sources.items()}
    stream = Mixture((Phase(0, {"general": 0.7, "code": 0.3}),), counts, training.steps * training.batch, 5)
    validation = {name: torch.from_numpy(shard.rows(list(range(8)))) for name, shard in sources.items()}
    return model, train(model, stream, sources, validation, training, resume=resume, backend=backend)


def test_losses_fall_and_measurements_are_where_they_should_be(sources: dict[str, Shard]) -> None:
    _, measured = run(sources)
    points = list(measured)
    assert [p.tokens for p in points] == [0, *(step * 64 for step in TRAINING.evaluation_steps())]
    assert points[0].shares is None
    assert points[0].lr_sum == 0
    for p in points[1:]:
        assert p.shares is not None
        assert abs(p.shares["code"] - 0.3) * p.tokens / 16 < 1
        assert sum(p.shares.values()) == pytest.approx(1)
    for name in ("general", "code"):
        assert points[-1].losses[name].mean < points[0].losses[name].mean - 0.5
    expected = sum(TRAINING.lr * TRAINING.multiplier(64 * (i + 1)) for i in range(30))
    assert points[-1].lr_sum == pytest.approx(expected)
    assert points[-1].lr == pytest.approx(3e-4)
    assert points[-1].lr_anneal > 0


def test_an_interrupted_run_goes_on_bitwise_as_if_nothing_had_happened(
    tmp_path: Path, sources: dict[str, Shard]
) -> None:
    whole, measured = run(sources)
    expected = list(measured)
    resume = Resume(tmp_path / "checkpoint.pt", "id")
    _, first = run(sources, resume=resume)
    before = [next(first) for _ in range(4)]
    first.close()
    # The third point after the start was yielded but not yet checkpointed: it is measured again.
    second_model, second = run(sources, resume=resume, seed=2)
    after = list(second)
    assert before == expected[:4]
    assert after == expected[3:]
    for one, two in zip(whole.parameters(), second_model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_run_stopped_after_its_last_step_measures_its_end_again(tmp_path: Path, sources: dict[str, Shard]) -> None:
    resume = Resume(tmp_path / "checkpoint.pt", "id")
    _, whole = run(sources, resume=resume)
    expected = list(whole)
    _, again = run(sources, resume=resume, seed=2)
    assert list(again) == expected[-1:]


def test_a_branch_that_changes_nothing_is_the_trunk_bitwise(tmp_path: Path, sources: dict[str, Shard]) -> None:
    training = replace(TRAINING, schedule=Constant(128))
    counts = {name: shard.header.rows for name, shard in sources.items()}
    stream = Mixture((Phase(0, {"general": 0.75, "code": 0.25}),), counts, 120, 5)
    trunk = Transformer(Size(32), 280, 16, 1)
    kept = Snapshots("trunk", {12: tmp_path / "state.pt"})
    list(train(trunk, stream, sources, {}, training, snapshots=kept))
    branch = Transformer(Size(32), 280, 16, 9)
    rest = replace(training, tokens=18 * 64, schedule=Constant(0))
    # 48 rows are a whole number of periods of the mixture, so that its pattern goes on as the trunk's does
    on = Mixture((Phase(0, {"general": 0.75, "code": 0.25}),), counts, 72, 5, before=(stream, 48))
    assert [on.at(i) for i in range(120)] == [stream.at(i) for i in range(120)]
    validation = {"general": torch.from_numpy(sources["general"].rows([0, 1, 2]))}
    points = list(train(branch, on, sources, validation, rest, Start(12 * 64, tmp_path / "state.pt", "trunk")))
    assert [p.tokens for p in points][:2] == [12 * 64, 12 * 64 + 64 * rest.evaluation_steps()[0]]
    assert points[-1].lr_sum == pytest.approx(sum(training.lr * training.multiplier(64 * (i + 1)) for i in range(30)))
    for one, two in zip(trunk.parameters(), branch.parameters(), strict=True):
        assert torch.equal(one, two)
    other = train(branch, on, sources, {}, rest, Start(12 * 64, tmp_path / "state.pt", "other"))
    with pytest.raises(ValueError, match="state of trunk, not of other"):
        next(other)


def test_a_run_can_be_stopped_early_on_its_own_schedule(sources: dict[str, Shard]) -> None:
    _, measured = run(sources)
    expected = [p for p in measured if p.tokens <= 64 * 10]
    model = Transformer(Size(32), 280, 16, 1)
    counts = {name: shard.header.rows for name, shard in sources.items()}
    stream = Mixture((Phase(0, {"general": 0.7, "code": 0.3}),), counts, 120, 5)
    validation = {name: torch.from_numpy(shard.rows(list(range(8)))) for name, shard in sources.items()}
    assert list(train(model, stream, sources, validation, TRAINING, until=10)) == expected


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path, sources: dict[str, Shard]) -> None:
    _, measured = run(sources, resume=Resume(tmp_path / "checkpoint.pt", "one"))
    list(measured)
    _, other = run(sources, resume=Resume(tmp_path / "checkpoint.pt", "two"))
    with pytest.raises(ValueError, match="state of one, not of two"):
        next(other)


def test_rows_a_few_at_a_time_give_the_same_run(sources: dict[str, Shard]) -> None:
    whole, few = (list(run(sources, backend=Backend(rows=rows))[1]) for rows in (0, 3))
    assert len(whole) == len(few)
    for one, other in zip(whole, few, strict=True):
        for name, loss in one.losses.items():
            assert other.losses[name].mean == pytest.approx(loss.mean, abs=2e-5)


def test_a_checkpoint_is_written_between_measurements_too(
    tmp_path: Path, sources: dict[str, Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.loop.SAVING_SHARE", 0.0)
    resume = Resume(tmp_path / "checkpoint.pt", "id", seconds=0.0)
    _, measured = run(sources, resume=resume)
    for seen, _ in enumerate(measured, 1):
        if seen == 3:
            step = torch.load(resume.path, weights_only=True)["step"]
            assert step == TRAINING.evaluation_steps()[1] - 1


def test_divergence_is_an_error_with_its_step(sources: dict[str, Shard]) -> None:
    model, measured = run(sources)
    next(measured)
    with torch.no_grad():
        model.head.weight[3] = float("inf")
    with pytest.raises(DivergedError, match="gradient norm nan at step 1"):
        list(measured)
    model, measured = run(sources)
    with torch.no_grad():
        model.head.weight[3] = float("nan")
    with pytest.raises(DivergedError, match="code, general is not finite at step 0"):
        next(measured)


def test_importing_the_trainer_loads_neither_jax_nor_the_package_beyond_its_schema() -> None:
    names = [file.stem for file in (Path(__file__).parents[2] / "trainer").glob("*.py") if file.stem != "__init__"]
    assert "loop" in names
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module('trainer.' + name)\n"
        "assert not {'jax', 'numpyro', 'arviz_base'} & set(sys.modules)\n"
        "print(sorted(m for m in sys.modules if m.startswith('bayescpt.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['bayescpt.schema']"

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainer.curriculum import ASCENDING, Order, load_scores
from trainer.evaluate import evaluate
from trainer.model import Transformer
from trainer.scores import score_rows, write_scores
from trainer.shards import Header, Shard
from trainer.sizes import Size

VOCAB, LENGTH, ROWS = 31, 6, 10


@pytest.fixture
def model() -> Transformer:
    built = Transformer(Size(32), VOCAB, LENGTH, seed=1)
    with torch.no_grad():
        built.head.weight.mul_(20)  # far from a uniform guess, so that rows differ
    return built


@pytest.fixture
def shard() -> Shard:
    stream = np.random.default_rng(0).integers(0, VOCAB, ROWS * LENGTH + 3).astype(np.uint16)
    header = Header(LENGTH, ROWS, len(stream), 1, 0, "uint16", "", "")
    return Shard(header, stream)


def test_perplexities_are_those_of_a_direct_computation_in_any_batch(model: Transformer, shard: Shard) -> None:
    rows = torch.from_numpy(shard.rows(list(range(ROWS))))
    direct = []
    with torch.no_grad():
        for row in rows:
            log_p = model(row[None, :-1])[0].double().log_softmax(-1)
            direct.append(math.exp(-sum(float(log_p[t, row[t + 1]]) for t in range(LENGTH)) / LENGTH))
    for batch in (1, 3, 10, 64):
        assert score_rows(model, rows, batch) == pytest.approx(direct, rel=1e-4)
    assert np.log(score_rows(model, rows)).mean() == pytest.approx(evaluate(model, rows).mean, rel=1e-5)


def test_scoring_leaves_the_model_as_it_was(model: Transformer) -> None:
    model.train()
    score_rows(model, torch.zeros(1, 3, dtype=torch.long))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_score_file_orders_the_rows_of_its_shard(model: Transformer, shard: Shard, tmp_path: Path) -> None:
    path = tmp_path / "new" / "web.npy"
    written = write_scores(path, model, shard, batch=4)
    read = load_scores(path, ROWS)
    assert np.array_equal(read, written)
    assert read.dtype == np.float64
    easy = Order(ASCENDING, "web", read).positions(ROWS, 0, 0)
    assert np.all(np.diff(read[easy]) >= 0)
    assert [file.name for file in path.parent.iterdir()] == ["web.npy"]


class Broken(nn.Module):
    """Finite everywhere but in rows that begin with token 3."""

    def forward(self, tokens: Tensor) -> Tensor:
        logits = torch.zeros(*tokens.shape, VOCAB)
        logits[tokens[:, 0] == 3] = math.nan
        return logits


def test_rows_without_a_perplexity_are_named_and_no_file_is_written(shard: Shard, tmp_path: Path) -> None:
    rows = torch.zeros(4, 3, dtype=torch.long)
    assert score_rows(Broken(), rows) == pytest.approx([VOCAB] * 4)
    rows[2, 0] = 3
    with pytest.raises(ValueError, match=r"perplexity: expected finite scores, got 1 that are not \(row 2: nan\)"):
        score_rows(Broken(), rows)
    stream = shard.stream.copy()
    stream[::LENGTH] = 0
    stream[7 * LENGTH] = 3
    with pytest.raises(ValueError, match=r"rows from 4 of the shard: .*\(row 3: nan\)"):
        write_scores(tmp_path / "s.npy", Broken(), Shard(shard.header, stream), batch=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(0, 5), (3, 1), (5,)])
def test_rows_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected rows of shape \(n, T \+ 1\)"):
        score_rows(Broken(), torch.zeros(shape, dtype=torch.long))


def test_a_score_file_is_called_npy(model: Transformer, shard: Shard, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.npy, got 'web\.txt'"):
        write_scores(tmp_path / "web.txt", model, shard)

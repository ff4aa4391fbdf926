"""A checkpoint of others in several processes."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.trainer.test_distributed import torchrun
from tests.trainer.test_pretrained import LENGTH, ROWS, plain_logits, write_checkpoint

WORKER = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from trainer.backend import join, leave
from trainer.machine import Machine
from trainer.pretrained import load_pretrained, load_pretrained_tokenizer, save_pretrained
from trainer.process import end_at_once
backend = join(Machine("cpu"))
loaded = load_pretrained(Path(sys.argv[1]))
tokenizer = load_pretrained_tokenizer(loaded.checkpoint)
model = backend.place(loaded)
model(torch.arange(12)[None]).square().mean().backward()
save_pretrained(model, Path(sys.argv[2]), tokenizer, backend)
leave()
end_at_once(0)
"""


def test_a_model_in_parts_on_two_processes_is_saved_whole(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", "Qwen2Config", tied=True)
    (tmp_path / "worker.py").write_text(WORKER, "utf-8")
    torchrun(2, tmp_path / "worker.py", folder, tmp_path / "saved")
    tokens = torch.randint(0, ROWS, (3, LENGTH), generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain_logits(tmp_path / "saved", tokens), plain_logits(folder, tokens))

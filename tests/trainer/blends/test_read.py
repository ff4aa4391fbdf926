"""A blend from YAML to files of another trainer, by the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.__main__ import main
from trainer.blends import read_blend

BLEND = """
tokens: 2e10
sources:
  web: {share: 0.75, location: /data/web, tokens: 9e11}
  law: {share: 0.25, location: /data/law, tokens: 1e9}
"""


def test_a_blend_is_exported_with_its_repetition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "BLEND.yaml"
    path.write_text(BLEND, "utf-8")
    assert main(["export", str(path), "--format", "megatron", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "law" in told
    assert list((tmp_path / "out").iterdir())
    assert main(["export", str(path), "--format", "megatron", "--out", str(tmp_path / "no"), "--max-epochs", "4"]) == 2
    assert "law" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BLEND.replace("0.25", "0.3"), "must sum to 1"),
        (BLEND.replace(", tokens: 1e9", ""), "sources.law: missing tokens"),
        (BLEND.replace("2e10", "2.5"), "tokens: expected a whole number of at least 1, got 2.5"),
        (BLEND + "phases: [{start: 1e10, shares: {code: 1}}]", "phase 1: no source is called 'code'"),
        (BLEND + "seed: 3", "unknown key 'seed'"),
    ],
)
def test_faults_of_a_blend_name_the_file(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "BLEND.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError) as refused:
        read_blend(path)
    assert str(path) in str(refused.value)
    assert told in str(refused.value)

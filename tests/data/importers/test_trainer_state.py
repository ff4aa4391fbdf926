"""trainer_state.json as transformers writes it: an entry for each validation set, tokens where counted, restarts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Import = Callable[..., Any]


def general(step: int, loss: float, **more: Any) -> dict[str, Any]:
    return {"eval_general_loss": loss, "eval_general_runtime": 1.0, "epoch": step / 1000, "step": step, **more}


def law(step: int, loss: float, **more: Any) -> dict[str, Any]:
    return {"eval_law_loss": loss, "epoch": step / 1000, "step": step, **more}


def train(step: int, **more: Any) -> dict[str, Any]:
    return {"loss": 2.0, "grad_norm": 1.0, "learning_rate": 1e-4, "step": step, **more}


def test_what_transformers_saves_is_read(tmp_path: Path, imported: Import, losses: Import) -> None:
    states = pytest.importorskip("transformers.trainer_callback")
    state = states.TrainerState(global_step=100, max_steps=100)
    state.log_history = [general(0, 2.1), law(0, 2.9), train(100), general(100, 2.2), law(100, 2.5)]
    folder = tmp_path / "checkpoint-100"
    folder.mkdir()
    state.save_to_json(str(folder / "trainer_state.json"))
    wanted = {(0, "general"): 2.1, (0, "domain"): 2.9, (100_000, "general"): 2.2, (100_000, "domain"): 2.5}
    for path in (folder, folder / "trainer_state.json"):
        found = imported(path, columns={"lr": "learning_rate"})
        assert losses(found) == wanted
        assert found.frame.query("tokens > 0")["lr"].tolist() == [1e-4, 1e-4]
        assert found.notes == ()


def test_tokens_that_were_counted_are_taken(state: Import, imported: Import) -> None:
    seen = {"num_input_tokens_seen": 123_456}
    path = state(train(100, **seen), general(100, 2.2, **seen), law(100, 2.5, **seen))
    assert imported(path, tokens_per_step=None).frame["tokens"].tolist() == [123_456] * 2
    # of the same step, where the evaluation itself has none
    path = state(train(100, **seen), general(100, 2.2), law(100, 2.5))
    assert imported(path, tokens_per_step=None).frame["tokens"].tolist() == [123_456] * 2
    assert imported(path).frame["tokens"].tolist() == [100_000] * 2


def test_a_step_logged_again_counts_as_it_was_last(state: Import, imported: Import, losses: Import) -> None:
    first = [general(100, 2.2), law(100, 2.5), general(150, 9.0), law(150, 9.0), general(200, float("nan"))]
    again = [general(100, 2.21), law(100, 2.5), general(200, 2.3), law(200, 2.4)]
    path = state(*first, *again)
    found = imported(path)
    assert losses(found)[100_000, "general"] == 2.21
    assert losses(found)[200_000, "general"] == 2.3
    told = " ".join(found.notes)
    assert "run 'a': 3 losses logged again, the last counts, they differ by at most 0.01 nats" in told
    assert "general at 100000 tokens in entry 1 (step 100) and entry 6 (step 100)" in told
    assert "2 losses beyond a point that the run later started again from, kept: " in told
    assert "domain at 150000 tokens in entry 4 (step 150)" in told


def test_pieces_of_one_run_are_read_in_their_order(state: Import, imported: Import, losses: Import) -> None:
    first = state(general(100, 2.2), law(100, 2.5), general(200, 9.0), name="one.json")
    second = state(general(200, 2.3), law(200, 2.4), name="two.json")
    found = imported([first, second])
    assert losses(found)[200_000, "general"] == 2.3
    assert f"{first}, entry 3 (step 200) and {second}, entry 1 (step 200)" in found.notes[0]
    assert losses(imported([second, first]))[200_000, "general"] == 9.0


def test_a_loss_that_diverged_is_named_by_its_step(state: Import, imported: Import, refused: Import) -> None:
    path = state(general(100, 2.2), law(100, 2.5), general(200, float("nan")), law(200, float("inf")))
    faults = refused(path)
    assert [fault.code for fault in faults] == ["not_finite"] * 2
    assert "eval_general_loss is nan: entry 3 (step 200)" in faults[0].message
    assert "eval_law_loss is inf: entry 4 (step 200)" in faults[1].message
    assert len(imported(path, skip_not_finite=True).frame) == 2


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"log_history": [3]}', "\xff"])
def test_other_json_is_refused(tmp_path: Path, refused: Import, content: str) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_bytes(content.encode("latin-1"))
    (fault,) = refused(path)
    assert fault.code in ("file_unreadable", "not_this_format")
    assert str(path) in fault.message


def test_names_that_are_not_there_are_told_with_those_that_are(state: Import, refused: Import) -> None:
    path = state(general(100, 2.2), {"eval_contracts_loss": 2.5, "step": 100})
    (fault,) = refused(path, targets={"general": "eval_general_loss", "domain": "eval_law_loss"})
    assert fault.code == "name_missing"
    assert (
        "targets.domain: expected 'eval_law_loss' in it, found eval_general_loss, eval_contracts_loss" in fault.message
    )


def test_a_target_that_was_not_recognised_is_told(state: Import, refused: Import, imported: Import) -> None:
    path = state(general(100, 2.2), {"eval_contracts_loss": 2.5, "step": 100})
    assert "training rows of the target 'domain'" in refused(path)[0].message
    path = state(general(100, 2.2), law(100, 2.5), {"eval_domain_loss": 2.5, "step": 100})
    (fault,) = refused(path)
    assert fault.code == "targets_unclear"
    assert "several names could be the domain loss: eval_law_loss, eval_domain_loss" in fault.message
    (fault,) = refused(state({"eval_loss": 2.0, "step": 1}))
    assert "no losses: say which name holds that of each target" in fault.message
    (note,) = imported(state(law(100, 2.5)), domain="law").notes
    assert "eval_law_loss is taken for the domain loss, and no name was recognised" in note

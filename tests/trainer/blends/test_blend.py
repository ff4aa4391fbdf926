from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.blends import FORMATS, Blend, BlendPhase, Source, export, write
from trainer.blends.epochs import check_epochs, epochs, epochs_table
from trainer.blends.scatter import realised_sd


def two(share: Any = 0.3, tokens: int = 1_000_000, phases: tuple[BlendPhase, ...] = ()) -> Blend:
    sources = (
        Source("general", 1 - share, "/data/general", 10_000_000),
        Source("domain", share, "/data/domain", 100_000),
    )
    return Blend(sources, tokens, phases)


LATER = (BlendPhase(400_000, {"general": 0.5, "domain": 0.5}), BlendPhase(900_000, {"general": 1.0}))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9).filter(any))
def test_weights_are_whole_have_no_common_divisor_and_give_the_shares_exactly(parts: list[int]) -> None:
    total = sum(parts)
    sources = tuple(Source(f"s{i}", Fraction(p, total), f"/d/{i}", 1) for i, p in enumerate(parts) if p)
    (stage,) = Blend(sources, 7).stages
    whole = sum(stage.weights.values())
    assert {n: Fraction(w, whole) for n, w in stage.weights.items()} == {s.name: s.share for s in sources}
    assert sum(stage.shares.values()) == 1


def test_decimal_shares_are_read_as_the_decimals_they_are() -> None:
    assert two(0.3).stages[0].weights == {"general": 7, "domain": 3}
    assert two(0.000001).stages[0].weights == {"general": 999_999, "domain": 1}
    assert two(Fraction(1, 3)).stages[0].weights == {"general": 2, "domain": 1}


def test_phases_cut_the_run_into_stages_that_leave_out_what_gives_nothing() -> None:
    stages = two(phases=LATER).stages
    assert [(s.start, s.tokens) for s in stages] == [(0, 400_000), (400_000, 500_000), (900_000, 100_000)]
    assert [s.weights for s in stages] == [{"general": 7, "domain": 3}, {"general": 1, "domain": 1}, {"general": 1}]


def test_epochs_are_tokens_needed_over_tokens_available() -> None:
    assert epochs(two()) == {"general": Fraction(7, 100), "domain": 3}
    needed = 400_000 * Fraction(3, 10) + 500_000 * Fraction(1, 2)
    assert two(phases=LATER).needed["domain"] == needed
    assert epochs(two(phases=LATER))["domain"] == needed / 100_000


def test_the_limit_on_epochs_is_inclusive_and_names_what_would_do() -> None:
    check_epochs(two(), None)
    check_epochs(two(), 3)
    with pytest.raises(ValueError, match=r"at most 2\.5 epochs of any source, got 'domain' 3 times \(needs 120,000 "):
        export(two(), "megatron", max_epochs=2.5)
    with pytest.raises(ValueError, match=r"'general' .*; 'domain' "):
        check_epochs(two(), 0.01)
    with pytest.raises(ValueError, match="max_epochs: expected a positive number"):
        check_epochs(two(), 0)


def test_the_table_has_a_line_for_every_source() -> None:
    head, general, domain = epochs_table(two()).splitlines()
    assert head.split() == ["source", "share", "tokens", "needed", "available", "epochs"]
    assert general.split() == ["general", "0.700000", "700,000", "10,000,000", "0.070"]
    assert domain.split() == ["domain", "0.300000", "300,000", "100,000", "3.000"]


def source(name: Any = "a", share: Any = 1.0, location: Any = "/a", tokens: Any = 5) -> Source:
    return Source(name, share, location, tokens)


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        ((), "at least one"),
        ((source(share=0.5), source(share=0.5)), "'a' given twice"),
        ((source(share=0.5), source("b", 0.4)), "must sum to 1"),
        ((source(share=1), source("b", 0)), "'b': its share is 0 from start to end"),
        ((source(share=float("nan")),), "nan"),
        ((source(share="1"),), "expected a share in .* got '1'"),
        ((source(share=True),), "got True"),
        ((source(share=Fraction(1, 1_000_003)), source("b", Fraction(1_000_002, 1_000_003))), "'a'.*1/1000003"),
        ((source(tokens=0),), "'a': tokens: expected a whole number of at least 1, got 0"),
        ((source(location="/a\nrm -rf /"),), "printable"),
        ((source(location=" /a"),), "space at either end"),
        ((source(location="--tokenizer"),), "begin with '-'"),
        ((source(location="/a/${oc.env:HOME}"),), "no '"),
        ((source(name=""),), "expected text, got ''"),
        ((source(location=3),), "expected text, got 3"),
    ],
)
def test_unusable_sources_are_refused_by_name(sources: tuple[Source, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Blend(sources, 10)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"'a': tokens.*; tokens: .*; phase 1: no source is called 'c'.*; phase 2: "):
        Blend((source(tokens=-1),), 0, (BlendPhase(5, {"a": 0.5, "c": 0.5}), BlendPhase(0, {"a": 1.0})))


@pytest.mark.parametrize("starts", [(0,), (1_000_000,), (5, 5), (6, 5), (True,)])
def test_phases_out_of_order_are_refused(starts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"phase [12]: (start: )?expected a"):
        two(phases=tuple(BlendPhase(start, {"general": 1.0}) for start in starts))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_every_format_writes_files_headed_by_table_and_notes(form: Any, tmp_path: Any) -> None:
    done = export(two(), form.name, seed=5)
    assert done.table == epochs_table(two())
    assert done.files
    assert done.notes
    for text in done.files.values():
        assert all(f"# {line}" in text for line in [*done.table.splitlines(), *done.notes])
        assert text == text.rstrip() + "\n"
    assert [path.read_text("utf-8") for path in write(done.files, tmp_path / "new")] == list(done.files.values())


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_phases_are_written_or_refused_with_the_formats_that_can(form: Any) -> None:
    if form.phases:
        assert export(two(phases=LATER), form.name).files
        return
    with pytest.raises(ValueError, match=r"one set of shares, got 3 phases; .* megatron, llm-foundry can"):
        export(two(phases=LATER), form.name)


def test_unknown_formats_and_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one of megatron, llm-foundry, torchtitan, huggingface, got 'pax'"):
        export(two(), "pax")
    with pytest.raises(ValueError, match="seed: expected a whole number"):
        export(two(), "huggingface", seed=-1)


def test_scatter_of_random_draws_is_binomial() -> None:
    # Research notes, section 5.1: a relative standard deviation of 31 % at r = 0.01 over 1,000 draws.
    assert realised_sd(Fraction(1, 100), 1_000) == pytest.approx(0.0031, abs=5e-5)
    assert realised_sd(0.05, 1_000) / 0.05 == pytest.approx(0.14, abs=0.005)

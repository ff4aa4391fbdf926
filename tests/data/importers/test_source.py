"""What is said of a source: every mistake named at once, numbers as people write them, units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from bayescpt.data.faults import TableError
from bayescpt.data.importers import import_rows
from bayescpt.data.importers.collect import Collector
from bayescpt.data.importers.source import source_of
from bayescpt.data.importers.units import UNITS
from bayescpt.schema import COLUMNS

Import = Callable[..., Any]
WIDE = ("step,general_loss,domain_loss", "0,2.1,2.9", "100,2.2,2.5")


def faults_of(**entry: Any) -> dict[str | None, str]:
    faults = Collector("x")
    source_of({"path": "log.csv"} | entry, faults)
    return {fault.column: fault.message for fault in faults.faults}


@pytest.mark.parametrize(
    ("entry", "column", "told"),
    [
        ({"path": None}, "path", "expected a file or folder"),
        ({"path": []}, "path", "expected a file or folder"),
        ({"path": ["a", 3]}, "path", "got ['a', 3]"),
        ({"from": "excel"}, "from", "one of csv, trainer-state, wandb, mlflow, tensorboard"),
        ({"sise": 1}, "sise", "unknown key 'sise'; known are path, from"),
        ({"size": "big"}, "size", "expected a number, got 'big'"),
        ({"seed": 1.5}, "seed", "expected a whole number"),
        ({"run": False}, "run", "text (in quotes where YAML makes something else of it), got False"),
        ({"loss": 2.0}, "loss", "it is what is imported"),
        ({"targets": ["a"]}, "targets", "names and what they stand for"),
        ({"targets": {"law": "x"}}, "targets", "general and domain as its keys, got 'law'"),
        ({"targets": {"domain": True}}, "targets.domain", "expected a name, got True"),
        ({"columns": {"epoch": "x"}}, "epoch", "the contract has no column 'epoch'"),
        ({"columns": {"ratio": "x"}, "ratio": 0.5}, "ratio", "ratio is set and read from 'x'"),
        ({"tokens": 5, "tokens_per_step": 5}, "tokens", "tokens_per_step and tokens both say"),
        ({"step": 3}, "step", "expected a name, got 3"),
        ({"tokens_per_step": 0}, "tokens_per_step", "expected a number above 0"),
        ({"tokens_per_step": "2Q"}, "tokens_per_step", "got '2Q'"),
        ({"base_step": -1}, "base_step", "a number of at least 0"),
        ({"base_loss": {"domain": "nan"}}, "base_loss.domain", "a number above 0"),
        ({"keep_last": "yes"}, "keep_last", "true or false"),
        ({"unit": "nits"}, "unit", "one of nats, bits, perplexity, bits_per_byte"),
        ({"unit": "bits_per_byte"}, "loss", "says nothing per token"),
        ({"tokens_per_byte": 0.25}, None, "no use for losses in nats"),
    ],
)
def test_a_mistake_is_named(entry: dict[str, Any], column: str | None, told: str) -> None:
    assert told in faults_of(**entry)[column]


def test_a_sound_source_has_no_faults() -> None:
    constants: dict[str, Any] = {column.name: 1 for column in COLUMNS if column.name not in ("loss", "tokens")}
    assert faults_of(**constants, share_law=0.5, tokens_per_step="2M", base_loss={"general": 2}) == {}


def test_whole_numbers_keep_their_digits() -> None:
    faults = Collector("x")
    assert source_of({"path": "x", "seed": "9007199254740993"}, faults).constants["seed"] == 9007199254740993
    assert source_of({"path": "x", "size": "1.5B"}, faults).constants["size"] == 1.5e9
    assert source_of({"path": "x", "run": 7}, faults).constants["run"] == "7"
    assert faults.faults == []


@pytest.mark.parametrize(
    ("unit", "general", "domain"),
    [
        ("nats", 2.0, 3.0),
        ("bits", 2.0 / math.log(2), 3.0 / math.log(2)),
        ("perplexity", math.exp(2.0), math.exp(3.0)),
        ("bits_per_byte", 2.0 * 0.25 / math.log(2), 3.0 * 0.5 / math.log(2)),
    ],
)
def test_units_become_nats_per_token(table: Import, imported: Import, unit: str, general: float, domain: float) -> None:
    path = table("step,general_loss,domain_loss", f"0,{general!r},{domain!r}", f"100,{general!r},{domain!r}")
    per_byte = {"tokens_per_byte": {"general": 0.25, "domain": 0.5}} if unit == "bits_per_byte" else {}
    found = imported(path, unit=unit, base_loss={"general": general}, **per_byte)
    frame = found.frame.query("target == 'general'")
    assert frame["loss"].tolist() == pytest.approx([2.0, 2.0])
    assert found.frame.query("target == 'domain'")["loss"].tolist() == pytest.approx([3.0, 3.0])


def test_bits_per_byte_need_the_tokens_of_each_set(table: Import, refused: Import) -> None:
    settings = {"unit": "bits_per_byte", "tokens_per_byte": {"domain": 0.25}}
    (fault,) = refused(table(*WIDE), **settings)
    assert fault.code == "unit_refused"
    assert "general_loss is in bits per byte: row 1; row 2; give tokens_per_byte of the general set" in fault.message
    assert (
        "base_loss.general: give tokens_per_byte"
        in refused(table(*WIDE), **settings, base_loss={"general": 1})[0].message
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_slope_is_the_derivative(unit: Any) -> None:
    step = 1e-6
    difference = (unit.to_nats(3 + step, 0.25) - unit.to_nats(3 - step, 0.25)) / (2 * step)
    assert unit.slope(3, 0.25) == pytest.approx(difference, rel=1e-6)


def test_standard_errors_are_turned_too(table: Import, imported: Import) -> None:
    path = table("step,general_loss,domain_loss,g_se,d_se", "100,8,16,0.4,1.6")
    found = imported(path, unit="perplexity", loss_se={"general": "g_se", "domain": "d_se"})
    assert found.frame["loss_se"].tolist() == pytest.approx([0.05, 0.1])


def test_a_loss_that_no_unit_allows_is_refused(table: Import, refused: Import) -> None:
    (fault,) = refused(table(*WIDE, "200,-1,2.5"), unit="perplexity", skip_not_finite=True)
    assert (fault.code, fault.rows) == ("out_of_bounds", (3,))
    assert "general_loss is -1, which is no loss in perplexity: row 3" in fault.message


def test_a_perplexity_that_is_taken_for_nats_is_told(table: Import, imported: Import) -> None:
    notes = imported(table("step,general_loss,domain_loss", "100,8,30")).notes
    assert "losses of up to 30 nats per token are more than guessing costs" in notes[0]


def test_faults_of_all_sources_are_raised_at_once(table: Import) -> None:
    good, bad = table(*WIDE), table("step,general_loss", "0,x", name="bad.csv")
    run = {"run": "a", "domain": "law", "ratio": 0.5, "tokens_per_step": 10}
    with pytest.raises(TableError) as caught:
        import_rows(
            [run | {"path": good}, run | {"path": bad, "size": 1e6}, run | {"path": "none.csv", "unit": "nits"}]
        )
    assert [fault.code for fault in caught.value.faults] == [
        "missing_column",
        "wrong_type",
        "wrong_value",
        "file_missing",
    ]
    assert "no size: set it (--set size=VALUE" in str(caught.value)
    assert "bad.csv" in caught.value.faults[1].message

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from bayescpt.data.faults import Fault, TableError, abbreviated, row_list


def test_error_prints_every_fault_on_its_own_line() -> None:
    faults = [Fault("a", "first", "loss", (1,)), Fault("b", "second")]
    error = TableError(faults, source="rows.csv")
    assert isinstance(error, ValueError)
    assert str(error).splitlines() == ["rows.csv cannot be used, 2 faults:", "  a: first", "  b: second"]
    assert error.faults == tuple(faults)


def test_error_survives_another_process() -> None:
    error = TableError([Fault("a", "first", "loss", (1, 2))], source="rows.csv")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.faults) == (str(error), error.faults)


def test_error_without_faults_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        TableError([])


def test_long_row_lists_are_counted() -> None:
    assert row_list([3]) == "row 3"
    assert row_list([3, 5]) == "rows 3, 5"
    assert row_list(range(1, 101)) == "rows 1, 2, 3, 4, 5 and 95 more (100 rows)"
    assert abbreviated(list("abcdefg"), "letters") == "a; b; c; d; e; and 2 more letters"


def test_fault_as_json_keeps_every_row() -> None:
    rows = tuple(range(1, 101))
    assert Fault("a", "m", None, rows).as_dict() == {
        "code": "a",
        "message": "m",
        "column": None,
        "rows": list(rows),
    }


@pytest.mark.parametrize(
    ("modules", "kept_out"),
    [
        ("bayescpt.schema, bayescpt.data.faults", ("pandas", "numpy", "jax")),
        ("bayescpt.data.overview, bayescpt.data.checks", ("jax", "numpyro", "torch")),
    ],
)
def test_imports_stay_light(modules: str, kept_out: tuple[str, ...]) -> None:
    code = f"import sys, {modules}; print([m for m in {kept_out!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_package_offers_its_names() -> None:
    import bayescpt.data

    for name in bayescpt.data.__all__:
        assert getattr(bayescpt.data, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bayescpt.data.no_such_name

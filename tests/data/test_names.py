from __future__ import annotations

import pytest

from bayescpt.data.names import fault_of_name

KNOWN = ("cpp", "law", "Law")


@pytest.mark.parametrize("name", ["cpp", "law", "Law", "poems", "c p p"])
def test_names_of_the_table_and_new_ones_are_names(name: str) -> None:
    assert fault_of_name(name, KNOWN) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "expected a name, got ''"),
        (" \t", "expected a name, got ' \\t'"),
        (None, "expected a name, got None"),
        (5, "expected a name, got 5"),
        ("cpp ", "without space around it, got 'cpp ': write 'cpp'"),
        (" CPP", "without space around it, got ' CPP': write 'cpp'"),
        (" poems", "without space around it, got ' poems': write 'poems'"),
        ("CPP", "got 'CPP', which looks like 'cpp': write 'cpp'"),
    ],
)
def test_slips_of_the_pen_are_named_with_what_was_meant(name: object, told: str) -> None:
    assert told in (fault_of_name(name, KNOWN) or "")

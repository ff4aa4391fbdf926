"""Whatever stands in a study, it is read or refused by name: no other error comes out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.study import parse_study

STRANGE: list[Any] = [
    None,
    True,
    "",
    "x",
    "1e5",
    "nan",
    -1,
    0,
    2,
    0.5,
    1e6,
    float("inf"),
    [],
    [1],
    ["x"],
    {},
    {"x": 1},
    [{}],
    [None],
]
EXTRA: list[tuple[tuple[Any, ...], str, Any]] = [
    (("bases", 0), "name", "foo"),
    (("corpora", "code"), "validation", 5),
    (("tokenizer",), "end_of_text", "x"),
    (("run",), "schedule", {"kind": "inverse-sqrt", "timescale_tokens": 64, "limit": "1e-2"}),
    (("run",), "schedule", {"kind": "infinite", "cooldown": ["linear"]}),
    (("run",), "topics", {"alpha": 1, "normalise": "relative", "interval_tokens": 64, "weights": {"code": 1}}),
    (("run",), "orders", {"general": "original"}),
    (("run",), "limits", {"code": 64}),
    (("run",), "precision", "bfloat16"),
]


@pytest.fixture
def content(study_content: dict[str, Any]) -> dict[str, Any]:
    return study_content | {
        "runs": [
            {
                "size": 32,
                "domain": "code",
                "seed": 7,
                "mixes": [
                    {"start": 0, "shares": {"general": 0.5, "code": 0.5}},
                    {"start": 320, "shares": {"general": 0.2, "code": 0.8}},
                ],
            }
        ],
        "branches": [
            {
                "from": {"ratios": [0.3], "seeds": [0]},
                "at": [320],
                "tokens": 128,
                "schedule": {"kind": "wsd", "decay_tokens": 128, "shape": "linear"},
                "mixes": [{"start": 0, "shares": {"general": 0.5, "code": 0.5}}],
                "leave_one_out": True,
            }
        ],
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything inside nested mappings and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at ``path``."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new) if len(path) > 1 else new  # type: ignore[index]
    return copy


def refused_or_read(content: Any, folder: Path) -> None:
    try:
        parse_study(content, folder)
    except ValueError as refused:
        assert str(refused).startswith("study: ")  # noqa: PT017


def test_the_study_that_is_changed_here_is_read(content: dict[str, Any], tmp_path: Path) -> None:
    assert len(parse_study(content, tmp_path).runs) == 7


@pytest.mark.parametrize(("path", "key", "value"), EXTRA, ids=lambda part: str(part)[:24])
def test_single_additions(content: dict[str, Any], tmp_path: Path, path: tuple[Any, ...], key: str, value: Any) -> None:
    refused_or_read(changed(content, (*path, key), value), tmp_path)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(data=st.data())
def test_strange_values_anywhere(content: dict[str, Any], tmp_path: Path, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 2))):
        paths = sorted(places(content), key=str)
        content = changed(content, data.draw(st.sampled_from(paths)), data.draw(st.sampled_from(STRANGE)))
    refused_or_read(content, tmp_path)

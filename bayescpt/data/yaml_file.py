"""YAML files, as everybody here reads them: a key that stands twice is a fault, not the last of its values."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Any, int] = {}
        for key, _ in node.value:
            if key.tag == MERGE:
                continue
            line = key.start_mark.line + 1
            if key.value in seen:
                first = f"'{key.value}' stands twice: in line {seen[key.value]} and in line {line}"
                raise yaml.constructor.ConstructorError(None, None, first, key.start_mark)
            seen[key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises ValueError where there is none, it is no YAML, or a key stands twice."""
    try:
        return yaml.load(path.read_text("utf-8"), StrictLoader)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}): expected a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is no YAML: {error}") from error

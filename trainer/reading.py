"""Reading YAML that people wrote: unknown keys, wrong types and keys given twice are faults, all named at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML as people write it: a key that stands twice is an error, ``<<`` takes over what it does not give itself."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"line {node.start_mark.line + 1}: {', '.join(twice)} given twice")
        return super().construct_mapping(node, deep)


class Faults(list[str]):
    """Faults found so far, and readers of untrusted values that add to them."""

    def mapping(self, where: str, value: Any, known: tuple[str, ...] | None = None) -> dict[str, Any]:
        """``value`` as keys and values, without keys that are not ``known``."""
        if not isinstance(value, dict):
            self.append(f"{where}: expected keys and values, got {value!r}")
            return {}
        if known is not None:
            self.extend(
                f"{where}: unknown key {key!r}; known are {', '.join(known)}" for key in value if key not in known
            )
        return {str(key): item for key, item in value.items() if known is None or key in known}

    def sequence(self, where: str, value: Any) -> list[Any]:
        """``value`` as a list."""
        if isinstance(value, list):
            return value
        self.append(f"{where}: expected a list, got {value!r}")
        return []


def number(value: Any) -> Any:
    """``1e-3``, which YAML 1.1 takes for a string, as the number that was meant, and ``1e6`` as a whole one."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        ValueError: if there is no such file, or it is not YAML.
    """
    try:
        return yaml.load(path.read_text("utf-8"), _Loader)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected YAML, got {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error

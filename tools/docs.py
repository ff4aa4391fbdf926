"""What `make docs` needs besides MkDocs: references of docstrings as links, links that leave the site as text.

A docstring refers to a thing as :func:`name` or :class:`name`, by its full path or by its name in the same class or
module. Where it does not exist the build fails. A page may link any file of the project; those that are no page become
text, and one that is missing fails the build.
"""

from __future__ import annotations

import logging
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from griffe import Extension

ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`([\w.]+)`")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
log = logging.getLogger("mkdocs.hooks.docs")


class Roles(Extension):
    """Turns the references of docstrings into links, where the site has the thing, and into code elsewhere."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring is not None:
            scopes = (obj.path, obj.module.path if obj.kind.value != "module" else obj.path)
            scopes = (*scopes, obj.parent.path) if obj.parent is not None else scopes
            obj.docstring.value = linked(obj.docstring.value, scopes)


def linked(text: str, scopes: tuple[str, ...]) -> str:
    """A docstring with its references as links."""

    def link(found: re.Match[str]) -> str:
        name = found[1]
        for path in (name, *(f"{scope}.{name}" for scope in scopes)):
            if (target := canonical(path)) is not None:
                return f'<autoref identifier="{target}" optional><code>{name.rpartition(".")[2]}</code></autoref>'
        log.warning("%s: a docstring refers to %s, which does not exist", scopes[0], name)
        return f"`{name}`"

    return ROLE.sub(link, text)


def canonical(path: str) -> str | None:
    """Where the thing at ``path`` is defined; None where there is none."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:length]))
        except ImportError:
            continue
        home = found.__name__
        for name in parts[length:]:
            if hasattr(found, name):
                found = getattr(found, name)
            elif name in getattr(found, "__annotations__", {}):
                found = None  # a field without a default
            else:
                return None
            named = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
            home = ".".join(map(str, named)) if all(named) else f"{home}.{name}"
        return home
    return None


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Links that leave the site as text."""
    here, pages = Path(page.file.abs_src_path).parent, Path(config.docs_dir)

    def kept(found: re.Match[str]) -> str:
        text, target = found[1], found[2]
        path = (here / target).resolve()
        if "://" in target or path.is_relative_to(pages):
            return found[0]
        if not path.exists():
            log.warning("%s links to %s, which does not exist", page.file.src_path, target)
        return text

    return LINK.sub(kept, markdown)

"""English prose out of documentation: paragraphs that read as sentences, without code, tables and lists."""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Iterator

_WORD = re.compile(r"[A-Za-z']+")
_PLAIN_WORD = re.compile(r"[A-Za-z']+[.,;:!?)]?")
_MARKUP = re.compile(r":[a-z:]+:`~?([^`<]*)(?:<[^`]*>)?`_{0,2}|`+([^`]*)`+_{0,2}|!?\[([^\]]*)\]\([^)]*\)")
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "the of a an to is and in for be that this are it with as on if by or not from can will which when "
        "has have at was you we all each but",
    )
)
SHORTEST = 12
"""Words in the shortest paragraph kept."""
PLAIN_SHARE = 0.75
"""Share of tokens in a paragraph that must be plain words."""
FUNCTION_SHARE = 0.2
"""Share of words that must be function words of English, which code and tables lack."""


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a docstring or README that read as English, each on one line, markup removed."""
    for block in re.split(r"\n\s*\n", text):
        if ">>>" in block or "```" in block or re.search(r"^\s*[-=~*^|+]{3,}", block, re.MULTILINE):
            continue
        line = _MARKUP.sub(lambda m: next(g for g in m.groups() if g is not None), " ".join(block.split()))
        tokens = line.split()
        words = [word.lower() for word in _WORD.findall(line)]
        if len(words) < SHORTEST or line[-1] not in ".!?:)":
            continue
        plain = sum(1 for token in tokens if _PLAIN_WORD.fullmatch(token))
        function = sum(1 for word in words if word in _FUNCTION_WORDS)
        if plain >= PLAIN_SHARE * len(tokens) and function >= FUNCTION_SHARE * len(words):
            yield line


def parse_source(source: str) -> ast.Module | None:
    """The syntax tree of a Python file, or None where it is not valid for this Python version."""
    with warnings.catch_warnings():
        # Files of others are read, not run: what they still write in an old way is not our user's concern.
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError):
            return None


def docstring_nodes(tree: ast.Module) -> Iterator[ast.Constant]:
    """Every docstring of a module as the constant that holds it, in no particular order."""
    # Only bodies are searched: walking into every expression takes ten times as long.
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        for part in ("body", "orelse", "finalbody", "handlers"):
            children = getattr(node, part, None)
            if isinstance(children, list):
                pending.extend(children)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first.value


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Every docstring of a module in the order of the file, indentation removed."""
    for node in sorted(docstring_nodes(tree), key=lambda node: node.lineno):
        assert isinstance(node.value, str)
        yield inspect.cleandoc(node.value)


def without_docstrings(source: str, tree: ast.Module) -> str:
    """The source with the lines of every docstring left out."""
    dropped: set[int] = set()
    for node in docstring_nodes(tree):
        assert node.end_lineno is not None
        dropped.update(range(node.lineno, node.end_lineno + 1))
    lines = source.splitlines()
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in dropped) + "\n"

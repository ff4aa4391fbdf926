"""Built-in corpora: text that Python and the dependencies bring along, so a first study downloads nothing.

``prose``    English from docstrings and package descriptions; the general corpus
``python``   Python source without its docstrings, so it shares nothing with ``prose``
``cpp``      C and C++ headers of Python, NumPy, Arrow and PyTorch
``metrics``  Adobe font metrics of Matplotlib: tables of numbers and glyph names, over 1 MB. Nothing else
             that is always installed is as large and as far from both prose and code; licence texts were
             the other candidate, but they are English prose again and partly one text many times over.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from trainer.files import content_hash
from trainer.prose import docstrings, paragraphs, parse_source, without_docstrings

PACKAGES: tuple[str, ...] = (
    "jax",
    "matplotlib",
    "mpmath",
    "networkx",
    "numpy",
    "numpyro",
    "packaging",
    "pandas",
    "pyarrow",
    "rich",
    "scipy",
    "sympy",
    "torch",
    "xarray",
)
"""Import names of packages whose text is read: dependencies of this project, so all machines have them."""

HEADERS: tuple[tuple[str, str], ...] = (
    ("numpy", "_core/include"),
    ("pyarrow", "include"),
    ("torch", "include"),
)
"""Package and folder in it where C and C++ headers lie, beside those of Python itself."""

LEFT_OUT = frozenset(
    {
        "__pycache__",
        "_vendor",
        "config",
        "idlelib",
        "lib2to3",
        "lib-dynload",
        "site-packages",
        "test",
        "tests",
        "testing",
    }
)
"""Folders without text of their own: tests, copies of other packages, compiled files."""

LARGEST_FILE = 80_000
"""Files above this many bytes are mostly generated tables, and a single one would dominate a small corpus."""

PIECE_BYTES = 4096
"""Size at which font metrics are cut into documents, at line ends."""


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"installed text: package {name} is not installed; install bayescpt[trainer]")
    return Path(next(iter(spec.submodule_search_locations)))


def _in_hash_order(root: Path, label: str, suffixes: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Files below a folder with a sorting key that depends on their relative names only."""
    found = []
    for suffix in suffixes:
        for file in root.rglob(f"*{suffix}"):
            relative = file.relative_to(root)
            if LEFT_OUT.isdisjoint(relative.parts) and file.is_file() and file.stat().st_size <= LARGEST_FILE:
                key = hashlib.sha256(f"{label}/{relative.as_posix()}".encode()).hexdigest()
                found.append((key, file))
    return found


def _texts(roots: list[tuple[str, Path]], suffixes: tuple[str, ...]) -> Iterator[str]:
    files = [entry for label, root in roots for entry in _in_hash_order(root, label, suffixes)]
    for _, file in sorted(files, key=lambda entry: entry[0]):
        try:
            yield file.read_text("utf-8")
        except UnicodeDecodeError:
            # The few Latin-1 files of the standard library are not worth guessing encodings for.
            continue


def _python_roots() -> list[tuple[str, Path]]:
    stdlib = Path(sysconfig.get_path("stdlib"))
    return [("stdlib", stdlib), *((name, _package_folder(name)) for name in PACKAGES)]


def _capped(documents: Iterator[str], max_bytes: int | None) -> Iterator[str]:
    size = 0
    for document in documents:
        if max_bytes is not None and size >= max_bytes:
            return
        size += len(document.encode())
        yield document


def prose(max_bytes: int | None) -> Iterator[str]:
    """English paragraphs, one document a module or package description; no paragraph comes twice."""
    return _capped(_prose(), max_bytes)


def _prose() -> Iterator[str]:
    seen: set[bytes] = set()

    def document(blocks: Iterator[str]) -> str:
        fresh = []
        for block in blocks:
            key = hashlib.sha256(block.encode()).digest()
            if key not in seen:
                seen.add(key)
                fresh.append(block)
        return "\n\n".join(fresh)

    for name in PACKAGES:
        description = importlib.metadata.metadata(name).json.get("description", "")
        text = document(paragraphs(str(description)))
        if text:
            yield text
    for source in _texts(_python_roots(), (".py",)):
        tree = parse_source(source)
        if tree is None:
            continue
        text = document(block for docstring in docstrings(tree) for block in paragraphs(docstring))
        if text:
            yield text


def python(max_bytes: int | None) -> Iterator[str]:
    """Python source without docstrings, one document a module."""

    def sources() -> Iterator[str]:
        for source in _texts(_python_roots(), (".py",)):
            tree = parse_source(source)
            if tree is not None:
                text = without_docstrings(source, tree)
                if text.strip():
                    yield text

    return _capped(sources(), max_bytes)


def cpp(max_bytes: int | None) -> Iterator[str]:
    """C and C++ headers, one document a file."""
    roots = [("python", Path(sysconfig.get_path("include")))]
    roots += [(name, _package_folder(name) / folder) for name, folder in HEADERS]
    return _capped(_texts(roots, (".h", ".hpp")), max_bytes)


def metrics(max_bytes: int | None) -> Iterator[str]:
    """Adobe font metrics, cut at line ends into documents of about ``PIECE_BYTES``."""

    def pieces() -> Iterator[str]:
        for text in _texts([("matplotlib", _package_folder("matplotlib") / "mpl-data")], (".afm",)):
            lines: list[str] = []
            size = 0
            for line in text.splitlines(keepends=True):
                lines.append(line)
                size += len(line)
                if size >= PIECE_BYTES:
                    yield "".join(lines)
                    lines, size = [], 0
            if lines:
                yield "".join(lines)

    return _capped(pieces(), max_bytes)


BUILTIN: dict[str, Callable[[int | None], Iterator[str]]] = {
    "prose": prose,
    "python": python,
    "cpp": cpp,
    "metrics": metrics,
}
"""Every built-in corpus by name."""


def state() -> str:
    """Identity of the installed text: the versions of Python and of the packages that are read."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return content_hash({"python": platform.python_version(), **versions})

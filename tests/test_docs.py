"""What the documentation says is so: names are documented, examples run, commands exist, the site builds."""

from __future__ import annotations

import ast
import doctest
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import bayescpt
from bayescpt.cli import app
from bayescpt.data import Table
from bayescpt.fit import Fit, SamplerSettings
from bayescpt.fit.run import fit

ROOT = Path(bayescpt.__file__).parents[1]
ELSEWHERE = {ROOT / "docs/import.md": "tests/cli/test_import.py"}
"""Pages whose examples another test runs, with the files that they need."""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARGUMENT = re.compile(r"^ {4}([a-z_]\w*(?:, [a-z_]\w*)*): ", re.MULTILINE)
EXAMPLE = re.compile(r"^ *(?:>>>|\.\.\.) (.*)", re.MULTILINE)


def packages() -> Iterator[ModuleType]:
    """The package and those in it that say what they export."""
    yield bayescpt
    for found in pkgutil.iter_modules(bayescpt.__path__, "bayescpt."):
        if found.ispkg and found.name != "bayescpt.cli":
            module = import_module(found.name)
            if hasattr(module, "__all__"):
                yield module


PUBLIC = {f"{package.__name__}.{name}": getattr(package, name) for package in packages() for name in package.__all__}
"""Everything that is exported, by where it is exported."""
DEFINED = {found for found in PUBLIC.values() if inspect.isclass(found) or inspect.isroutine(found)}
IN_ORDER = sorted(DEFINED, key=lambda found: (found.__module__, found.__qualname__))


def home(found: Any) -> str:
    return f"{found.__module__}.{found.__qualname__}"


def summary_of(found: Any) -> str:
    return (inspect.getdoc(found) or "").split("\n\n")[0]


# ---- what a docstring has


def methods(found: type) -> Iterator[Any]:
    """Public methods and properties that a class defines itself."""
    for name, member in vars(found).items():
        if not name.startswith("_") and (callable(member) or isinstance(member, property | classmethod | staticmethod)):
            yield member.fget if isinstance(member, property) else getattr(found, name)


def raised(function: Any) -> set[str]:
    """Names of the exceptions that a function raises in its own lines."""
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    inner = {
        node
        for define in ast.walk(tree.body[0])
        if isinstance(define, ast.FunctionDef) and define is not tree.body[0]
        for node in ast.walk(define)
    }
    return {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        if node not in inner
    }


def faults_of(found: Any) -> list[str]:
    """What is missing in the docstring of a class or function."""
    text = inspect.getdoc(found) or ""
    faults = []
    if not re.search(r"[.:]$", summary_of(found)):
        faults.append("no summary that ends in a full stop")
    known = set(inspect.signature(found).parameters) | set(getattr(found, "__annotations__", {}))
    section = text.partition("Args:\n")[2].partition("\n\n")[0]
    told = {name for names in ARGUMENT.findall(section) for name in names.split(", ")}
    faults += [f"argument {name}, which it does not have" for name in sorted(told - known)]
    if inspect.isroutine(found):
        whole = "." not in found.__qualname__.rpartition("<locals>.")[2]
        if whole and "Dataset" in str(inspect.signature(found).return_annotation) and "Dataset" not in text:
            faults.append("no word on the parts of the Dataset that it returns")
        faults += [f"no word on raising {name}" for name in sorted(raised(found)) if name not in text]
    return faults


@pytest.mark.parametrize("found", IN_ORDER, ids=home)
def test_public_names_are_documented(found: Any) -> None:
    assert faults_of(found) == []
    if inspect.isclass(found):
        # what overrides or implements a documented method is told there
        inherited = {name for base in found.__mro__[1:] for name in vars(base)}
        told = [one for one in methods(found) if one.__name__ not in inherited]
        assert [f"{one.__name__}: {fault}" for one in told for fault in faults_of(one)] == []


def test_a_poor_docstring_is_found() -> None:
    def asked(size: float) -> None:
        """Without an end

        Args:
            tokens: of the run.
        """
        raise KeyError(str(size))

    assert faults_of(asked) == [
        "no summary that ends in a full stop",
        "argument tokens, which it does not have",
        "no word on raising KeyError",
    ]


# ---- what the pages have


def on_pages() -> set[str]:
    """Everything that the pages of the API take from docstrings."""
    return {
        name for page in (ROOT / "docs/api").glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)
    }


def test_every_public_name_has_a_place_in_the_api() -> None:
    listed = on_pages()
    assert [home(found) for found in IN_ORDER if home(found) not in listed] == []
    short = {name.rpartition(".")[2] for name in listed}
    assert [name for name in PUBLIC if name.rpartition(".")[2] not in short] == []
    overview = (ROOT / "docs/api/index.md").read_text()
    assert [name for name in bayescpt.__all__ if f"[`{name}`]" not in overview] == []


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().partition("nav:")[2]
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f": {page}\n" not in nav] == []


def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    # not --quiet: warnings that it hides do not count
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "api/ask.html").read_text("utf-8")
    assert 'id="bayescpt.ask.predict.predict"' in page
    # a reference of a docstring is a link
    assert re.search(r'<a [^>]*href="#bayescpt.ask.answer.ratio_answer"', page)
    for path in tmp_path.rglob("*.html"):
        assert not re.search(r'(?:src|<link [^>]*href)="https?://', path.read_text("utf-8")), (
            f"{path} fetches something"
        )


def test_a_reference_that_leads_nowhere_is_found(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("griffe")
    tool: dict[str, Any] = {}
    source = (ROOT / "tools/docs.py").read_text()
    exec(compile(source, "tools/docs.py", "exec"), tool)
    scopes = ("bayescpt.laws.base.Law.loss", "bayescpt.laws.base", "bayescpt.laws.base.Law")
    told = tool["linked"](":meth:`natural`, :class:`Point`, :func:`bayescpt.ask.summarise`", scopes)
    targets = re.findall(r'identifier="([^"]+)"', told)
    assert targets == ["bayescpt.laws.base.Law.natural", "bayescpt.laws.base.Point", "bayescpt.ask.predict.summarise"]
    assert not caplog.records
    assert tool["linked"](":func:`nowhere`", scopes) == "`nowhere`"
    assert "refers to nowhere, which does not exist" in caplog.text


# ---- what the examples do


@pytest.fixture(scope="module")
def namespace() -> dict[str, Any]:
    """What examples may use: the quickstart's rows, and a quick fit to them."""
    table = Table.read(ROOT / "examples/data/quickstart.parquet")
    fitted = fit(table, method="laplace", settings=SamplerSettings(chains=1, draws=200))
    return {"table": table, "fitted": fitted}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to write to in which the examples' data are where they are in the project."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def examples_of(found: Any) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    module = import_module(found.__module__)
    return [test for test in finder.find(found, home(found), module=module, globs={}) if test.examples]


WITH_EXAMPLES = [found for found in IN_ORDER if ">>>" in inspect.getsource(found)]


@pytest.mark.parametrize("found", WITH_EXAMPLES, ids=home)
def test_examples_of_docstrings(found: Any, namespace: dict[str, Any], folder: Path) -> None:
    tests = examples_of(found)
    assert tests
    for test in tests:
        told: list[str] = []
        test.globs.update(namespace)
        outcome = doctest.DocTestRunner().run(test, out=told.append)
        assert outcome.failed == 0, "".join(told)


def test_every_public_function_is_shown_at_work() -> None:
    shown = "\n".join(line for found in IN_ORDER for line in EXAMPLE.findall(inspect.getsource(found)))
    # a panel draws on axes that somebody has made: the figures and the report show them
    functions = [found.__name__ for found in IN_ORDER if inspect.isroutine(found)]
    asked = [name for name in functions if not name.endswith("_panel")]
    assert [name for name in asked if not re.search(rf"\b{name}\(", shown)] == []


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for kind, text in FENCE.findall(page.read_text("utf-8")):
            if kind == language:
                yield page, text


@pytest.mark.parametrize(
    "page",
    sorted({page for page, _ in blocks("python")} - ELSEWHERE.keys()),
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_examples_of_pages(page: Path, namespace: dict[str, Any], folder: Path) -> None:
    fitted: Fit = namespace["fitted"]
    fitted.save("fit.nc")
    known = dict(namespace)
    for where, text in blocks("python"):
        if where == page:
            exec(compile(text, page.name, "exec"), known)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours in the pages: where it stands, and its words."""
    for page, text in blocks(""):
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("bayescpt "):
                yield page.name, shlex.split(line, comments=True)[1:]


def test_commands_of_pages_exist() -> None:
    program: Any = typer.main.get_command(app)
    checked = 0
    for where, (name, *words) in commands():
        assert name in program.commands, f"{where}: bayescpt {name}"
        options = {option for param in program.commands[name].params for option in param.opts}
        unknown = [word for word in words if re.match(r"--?[a-z]", word) and word not in options]
        assert not unknown, f"{where}: bayescpt {name} {unknown}"
        checked += 1
    assert checked > 20

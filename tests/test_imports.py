"""Imports point one way, and whoever trains never loads what fits. Every contract is seen to fire."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bayescpt
import trainer

ROOT = Path(bayescpt.__file__).parents[1]

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "schema settings",
        *("data laws", "model", "fit", "ask", "decide", "design", "report", "cli", "__main__"),
    )
)
"""A layer may import those before it, and itself."""
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

OWNERS = {
    "matplotlib": {"bayescpt.report"},
    "arviz_plots": {"bayescpt.report"},
    "jinja2": {"bayescpt.report"},
    "torch": {"trainer"},
    "tensorboard": {"bayescpt.data.importers"},
    "wandb": {"bayescpt.data.importers"},
    "mlflow": set(),
    "numpyro.infer": {"bayescpt.model", "bayescpt.fit"},
    "numpyro.sample": {"bayescpt.model"},
    "numpyro.plate": {"bayescpt.model"},
    "numpyro.factor": {"bayescpt.model"},
    "numpyro.deterministic": {"bayescpt.model"},
}
"""Only these packages may use this module or function."""


def modules() -> Iterator[tuple[str, str]]:
    """Name and source of every module of both packages."""
    for package in ("bayescpt", "trainer"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts), path.read_text("utf-8")


def used(module: str, source: str) -> Iterator[tuple[str, int]]:
    """Full names that a module imports or reaches through an import, with their line; imports in functions count."""
    tree = ast.parse(source)
    alias: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                alias[name.asname or name.name.split(".")[0]] = name.name if name.asname else name.name.split(".")[0]
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            # the module's own name has a last part to drop: for a package that is __init__
            start = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*start, *([node.module] if node.module else [])])
            for name in node.names:
                alias[name.asname or name.name] = f"{origin}.{name.name}"
                yield f"{origin}.{name.name}", node.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts, inner = [node.attr], node.value
            while isinstance(inner, ast.Attribute):
                parts, inner = [inner.attr, *parts], inner.value
            if isinstance(inner, ast.Name) and inner.id in alias:
                yield ".".join([alias[inner.id], *parts]), node.lineno


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def violations(module: str, source: str) -> list[str]:
    """What a module imports or uses and should not."""
    found = []
    package, *rest = module.split(".")
    layer = rest[0] if rest else ""
    if package == "bayescpt" and layer != "__init__" and layer not in RANK:
        found.append(f"{module}: no layer is called '{layer}'; give it a place in LAYERS")
    for name, line in used(module, source):
        where = f"{module}:{line}: "
        target = name.split(".")[1] if within(name, "bayescpt") and "." in name else ""
        if package == "bayescpt" and within(name, "trainer"):
            found.append(f"{where}bayescpt never imports trainer")
        if package == "trainer" and within(name, "bayescpt") and target != "schema":
            found.append(f"{where}trainer imports {name}; of bayescpt it may import schema only")
        if (
            package == "bayescpt"
            and layer in RANK
            and target in RANK
            and target != layer
            and RANK[target] >= RANK[layer]
        ):
            found.append(f"{where}{layer} imports {target}, which comes after it")
        for owned, owners in OWNERS.items():
            if within(name, owned) and not any(within(module, owner) for owner in owners):
                found.append(f"{where}{name} belongs to {', '.join(sorted(owners))}")
    return list(dict.fromkeys(found))


def test_every_module_keeps_to_the_direction_of_imports() -> None:
    checked = list(modules())
    assert len(checked) > 40  # both packages were found
    assert [fault for module, source in checked for fault in violations(module, source)] == []


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        ("bayescpt.schema", "from bayescpt.data import Table", "schema imports data"),
        ("bayescpt.data.table", "import bayescpt.laws.base", "data imports laws"),
        ("bayescpt.laws.dcpt", "from bayescpt.data.table import Table", "laws imports data"),
        ("bayescpt.laws.dcpt", "from bayescpt.model import model", "laws imports model"),
        ("bayescpt.model.model", "def late():\n    from bayescpt.fit import fit", "model imports fit"),
        ("bayescpt.model.model", "from ..fit import fit", "model imports fit"),
        ("bayescpt.model.__init__", "from ..fit import fit", "model imports fit"),
        ("bayescpt.fit.run", "import bayescpt.ask as questions", "fit imports ask"),
        ("bayescpt.ask.cmr", "from bayescpt import report", "ask imports report"),
        ("bayescpt.report.plots", "from bayescpt.cli import main", "report imports cli"),
        ("bayescpt.model.model", "from trainer.loop import train", "never imports trainer"),
        ("bayescpt.fit.run", "import torch", "torch belongs to trainer"),
        ("bayescpt.fit.run", "from torch.nn import Linear", "torch.nn.Linear belongs to trainer"),
        ("trainer.records", "from bayescpt.data import Table", "schema only"),
        ("trainer.records", "import bayescpt", "schema only"),
        ("trainer.records", "import matplotlib.pyplot as plt", "matplotlib.pyplot belongs to bayescpt.report"),
        ("bayescpt.ask.cmr", "import matplotlib", "matplotlib belongs to bayescpt.report"),
        ("bayescpt.laws.dcpt", "import numpyro\nnumpyro.sample('x', None)", "numpyro.sample belongs to bayescpt.model"),
        ("bayescpt.fit.run", "import numpyro as npo\nnpo.plate('x', 3)", "numpyro.plate belongs to bayescpt.model"),
        ("bayescpt.fit.run", "from numpyro import factor", "numpyro.factor belongs to bayescpt.model"),
        (
            "bayescpt.ask.cmr",
            "from numpyro import deterministic as d",
            "numpyro.deterministic belongs to bayescpt.model",
        ),
        ("bayescpt.ask.cmr", "from numpyro.infer import MCMC", "numpyro.infer.MCMC belongs to"),
        ("bayescpt.helpers.text", "", "no layer is called 'helpers'"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str, told: str) -> None:
    found = violations(module, source)
    assert len(found) == 1, found
    assert told in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bayescpt.model.model", "import numpyro\nnumpyro.sample('x', None)"),
        ("bayescpt.fit.sample", "from numpyro.infer import MCMC, NUTS"),
        ("bayescpt.laws.dcpt", "import numpyro.distributions as dist\ndist.Normal()"),
        ("bayescpt.report.plots", "import matplotlib.pyplot as plt\nfrom bayescpt.fit import Fit"),
        ("bayescpt.cli.main", "from bayescpt.report import tables"),
        ("trainer.records", "import torch\nfrom bayescpt.schema import Observation"),
        ("bayescpt.laws.dcpt", "from .base import Law"),
    ],
)
def test_what_is_allowed_is_not_reported(module: str, source: str) -> None:
    assert violations(module, source) == []


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after ``statement``."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120
    )
    return set(done.stdout.split())


def test_importing_the_trainer_loads_no_jax() -> None:
    pytest.importorskip("torch")
    names = [f"trainer.{module.name}" for module in pkgutil.iter_modules(trainer.__path__)]
    assert "trainer.loop" in names
    loaded = loaded_by("import " + ", ".join(names))
    assert "torch" in loaded
    assert not loaded & {"jax", "jaxlib", "numpyro", "arviz_base", "matplotlib"}


def test_the_contract_needs_the_standard_library_only() -> None:
    loaded = loaded_by("import bayescpt.schema")
    assert "bayescpt" in loaded
    assert not loaded & {"numpy", "pandas", "jax", "torch", "pyarrow", "xarray"}


def test_asking_loads_no_plots_and_no_torch() -> None:
    loaded = loaded_by("import bayescpt.ask, bayescpt.fit")
    assert "jax" in loaded
    assert not loaded & {"arviz_plots", "torch", "trainer"}  # matplotlib comes with arviz_base


@pytest.mark.parametrize("first", ["bayescpt.fit", "arviz_base", "bayescpt.model.density"])
def test_numpyro_is_loaded_once_whatever_is_imported_first(first: str) -> None:
    check = (
        "assert sys.modules['numpyro.distributions'].distribution is sys.modules['numpyro.distributions.distribution']"
    )
    assert "numpyro" in loaded_by(f"import {first}\nimport bayescpt.fit\n{check}")

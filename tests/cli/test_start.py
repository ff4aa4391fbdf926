from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

from bayescpt.ask import critical_ratio
from bayescpt.cli.answers import cmr as cmr_command
from bayescpt.cli.fit import fit as fit_command
from bayescpt.fit import DEFAULT_LAW, SamplerSettings

HEAVY = ("jax", "numpy", "pandas", "xarray", "arviz_base", "arviz_stats", "numpyro", "torch", "matplotlib", "rich")
HERE = Path(__file__).parent.parent.parent


def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HERE, check=True)
    return done.stdout.strip()


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['bayescpt', '--help']\nfrom bayescpt.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('LOADED', [name for name in {HEAVY} if name in sys.modules])"
    )
    printed = fresh(code)
    assert printed.endswith("LOADED []")
    assert all(f"  {name} " in printed for name in ("check", "fit", "compare", "diagnose", "predict", "cmr", "ratio"))


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, bayescpt\ndir(bayescpt)\nprint([name for name in {HEAVY} if name in sys.modules])"
    assert fresh(code) == "[]"


def test_public_names_do_not_depend_on_what_was_imported_first() -> None:
    code = (
        "import bayescpt.fit.run, bayescpt\nfrom bayescpt import fit\n"
        "assert callable(fit) and fit is bayescpt.fit\n"
        "assert all(getattr(bayescpt, name) is not None for name in bayescpt.__all__)\n"
        "assert set(bayescpt.__all__) <= set(dir(bayescpt))\n"
        "from bayescpt.fit import Fit\nassert Fit is bayescpt.Fit\n"
        "try:\n    bayescpt.nonsense\nexcept AttributeError as error:\n    print(error)"
    )
    assert fresh(code) == "module 'bayescpt' has no attribute 'nonsense'"


def test_defaults_of_the_command_line_are_those_of_the_library() -> None:
    defaults = {name: p.default for name, p in inspect.signature(fit_command).parameters.items()}
    library = SamplerSettings()
    assert defaults["law"] == DEFAULT_LAW
    assert [defaults[n] for n in ("chains", "warmup", "draws", "target_accept")] == [
        library.chains,
        library.warmup,
        library.draws,
        library.target_accept,
    ]
    asked, offered = (inspect.signature(function).parameters for function in (cmr_command, critical_ratio))
    for name in ("tolerance", "multiplier", "base_loss"):
        assert asked[name].default == offered[name].default

"""The scaling laws on offer. To add one: write its file and name it in ``ALL``; tests, fit and command line pick it up.

Importing this package switches JAX to 64-bit floats: exponents and amplitudes of a scaling law trade off so sharply
that single precision loses the curvature that intervals are made of.
"""

import jax

jax.config.update("jax_enable_x64", True)

from bayescpt.laws.additive import Additive  # noqa: E402
from bayescpt.laws.anchored import Anchored  # noqa: E402
from bayescpt.laws.base import BILLION, Coordinate, Law, Param, Point, Prior, Reference  # noqa: E402
from bayescpt.laws.chinchilla import Chinchilla, Skaling  # noqa: E402
from bayescpt.laws.dcpt import DCPT  # noqa: E402
from bayescpt.laws.dcpt_cross import CROSS  # noqa: E402
from bayescpt.laws.memory import Memory  # noqa: E402
from bayescpt.laws.mixing import Mixing  # noqa: E402
from bayescpt.laws.phased import Phased  # noqa: E402
from bayescpt.laws.repetition import Repeated  # noqa: E402
from bayescpt.laws.rivals import RIVALS  # noqa: E402
from bayescpt.laws.trajectory import Trajectory  # noqa: E402
from bayescpt.laws.two_term import TwoTerm  # noqa: E402

SCRATCH: tuple[Law, ...] = (
    Chinchilla(),
    Skaling(),
    Mixing(),
    Additive(),
)
"""Of training from scratch."""
ALL: tuple[Law, ...] = (
    Memory(),
    DCPT(),
    Anchored(),
    TwoTerm(),
    Trajectory(),
    Repeated(),
    Phased(),
    *CROSS,
    *RIVALS,
    *SCRATCH,
)
"""Every law on offer."""
LAWS: dict[str, Law] = {law.name: law for law in ALL}
"""The same by name, as on the command line."""

__all__ = [
    "ALL",
    "BILLION",
    "DCPT",
    "LAWS",
    "SCRATCH",
    "Additive",
    "Chinchilla",
    "Coordinate",
    "Law",
    "Memory",
    "Mixing",
    "Param",
    "Phased",
    "Point",
    "Prior",
    "Reference",
    "Repeated",
    "Skaling",
    "Trajectory",
]

"""The scaling laws on offer. To add one: write its file and name it in ``ALL``; tests, fit and command line pick it up.

Importing this package switches JAX to 64-bit floats: exponents and amplitudes of a scaling law trade off so sharply
that single precision loses the curvature that intervals are made of.
"""

import jax

jax.config.update("jax_enable_x64", True)

from bayescpt.laws.anchored import Anchored  # noqa: E402
from bayescpt.laws.base import BILLION, Coordinate, Law, Param, Point, Prior, Reference  # noqa: E402
from bayescpt.laws.dcpt import DCPT  # noqa: E402
from bayescpt.laws.dcpt_cross import CROSS  # noqa: E402
from bayescpt.laws.memory import Memory  # noqa: E402
from bayescpt.laws.rivals import RIVALS  # noqa: E402

ALL: tuple[Law, ...] = (Memory(), DCPT(), Anchored(), *CROSS, *RIVALS)
LAWS: dict[str, Law] = {law.name: law for law in ALL}

__all__ = [
    "ALL",
    "BILLION",
    "DCPT",
    "LAWS",
    "Coordinate",
    "Law",
    "Memory",
    "Param",
    "Point",
    "Prior",
    "Reference",
]

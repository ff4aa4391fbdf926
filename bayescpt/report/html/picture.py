"""A figure inside a page: SVG as a data URI, with the text that stands for it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

SIZE = (4.4, 3.1)
"""Inches: a phone shows it nearly at its own size."""
TALL = (4.4, 4.2)
"""Of two panels."""
STYLE = {
    "svg.fonttype": "none",  # text stays text, in the font of whoever reads
    "svg.hashsalt": "bayescpt",  # the same figure is the same file
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "path.simplify_threshold": 0.3,
}
FONTS = "system-ui, -apple-system, 'Segoe UI', sans-serif"
SAFE = " ,;:=/!*()+@$?-_.~'"
"""What an attribute in double quotes and a URI both bear as it is."""


Panel = Callable[[Axes], object]
"""Draws into axes."""


@dataclass(frozen=True)
class Picture:
    """One figure.

    Args:
        uri: the figure itself.
        alt: what it shows, for who does not see it.
        title: a line above it; caption: below it.
        width, height: in pixels of a page.
    """

    uri: str
    alt: str
    width: int
    height: int
    title: str = ""
    caption: str = ""


def picture(draw: Panel, alt: str, title: str = "", caption: str = "", size: tuple[float, float] = SIZE) -> Picture:
    """A picture of one panel that ``draw`` fills; ``size`` in inches."""
    return stacked((draw,), alt, title, caption, size)


def stacked(
    panels: Sequence[Panel], alt: str, title: str = "", caption: str = "", size: tuple[float, float] = TALL
) -> Picture:
    """A picture of panels one above the other that share their x axis."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        stack = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for draw, axes in zip(panels, stack, strict=True):
            draw(axes)
        for axes in stack[:-1]:
            axes.set_xlabel("")
        return pictured(figure, alt, title, caption)


def pictured(figure: Figure, alt: str, title: str = "", caption: str = "") -> Picture:
    """A finished figure as a picture."""
    with matplotlib.rc_context(STYLE):
        file = io.StringIO()
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    width, height = (round(96 * float(length)) for length in figure.get_size_inches())
    return Picture("data:image/svg+xml," + quote(_small(file.getvalue()), SAFE), alt, width, height, title, caption)


def _small(text: str) -> str:
    """An SVG without its prologue, without space between its parts, and with paths to a hundredth of a point."""
    svg = re.sub(r">\s+<", "><", text[text.index("<svg") :].strip())
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    svg = re.sub(r"'DejaVu Sans', [^;]*sans-serif", FONTS, svg)
    return re.sub(r"\s*\n\s*", " ", svg)

"""One picture of a domain: losses against ratio and along the run, measured and fitted, with the answers."""

from __future__ import annotations

import os
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from bayescpt.fit import Fit
from bayescpt.report import plots
from bayescpt.report.answers import Answers
from bayescpt.report.curves import along_ratio, along_tokens, measured
from bayescpt.report.units import count
from bayescpt.schema import TARGETS

WIDTH, HEAD, ROW, FOOT, DPI = 17.0, 0.7, 3.7, 1.5, 100
"""Inches, and dots an inch."""
CAPTION_COLUMNS = 195
WARNING = "#B00020"

CAPTION = (
    "Dots: measured losses. Lines: posterior median of the expected loss. Dark bands: 90 % intervals of the expected "
    "loss; light bands: of a loss measured in a new run. Dotted: loss of the base model; dashed: that plus the "
    "forgetting budget of {budget:g} nats. Bars at the foot of the left panels: 90 % intervals of the optimal ratio, "
    "the largest share of domain data with which the general loss ends within the budget, and of the CMR (critical "
    "mixture ratio), with which it must also have turned downwards by the end; black ticks and thin lines: medians."
)


def domain_figure(fit: Fit, answers: Sequence[Answers]) -> Figure:
    """Four panels in a row for each answer: general and domain loss against ratio, then against tokens.

    Args:
        answers: of one domain, one for each size.

    Raises:
        ValueError: if there is no answer, if they are of several domains, or the table has no rows of one of them.

    Examples:
        >>> from pathlib import Path
        >>> from bayescpt.report import answers_at, domain_figure, save_figure
        >>> figure = domain_figure(fitted, [answers_at(fitted, "cpp", 590720.0, 204800.0, max_forgetting=0.05)])
        >>> save_figure(figure, Path("cpp.png"))
    """
    domains = {answer.domain for answer in answers}
    if len(domains) != 1:
        raise ValueError(
            f"expected answers of one domain, got {len(answers)} of {sorted(domains)}; draw a figure of each"
        )
    heights = [HEAD, *[ROW] * len(answers), FOOT]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=DPI, layout="constrained")
    head, *blocks, foot = figure.subfigures(len(heights), 1, height_ratios=heights)
    _heading(head, answers[0])
    ratios: list[float] = []
    for answer, block in zip(answers, blocks, strict=True):
        block.suptitle(
            f"{answer.domain}: {count(answer.size)} parameters trained for {count(answer.tokens)} tokens",
            fontsize=13,
        )
        panels = block.subplots(1, 4, gridspec_kw={"wspace": 0.07})
        ratios += _row(fit, answer, panels)
    _footer(foot, sorted({round(ratio, 2) for ratio in ratios}), answers[0].max_forgetting)
    return figure


def _heading(head: SubFigure, answer: Answers) -> None:
    title = f"Continual pre-training on {answer.domain}: what a share of domain data costs and buys"
    head.text(0.5, 0.7, title, ha="center", va="center", fontsize=16, fontweight="bold")
    if answer.accepted is not None:
        note = textwrap.shorten(f"NOT RELIABLE: {answer.accepted}", 180, placeholder=" ...")
        head.text(0.5, 0.15, note, ha="center", va="center", fontsize=11.5, color=WARNING)


def _row(fit: Fit, answer: Answers, panels: Sequence[Axes]) -> list[float]:
    """Draw one answer into four panels; the ratios that were measured."""
    where = (fit, answer.domain, answer.size)
    ratios: list[float] = []
    for i, target in enumerate(TARGETS):
        rows = measured(fit.table, answer.domain, answer.size, target)
        if rows.empty:
            raise ValueError(
                f"the table has no {target} loss of {answer.domain} at {answer.size:,.0f} parameters to draw; "
                f"it has {', '.join(fit.table.domains)} at {', '.join(f'{n:,.0f}' for n in np.unique(fit.table.size))}"
            )
        base = float(np.median(fit.base_loss(answer.domain, answer.size, target)))
        budget = answer.max_forgetting if target == "general" else None
        at_end = rows[np.isclose(rows["tokens"], answer.tokens)]
        left, right = panels[i], panels[i + 2]
        plots.ratio_panel(left, at_end, along_ratio(*where, answer.tokens, target), answer.tokens, target)
        ratios += (own := np.unique(rows["run_ratio"])).tolist()
        last = max(float(rows["tokens"].max()), answer.tokens)
        plots.token_panel(right, rows, along_tokens(*where, own, float(rows["tokens"].min()), last, target), target)
        for axes in (left, right):
            plots.draw_base(axes, base, budget)
        plots.intervals_on_ratio(left, answer.ratio, answer.critical)
    return ratios


def _footer(foot: SubFigure, ratios: list[float], max_forgetting: float) -> None:
    """What colours and strokes mean, and the caption."""
    black = plots.MEASURED
    strokes = [
        Line2D([], [], marker="o", linestyle="", color=black, label="measured"),
        Line2D([], [], color=plots.LAW, label="median of the expected loss"),
        Patch(facecolor=plots.LAW, alpha=plots.DARK + plots.LIGHT, label="90 %, expected loss"),
        Patch(facecolor=plots.LAW, alpha=plots.LIGHT, label="90 %, a new run"),
        Line2D([], [], color=plots.BASE, linestyle=":", label="base model"),
        Line2D([], [], color=plots.BUDGET, linestyle="--", label="forgetting budget"),
        Patch(facecolor=plots.RATIO, alpha=plots.BAR, label="optimal ratio"),
        Patch(facecolor=plots.CRITICAL, alpha=plots.BAR, label="CMR"),
    ]
    shares = [
        Line2D([], [], color=plots.ratio_colour(r), linewidth=4, label=f"{r:.0%}".replace("%", " %")) for r in ratios
    ]
    left = {"loc": "upper left", "frameon": False, "handlelength": 1.5, "fontsize": 11}
    first = foot.legend(handles=strokes, ncols=len(strokes), columnspacing=1.3, bbox_to_anchor=(0.01, 1.02), **left)
    second = foot.legend(
        handles=[Line2D([], [], linestyle="", label="share of domain data, right panels:"), *shares],
        ncols=len(shares) + 1,
        columnspacing=1.3,
        bbox_to_anchor=(0.01, 0.83),
        **left,
    )
    for legend in (first, second):
        legend.set_in_layout(False)
    caption = "\n".join(textwrap.wrap(CAPTION.format(budget=max_forgetting), CAPTION_COLUMNS))
    foot.text(0.015, 0.60, caption, ha="left", va="top", fontsize=11, linespacing=1.25)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically; 256 colours look the same and take a quarter of the bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    image = Image.fromarray(np.ascontiguousarray(pixels)).quantize(256)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            image.save(file, format="PNG", optimize=True)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)

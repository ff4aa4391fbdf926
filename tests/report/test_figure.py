from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text
from PIL import Image

from bayescpt.fit import Fit
from bayescpt.report import Answers, answers_at, domain_figure, save_figure

from .conftest import SIZES


@pytest.fixture(scope="module")
def figure(drawn: Fit, answers: list[Answers]) -> Figure:
    return domain_figure(drawn, answers[:2])


def blocks(figure: Figure) -> list[SubFigure]:
    """The part of each size: those with panels."""
    return [part for part in figure.subfigs if part.axes]


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


def test_every_size_has_four_panels_whose_axes_say_what_and_in_which_unit(figure: Figure) -> None:
    assert len(blocks(figure)) == len(SIZES)
    for block in blocks(figure):
        labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in block.axes]
        assert [x for x, _ in labels] == ["share of domain data (%)"] * 2 + ["CPT tokens (log scale)"] * 2
        assert [y.split()[0] for _, y in labels] == ["general", "domain"] * 2
        assert all(y.endswith("(nats/token)") for _, y in labels)
        assert all(len(axes.collections) >= 2 for axes in block.axes), "bands"


def test_only_the_general_panels_have_a_budget(figure: Figure) -> None:
    for block in blocks(figure):
        # Level dashed lines: the median of the CMR is a dashed line too, but upright.
        dashed = [[line for line in axes.lines if line.get_linestyle() == "--"] for axes in block.axes]
        level = [sum(np.ptp(np.asarray(line.get_ydata())) == 0 for line in lines) for lines in dashed]
        assert level == [1, 0, 1, 0]


def test_titles_legend_and_caption_explain_the_picture(figure: Figure) -> None:
    said = texts(figure)
    titles = (
        "Continual pre-training on code",
        "code: 100k parameters trained for 200k tokens",
        "code: 600k parameters",
    )
    caption = ("Dots: measured losses", "90 % intervals", "budget of 0.05 nats", "CMR (critical mixture ratio)")
    legend = ("measured", "forgetting budget", "optimal ratio", "0 %", "25 %", "75 %")
    for expected in (*titles, *caption, *legend):
        assert expected in said
    assert "NOT RELIABLE" not in said


def test_a_fit_that_failed_is_marked(unreliable: Fit) -> None:
    marked = domain_figure(unreliable, [answers_at(unreliable, "code", 1e5, 2e5, 0.05)])
    assert "NOT RELIABLE: wanted for a test" in texts(marked)


def test_answers_that_cannot_be_drawn_are_refused(drawn: Fit, answers: list[Answers]) -> None:
    with pytest.raises(ValueError, match=r"of one domain, got 4 of \['code', 'law\[s\]'\]"):
        domain_figure(drawn, answers)
    with pytest.raises(ValueError, match="of one domain, got 0"):
        domain_figure(drawn, [])
    with pytest.raises(ValueError, match=r"no general loss of code at 2,000,000 parameters.*100,000, 600,000"):
        domain_figure(drawn, [replace(answers[0], size=2e6)])


def test_a_saved_figure_is_a_moderate_png(figure: Figure, tmp_path: Path) -> None:
    save_figure(figure, tmp_path / "code.png")
    assert [path.name for path in tmp_path.iterdir()] == ["code.png"]
    with Image.open(tmp_path / "code.png") as image:
        assert image.format == "PNG"
        assert image.width == 1700
        assert len(image.convert("RGB").getcolors(256) or []) > 20
    assert (tmp_path / "code.png").stat().st_size < 200_000


def test_a_save_that_fails_leaves_the_old_file(figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "code.png"
    path.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space"):
        save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["code.png"]


def test_the_package_loads_nothing_heavy_and_figures_no_global_state() -> None:
    program = (
        "import sys, bayescpt.report; assert not {'matplotlib', 'jax', 'rich'} & set(sys.modules); "
        "from bayescpt.report import domain_figure; assert 'matplotlib.figure' in sys.modules; "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

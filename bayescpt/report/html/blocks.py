"""What a section of a report is made of. The template has a form for each kind, and knows nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from bayescpt.report.html.picture import Picture


@dataclass(frozen=True)
class Words:
    """A paragraph; ``aside`` is set smaller."""

    text: str
    aside: bool = False
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class Heading:
    """A heading below that of the section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Items:
    """A list of short texts."""

    texts: Sequence[str]
    kind: ClassVar[str] = "items"


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what it says, and below it, smaller, what goes with that. ``mark`` colours it."""

    text: str
    more: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Grid:
    """A table.

    Args:
        caption: what it shows, with units.
        columns: heads; the first column names the rows.
        rows: cells by row.
        stacked: whether a row becomes a card on a narrow screen; else the table scrolls in its own box.
        words: columns of prose, aligned to the left.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    stacked: bool = False
    words: Sequence[int] = ()
    kind: ClassVar[str] = "grid"


Mark = tuple[str, str, str]
"""Form (dot, ring, star, line, dashed, dotted, tick, band, bar), colour, and what it means in a picture."""


@dataclass(frozen=True)
class Key:
    """What marks mean in all pictures of a section."""

    marks: Sequence[Mark]
    kind: ClassVar[str] = "key"


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side where there is room, and what all of them show."""

    pictures: Sequence[Picture]
    caption: str = ""
    key: Sequence[Mark] = ()
    form: str = "small"
    """side by side as many as fit (``small``), two (``pairs``) or one (``single``)"""
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True)
class Code:
    """Something to run, as it stands."""

    text: str
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Folded:
    """Blocks behind a label."""

    label: str
    blocks: Sequence[Block]
    kind: ClassVar[str] = "folded"


Block = Words | Heading | Items | Grid | Key | Pictures | Code | Folded


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Args:
        id: for links to it.
        short: its name in the table of contents.
    """

    id: str
    title: str
    short: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def cells(*texts: str | Cell) -> list[Cell]:
    """A row of a table."""
    return [text if isinstance(text, Cell) else Cell(text) for text in texts]

"""Checks of the draws and of the rows as PASS, REVIEW or FAIL, each with what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bayescpt.ask.ridges import Ridge, ridges
from bayescpt.data.overview import overview
from bayescpt.fit import Fit, Mixture
from bayescpt.fit.fit import LAPLACE, NUTS, PRIOR
from bayescpt.report.html.blocks import Block, Cell, Folded, Grid, Pictures, Section, Words, cells
from bayescpt.report.html.picture import pictured
from bayescpt.report.ranks import LEAST_CHAINS, WORST, rank_figure, worst_parameters

PASS, REVIEW, FAIL, INFO = "PASS", "REVIEW", "FAIL", "INFO"
ORDER = (FAIL, REVIEW, PASS, INFO)
NAMES = {
    "divergences": "Divergences",
    "r_hat": "Agreement of chains (R-hat)",
    "ess_bulk": "Effective draws in the middle",
    "ess_tail": "Effective draws in the tails",
}


class Checks(NamedTuple):
    """All checks, those that failed first, and directions that rows leave open, by member of a mixture."""

    verdicts: list[Verdict]
    directions: dict[str, Sequence[Ridge]]


class Verdict(NamedTuple):
    """One check: what was looked at, how it went, and what to do."""

    level: str
    what: str
    message: str
    remedy: str


def checks_of(fit: Fit | Mixture) -> Checks:
    """All that is known of whether a fit may be believed; of a mixture every member is checked."""
    found = [*_of_rows(fit)]
    directions: dict[str, Sequence[Ridge]] = {}
    for name, member in members_of(fit).items():
        open_ = _directions(member)
        told = [*_of_draws(member), *(() if open_ is None else _left_open(open_))]
        found += [one._replace(what=f"{name}: {one.what}" if name else one.what) for one in told]
        if open_ and not isinstance(open_, ValueError):
            directions[name] = open_
    return Checks(sorted(found, key=lambda one: ORDER.index(one.level)), directions)


def members_of(fit: Fit | Mixture) -> Mapping[str, Fit]:
    """Fits by name; a fit by itself has none."""
    return {"": fit} if isinstance(fit, Fit) else fit.members


def _directions(fit: Fit) -> Sequence[Ridge] | ValueError | None:
    """Directions that rows did not identify; an error where the law cannot be asked about runs by itself."""
    if fit.method == PRIOR:
        return None
    try:
        return ridges(fit)
    except ValueError as error:
        return error


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many checks went how."""
    told = Counter(one.level for one in verdicts)
    return {level: told[level] for level in ORDER}


def _of_rows(fit: Fit | Mixture) -> Iterable[Verdict]:
    for one in overview(fit.table).findings:
        yield Verdict(one.level.value, f"Rows: {one.code.replace('_', ' ')}", one.message, one.remedy)


def _of_draws(fit: Fit) -> Iterable[Verdict]:
    if fit.method == LAPLACE:
        yield Verdict(
            REVIEW,
            "Method",
            "A quick look: a normal approximation at the mode, with noise and spreads held fixed. Its intervals are "
            "too narrow, and nothing checks them.",
            "Fit with --method nuts before deciding.",
        )
    if fit.method == PRIOR:
        yield Verdict(FAIL, "Method", "Draws of the prior: no loss was looked at.", "Fit the rows.")
    for check in fit.checks:
        message, _, remedy = check.message.partition(": ")
        what = NAMES.get(check.name, check.name)
        yield Verdict(PASS if check.passed else FAIL, what, message, "" if check.passed else remedy)


def _left_open(directions: Sequence[Ridge] | ValueError) -> Iterable[Verdict]:
    """What rows leave open, in one line."""
    what = "What rows leave open"
    if isinstance(directions, ValueError):
        yield Verdict(INFO, what, f"Cannot be said: {directions}.", "")
    elif not directions:
        yield Verdict(PASS, what, "Every coordinate of the law is identified.", "")
    else:
        first = directions[0]
        message = (
            f"{len(directions)} directions in the law's parameters are not identified. Losses hang most on "
            f"{first.name} of the {first.target} loss, {_left(first)}."
        )
        yield Verdict(REVIEW, what, message, f"{_capital(first.run.text)}. All of them stand below.")


def _left(one: Ridge) -> str:
    if one.learned or one.contraction is None:
        return "known only together"
    return f"of which {100 * one.contraction:.0f}\u00a0% of the prior's variance is left"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def checked(fit: Fit | Mixture, checks: Checks) -> Section:
    """The checks as a table, directions that are left open, and ArviZ's plots of the parameters that chains agree on
    least."""
    told = counts(checks.verdicts)
    text = f"{told[FAIL]} failed, {told[REVIEW]} to review, {told[PASS]} passed, {told[INFO]} to know."
    rows = [
        [
            Cell(one.level, mark=one.level.lower()),
            Cell(one.what),
            Cell(_capital(one.message)),
            Cell(_capital(one.remedy)),
        ]
        for one in checks.verdicts
    ]
    caption = "Checks of rows, draws and what rows leave open, with what to do."
    columns = ("Result", "Check", "What was found", "What to do")
    blocks: list[Block] = [Words(text), Grid(caption, columns, rows, stacked=True, words=(1, 2, 3))]
    for name, directions in checks.directions.items():
        label = f"{name + ': ' if name else ''}{len(directions)} directions that the rows leave open"
        blocks.append(Folded(label, [_table(directions)]))
    blocks.append(Words("How much decisions hang on the prior: bayescpt diagnose FIT.nc (power scaling).", aside=True))
    for name, member in members_of(fit).items():
        blocks += _ranks(name, member)
    return Section("checks", "Checks: may this be believed?", "Checks", blocks)


def _table(directions: Sequence[Ridge]) -> Grid:
    rows = [
        cells(one.name, f"{one.target} loss", ", ".join(one.domains), _capital(_left(one)), _capital(one.run.text))
        for one in directions
    ]
    columns = ("Direction", "Loss", "Domains", "What is left", "Which run would tell")
    caption = (
        "Directions in the law's parameters along which the rows have said little, those that losses hang on first."
    )
    return Grid(caption, columns, rows, stacked=True, words=(1, 2, 3, 4))


def _ranks(name: str, fit: Fit) -> Iterable[Block]:
    if fit.method != NUTS or fit.posterior.sizes["chain"] < LEAST_CHAINS:
        return
    pictures = []
    for label, draws in worst_parameters(fit.posterior).data_vars.items():
        alt = f"Rank plot of {label}: one line a chain, which should stay within the grey band."
        pictures.append(pictured(rank_figure(draws), alt, title=str(label)))
    caption = (
        f"{name + ': ' if name else ''}the {WORST} parameters on which chains agree least (largest R-hat), as drawn by "
        "ArviZ: how far the ranks of each chain's draws are from being evenly spread, with a simultaneous 99 % band. A "
        "line outside the band is a chain that is elsewhere."
    )
    yield Pictures(pictures, caption[0].upper() + caption[1:])

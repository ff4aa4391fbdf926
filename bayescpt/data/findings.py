"""What a sound table can and cannot teach a model, and which run would; a new finding is a function in FINDINGS."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from bayescpt.data.faults import abbreviated
from bayescpt.data.names import alike
from bayescpt.data.outliers import outlying
from bayescpt.data.runs import SAME_RATIO, Run, distinct
from bayescpt.data.table import Table
from bayescpt.schema import GENERAL, TARGETS

EARLY = 0.02
"""A first checkpoint later than this fraction of a run misses the bend after the start."""
FEW_RATIOS = 3
USUAL_RATIOS = (0.1, 0.9, 0.5, 0.25, 0.75)
"""Ratios that a remedy proposes, the first first where several are as far from those there are."""
FAR = 4.0
"""A size this many times another one tells their effects apart from what single bases differ by."""
MANY_EPOCHS = 4.0
"""Up to about four epochs repeated data is worth nearly as much as new data: Muennighoff et al. 2023,
Scaling Data-Constrained Language Models, arXiv:2305.16264."""
SAME_LR = 0.01
"""Peak learning rates that differ by no more than this fraction count as one."""
SAME_DECAY = 0.05
"""Final learning rates, as fractions of the peak, that differ by no more than this come from one schedule."""
SAME_SHARE = 0.01
"""Mixtures whose shares differ by no more than this count as one."""
SMALLEST = 1000.0
"""Fewer parameters or tokens than this are more likely billions that were not written out."""


LARGEST_LOSS = 15.0
"""Nats per token: a model that guesses has the logarithm of its vocabulary, 12.5 for 256 thousand."""
LARGEST = 1e17
"""More parameters or tokens than this nobody has."""


class Level(StrEnum):
    """How much a finding matters: something to know, to look at, or that cannot be learned at all."""

    INFO = "INFO"
    REVIEW = "REVIEW"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One thing that a table will, or will not, be able to teach.

    Args:
        code: stable name, for programs.
        level: FAIL says that what is named cannot be learned from this table, which is no fault of it.
        message: one sentence for a person: what is so, and what cannot be learned.
        remedy: what to run, measure or write down to learn it; empty where there is nothing to do.
    """

    code: str
    level: Level
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.remedy}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain values for JSON."""
        return {**asdict(self), "level": self.level.value}


def few_sizes(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    sizes = sorted({run.size for run in runs})
    beyond = f"of at most {sizes[0] / FAR:.3g} or at least {sizes[-1] * FAR:.3g} parameters"
    if len(sizes) == 1:
        message = (
            f"All runs have one size ({sizes[0]:.3g} parameters): no effect of size can be learned, and an answer at "
            "any other size is the prior's."
        )
        remedy = f"Train one run at another size, at least {FAR:g}x away: {beyond}, and measure its base."
        yield Finding("one_size", Level.FAIL, message, remedy)
    elif len(sizes) == 2:
        message = (
            f"Only two sizes ({sizes[0]:.3g} and {sizes[1]:.3g} parameters): amplitude, floor and exponent of size "
            "cannot be told apart, so the exponent rests on its prior."
        )
        yield Finding("two_sizes", Level.REVIEW, message, f"Train one run at a third size: {beyond}.")


def few_ratios(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    for domain, ratios in _ratios(runs).items():
        if len(ratios) < FEW_RATIOS:
            shown = " and ".join(f"{ratio:.3g}" for ratio in ratios)
            level = Level.FAIL if len(ratios) == 1 else Level.REVIEW
            learned = (
                "its own effect of the ratio cannot be learned"
                if len(ratios) == 1
                else "the shape between and beyond them rests on priors and other domains"
            )
            more = _farthest(ratios, FEW_RATIOS - len(ratios))
            runs_at = "one run of it at ratio" if len(more) == 1 else "runs of it at ratios"
            remedy = f"Train {runs_at} {' and '.join(f'{ratio:g}' for ratio in more)}, of a size that it has."
            message = f"Domain {domain!r} was trained at ratio {shown} only: {learned}."
            yield Finding("few_ratios", level, message, remedy)


def ratio_range(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    spans = [
        f"{domain!r} {ratios[0]:.3g} to {ratios[-1]:.3g}"
        for domain, ratios in _ratios(runs).items()
        if len(ratios) > 1 and (ratios[0] > SAME_RATIO or ratios[-1] < 1 - SAME_RATIO)
    ]
    if spans:
        message = f"Ratios covered: {abbreviated(spans, 'domains')}; an answer outside these is extrapolation."
        remedy = "Before deciding on a ratio outside, train one run there."
        yield Finding("ratio_range", Level.INFO, message, remedy)


def ratio_tied_to_size(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    ratios_of = defaultdict(list)
    for run in runs:
        ratios_of[run.domain, run.size].append(run.ratio)
    for domain, ratios in _ratios(runs).items():
        mine = {size: distinct(r, SAME_RATIO) for (name, size), r in ratios_of.items() if name == domain}
        if len(mine) > 1 and len(ratios) > 1 and all(len(r) == 1 for r in mine.values()):
            smallest = min(mine)
            second = max(ratios, key=lambda ratio: abs(ratio - mine[smallest][0]))
            message = (
                f"In domain {domain!r} every size was trained at a single ratio: the effects of size and of ratio "
                "cannot be told apart there."
            )
            remedy = (
                f"Train one size at a second ratio: of {smallest:.3g} parameters, which has {mine[smallest][0]:.3g}, "
                f"at {second:.3g}."
            )
            yield Finding("ratio_tied_to_size", Level.REVIEW, message, remedy)


def base_losses(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    without = np.isnan(table.base_loss)
    remedy = (
        "No run is needed: evaluate the base on the same validation sets before the first step and write rows with "
        "tokens = 0 for every base, domain and target"
    )
    if without.all():
        message = (
            "No base losses (tokens = 0) for any run: a law that starts at the base cannot be fitted, and forgetting "
            "cannot be measured unless a base loss is given with the question (--base-loss)."
        )
        yield Finding("no_base_rows", Level.FAIL, message, f"{remedy}.")
    elif without.any():
        keys = {(int(b), int(d), int(t)) for b, d, t in _codes(table)[without]}
        parts = [f"{table.bases[b]!r} on {table.domains[d]!r}, {TARGETS[t]}" for b, d, t in sorted(keys)]
        message = (
            f"Base losses (tokens = 0) are missing for {abbreviated(parts, 'more')}: {int(without.sum())} of "
            f"{len(table)} rows have no measured start, and forgetting cannot be measured there."
        )
        yield Finding("some_base_rows_missing", Level.REVIEW, message, f"{remedy} that is named.")


def no_general_rows(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    if not (table.target == TARGETS.index(GENERAL)).any():
        message = (
            "No training rows of the target 'general', as in a study from scratch: nothing is learned of forgetting, "
            "and no ratio can be weighed against it."
        )
        yield Finding("no_general_rows", Level.FAIL, message)


def few_mixtures(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    if table.shares is None:
        return
    mixtures = len(np.unique(np.round(table.shares / SAME_SHARE), axis=0))
    wanted = 3 * (len(table.sources) + 1)
    if mixtures < wanted:
        message = (
            f"{mixtures} mixtures of {len(table.sources)} sources: a law with parameters for every source wants about "
            f"{wanted}, three times the sources and one (2602.12237); beyond these mixtures it rests on its priors."
        )
        yield Finding("few_mixtures", Level.REVIEW, message)


def late_checkpoints(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    if not (table.target == TARGETS.index(GENERAL)).any():
        return
    late = [run for run in runs if run.first > EARLY * run.last]
    if late:
        first = min(run.first / run.last for run in runs)
        message = (
            f"{len(late)} of {len(runs)} runs have their first checkpoint after {EARLY:.0%} of the run (the earliest "
            f"of all is at {first:.1%}): the rise and fall of the general loss after the start is not seen there."
        )
        remedy = f"In the next run evaluate also at 0.5%, 1% and {EARLY:.0%} of its tokens."
        yield Finding("late_checkpoints", Level.REVIEW, message, remedy)


def repeated_seeds(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    settings: dict[tuple[str, str, float], list[Run]] = defaultdict(list)
    for run in runs:
        settings[run.domain, run.base, run.size].append(run)
    if not any(_repeats(a, b) for group in settings.values() for a, b in _neighbours(group)):
        cheapest = min(runs, key=lambda run: (run.size * run.last, run.name))
        message = (
            "No setting (domain, base, size, ratio) was run twice with different seeds: the noise between runs rests "
            "on its prior and on the misfit of the law."
        )
        remedy = f"Train one run a second time with another seed; {cheapest.name!r} is the cheapest."
        yield Finding("no_repeated_seeds", Level.REVIEW, message, remedy)


def learning_rates(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    peaks = [run.lr_peak for run in runs if run.lr_peak is not None]
    ends = [run.lr_end for run in runs if run.lr_end is not None]
    if not peaks:
        message = (
            "No learning rates given (column lr): whether runs differ in learning rate or schedule, which moves the "
            "losses, cannot be seen."
        )
        yield Finding("lr_unknown", Level.INFO, message, "Write the learning rate of every row into the column lr.")
        return
    if max(peaks) > min(peaks) * (1 + SAME_LR):
        message = (
            f"Peak learning rates differ between runs ({min(peaks):.3g} to {max(peaks):.3g}): their effect is mixed "
            "with that of whatever else differs between these runs."
        )
        remedy = "Train one run again with the learning rate of another as its only difference, or all at one."
        yield Finding("lr_differs", Level.REVIEW, message, remedy)
    if max(ends) - min(ends) > SAME_DECAY:
        message = (
            f"Runs end at {min(ends):.0%} to {max(ends):.0%} of their peak learning rate: they follow different "
            "schedules, and a decayed loss lies below an undecayed one at the same tokens."
        )
        remedy = "Fit runs of one schedule, that of the run to be planned; train one such run where there is none."
        yield Finding("schedule_differs", Level.REVIEW, message, remedy)


def repetition(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    often = [run for run in runs if run.epochs is not None and run.epochs > MANY_EPOCHS]
    if often:
        most = max(run.epochs or 0.0 for run in often)
        message = (
            f"{len(often)} of {len(runs)} runs repeat their domain corpus more than {MANY_EPOCHS:g} times (up to "
            f"{most:.3g}): repeated tokens teach less than new ones, and a law in tokens alone does not see it."
        )
        remedy = "Leave these rows out, or train these runs on more of the domain's text or for fewer tokens."
        yield Finding("repetition", Level.REVIEW, message, remedy)


def phases(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    if table.phase_start is None or not (table.phase_start > 0).any():
        return
    count = len(set(table.run[table.phase_start > 0].tolist()))
    message = (
        f"{count} of {len(runs)} runs change their mixture on the way: a law other than phased takes them for runs at "
        "their mean share, whereas the last of what was read counts for more."
    )
    yield Finding("phases", Level.REVIEW, message, "Fit the law phased, or leave the rows of later phases out.")


def shared_validation_error(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    if table.loss_se is not None:
        message = (
            f"Standard errors are given (up to {table.loss_se.max():.2g} nats per token); runs measured on the same "
            "validation set share that error, so it does not average out over runs and says nothing of their noise."
        )
        yield Finding("shared_validation_error", Level.INFO, message)


def few_domains(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    trained = {run.domain for run in runs}
    cheapest = min(runs, key=lambda run: run.size)
    if len(trained) == 1:
        message = (
            f"One domain only ({next(iter(trained))!r}): there is nothing to pool, and an answer for a new domain "
            "rests on the prior spread between domains."
        )
        remedy = f"Train one run on a second domain; one of {cheapest.size:.3g} parameters will do."
        yield Finding("one_domain", Level.REVIEW, message, remedy)
    idle = [repr(name) for name in table.domains if name not in trained]
    if idle:
        message = f"No training rows in {abbreviated(idle, 'domains')}: answers there come from the other domains."
        remedy = f"Train one run there, at ratio 0.5; one of {cheapest.size:.3g} parameters will do."
        yield Finding("untrained_domain", Level.REVIEW, message, remedy)


def units(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    for name, largest in (("size", table.size.max()), ("tokens", table.tokens.max())):
        if largest < SMALLEST:
            message = f"The largest {name} is {largest:.3g}: the contract counts in ones; is the table in billions?"
            yield Finding("suspect_units", Level.REVIEW, message, f"Write the column {name} in ones.")
    for name, values, most, what in (
        (
            "loss",
            table.loss,
            LARGEST_LOSS,
            "nats per token, of which a guess among all tokens has about 12: perplexity?",
        ),
        ("size", table.size, LARGEST, "parameters"),
        ("tokens", table.tokens, LARGEST, "tokens"),
    ):
        over = int((values > most).sum())
        if over:
            message = (
                f"{over} of {len(values)} rows have a {name} above {most:g}, the largest {values.max():.3g} {what}"
            )
            yield Finding("suspect_units", Level.REVIEW, f"{message.rstrip('?')}{'?' * what.endswith('?') or '.'}")


def similar_names(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    for what, names in (("domains", table.domains), ("bases", table.bases)):
        groups = defaultdict(list)
        for name in names:
            groups[alike(name)].append(name)
        for group in groups.values():
            if len(group) > 1:
                message = f"The {what} {', '.join(map(ascii, group))} look the same and are counted as {len(group)}."
                yield Finding("similar_names", Level.REVIEW, message, "If they are one, write them alike.")


def outlying_rows(table: Table, runs: tuple[Run, ...]) -> Iterator[Finding]:
    if rows := outlying(table):
        message = f"Losses lie away from both checkpoints around them: {abbreviated(rows, 'rows')}."
        remedy = "Leave out what was not measured or written right; of the rest --noise student takes little notice."
        yield Finding("outlying_rows", Level.REVIEW, message, remedy)


def _farthest(ratios: tuple[float, ...], count: int) -> list[float]:
    """Ratios that lie as far as can be from those there are, one after the other."""
    found: list[float] = []
    for _ in range(count):
        found.append(max(USUAL_RATIOS, key=lambda new: min(abs(new - old) for old in (*ratios, *found))))
    return sorted(found)


def _ratios(runs: tuple[Run, ...]) -> dict[str, tuple[float, ...]]:
    ratios = defaultdict(list)
    for run in runs:
        ratios[run.domain].append(run.ratio)
    return {domain: distinct(ratios[domain], SAME_RATIO) for domain in sorted(ratios)}


def _codes(table: Table) -> np.ndarray:
    return np.stack([table.base, table.domain, table.target], axis=1)


def _neighbours(group: list[Run]) -> Iterator[tuple[Run, Run]]:
    ordered = sorted(group, key=lambda run: run.ratio)
    for i, a in enumerate(ordered):
        for b in ordered[i + 1 :]:
            if b.ratio - a.ratio > SAME_RATIO:
                break
            yield a, b


def _repeats(a: Run, b: Run) -> bool:
    if a.seed is not None and a.seed == b.seed:
        return False
    return (a.lr_peak or 0.0) == (b.lr_peak or 0.0)


FINDINGS: tuple[Callable[[Table, tuple[Run, ...]], Iterator[Finding]], ...] = (
    few_sizes,
    few_ratios,
    ratio_range,
    ratio_tied_to_size,
    base_losses,
    no_general_rows,
    few_mixtures,
    late_checkpoints,
    repeated_seeds,
    learning_rates,
    repetition,
    phases,
    shared_validation_error,
    few_domains,
    units,
    similar_names,
    outlying_rows,
)
